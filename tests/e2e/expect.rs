//! `Expect: 100-continue`: who asks before sending a body is told what was decided on the head.

use std::io::{Read, Write};

use crate::fixture::sign::{Call, Payload, Session, Signed};
use crate::fixture::wire::{self, Tls};
use crate::fixture::{recorded_role, stage};

const BODY: &[u8] = b"hello world";

fn session(client: &str) -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("expect"), &stage.idp.token(client))
}

fn put(target: &str, payload: Payload) -> Call {
    Call {
        payload,
        ..Call::s3(&stage().gateway.host(), "PUT", target, BODY)
    }
}

/// Sends a head that asks, and nothing else.
fn ask(signed: &Signed, length: usize) -> Tls {
    let mut stream = stage().gateway.connect();
    let framing = format!("expect: 100-continue\r\ncontent-length: {length}\r\n");
    stream.write_all(&signed.framed(&framing, b"")).unwrap();
    stream.flush().unwrap();
    stream
}

fn arrived(target: &str) -> Vec<wire::Request> {
    let requests = stage().recorder("expect").requests();
    requests
        .into_iter()
        .filter(|request| request.line.contains(target))
        .collect()
}

/// Reads the answer to `ask` and sees that it is final and the last.
fn refused_at_once(mut stream: Tls) -> String {
    let answer = String::from_utf8(wire::rest(&mut stream).unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let head = answer.to_ascii_lowercase();
    assert!(head.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
    answer
}

#[test]
fn a_denied_upload_is_refused_before_it_is_sent() {
    let reader = session("agent-ci");
    for payload in [Payload::Digest, Payload::Unsigned] {
        let signed = put("/bucket/expect-denied", payload).sign(&reader);
        let answer = refused_at_once(ask(&signed, BODY.len()));
        assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    }
    let chunks = Payload::SignedChunks("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let signed = put("/bucket/expect-denied", chunks)
        .with("x-amz-decoded-content-length", "11")
        .sign_chunks(&reader, &[BODY], None);
    refused_at_once(ask(&signed, signed.body.len()));
    let url = put("/bucket/expect-denied", Payload::Unsigned);
    let url = url.presign(&reader, std::time::Duration::from_secs(60));
    refused_at_once(ask(&url, BODY.len()));
    assert_eq!(arrived("expect-denied").len(), 0);
}

#[test]
fn a_wrong_signature_is_refused_before_the_body_is_sent() {
    let writer = session("agent-uploads");
    let mut signed = put("/bucket/expect-bent", Payload::Digest).sign(&writer);
    signed.target.push('x');
    let answer = refused_at_once(ask(&signed, BODY.len()));
    assert!(
        answer.contains("<Code>SignatureDoesNotMatch</Code>"),
        "{answer}"
    );
    assert_eq!(arrived("expect-bent").len(), 0);
}

#[test]
fn a_permitted_upload_is_asked_for_and_sent_once() {
    let signed = put("/bucket/expect-allowed", Payload::Digest).sign(&session("agent-uploads"));
    let mut stream = ask(&signed, BODY.len());
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let answer = wire::exchange(&mut stream, BODY).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = arrived("expect-allowed");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, BODY);
    assert_eq!(requests[0].header("expect"), None);
}

#[test]
fn an_empty_upload_that_asks_does_not_hang() {
    let empty = Call::s3(&stage().gateway.host(), "PUT", "/bucket/expect-empty", b"");
    let signed = empty.sign(&session("agent-uploads"));
    let mut stream = ask(&signed, 0);
    let answer = wire::response(&mut stream).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The connection is as good as before.
    let again = wire::exchange(&mut stream, &signed.bytes()).unwrap();
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(arrived("expect-empty").len(), 2);
}
