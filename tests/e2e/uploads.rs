//! Uploads whose checksum comes behind the body: whole and right, or AWS never sees a complete one.

use std::io::Write;

use crate::fixture::sign::{Call, Payload, Session};
use crate::fixture::wire::Response;
use crate::fixture::{recorded_role, stage, wire};

const CRC32: &str = "x-amz-checksum-crc32:DUoRhQ==\r\n";

fn session() -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("uploads"), &stage.idp.token("agent-uploads"))
}

fn upload(target: &str) -> Call {
    Call {
        payload: Payload::UnsignedTrailer,
        ..Call::s3(&stage().gateway.host(), "PUT", target, b"")
    }
    .with("x-amz-decoded-content-length", "11")
    .with("x-amz-trailer", "x-amz-checksum-crc32")
    .with("content-encoding", "aws-chunked")
}

/// The frames of `hello world`, in two chunks, with these lines behind them.
fn frames(trailer: &str) -> Vec<u8> {
    format!("6\r\nhello \r\n5\r\nworld\r\n0\r\n{trailer}\r\n").into_bytes()
}

fn send(call: Call, frames: Vec<u8>) -> Response {
    let mut signed = call.sign(&session());
    signed.body = frames;
    stage().gateway.send(&signed.bytes())
}

fn arrived(target: &str) -> Vec<wire::Request> {
    let requests = stage().recorder("uploads").requests();
    requests
        .into_iter()
        .filter(|request| request.line.contains(target))
        .collect()
}

/// SIG-14: frames with a trailer, as boto3 sends them; `clients` has boto3 itself.
#[test]
fn a_right_checksum_lets_the_upload_through_whole() {
    let answer = send(upload("/bucket/right"), frames(CRC32));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = arrived("/bucket/right");
    assert_eq!(requests.len(), 1);
    let body = String::from_utf8_lossy(&requests[0].body).into_owned();
    assert!(body == "hello world" || body.contains("hello "), "{body}");
    assert_eq!(requests[0].header("x-amz-security-token"), None);
}

#[test]
fn http_chunks_around_the_frames_make_no_difference() {
    let mut signed = upload("/bucket/chunked").sign(&session());
    signed.body.clear();
    let frames = frames(CRC32);
    let mut body = format!("{:x}\r\n", frames.len()).into_bytes();
    body.extend_from_slice(&frames);
    body.extend_from_slice(b"\r\n0\r\n\r\n");
    let answer = stage()
        .gateway
        .send(&signed.framed("transfer-encoding: chunked\r\n", &body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived("/bucket/chunked").len(), 1);
}

/// SIG-15: trailers that are wrong, missing or more than was announced.
#[test]
fn a_wrong_ending_leaves_no_complete_upload() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "a wrong checksum",
            frames("x-amz-checksum-crc32:AAAAAA==\r\n"),
        ),
        ("no checksum", frames("")),
        ("another checksum", frames("x-amz-checksum-sha256:AAAA\r\n")),
        (
            "a header in the trailer",
            frames(&format!("{CRC32}x-amz-copy-source:/bucket/key\r\n")),
        ),
        (
            "the host in the trailer",
            frames(&format!("host:evil.example\r\n{CRC32}")),
        ),
        ("the checksum twice", frames(&format!("{CRC32}{CRC32}"))),
        (
            "one byte less",
            format!("a\r\nhello worl\r\n0\r\n{CRC32}\r\n").into_bytes(),
        ),
        (
            "one byte more",
            format!("c\r\nhello world!\r\n0\r\n{CRC32}\r\n").into_bytes(),
        ),
        ("no last chunk", b"6\r\nhello \r\n5\r\nworld\r\n".to_vec()),
        ("no frames", b"hello world".to_vec()),
        (
            "a chunk without its end",
            format!("6\r\nhello 5\r\nworld\r\n0\r\n{CRC32}\r\n").into_bytes(),
        ),
        (
            "an impossible chunk",
            b"fffffffffffffffff\r\nhello world".to_vec(),
        ),
        (
            "bytes behind the end",
            [frames(CRC32), b"6\r\nbehind\r\n0\r\n\r\n".to_vec()].concat(),
        ),
    ];
    for (at, (what, frames)) in cases.into_iter().enumerate() {
        let target = format!("/bucket/wrong-{at}-end");
        let answer = send(upload(&target), frames);
        assert!(
            (400..500).contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
        assert_eq!(
            arrived(&target).len(),
            0,
            "{what}: a complete upload was sent"
        );
    }
}

#[test]
fn a_client_that_goes_away_leaves_no_complete_upload() {
    let mut signed = upload("/bucket/gone-away").sign(&session());
    signed.body.clear();
    let mut stream = stage().gateway.connect();
    let head = signed.framed("content-length: 1000\r\n", b"6\r\nhello \r\n");
    stream.write_all(&head).unwrap();
    drop(stream);
    // The next upload of the same connection pool is whole all the same.
    let answer = send(upload("/bucket/after-gone"), frames(CRC32));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived("/bucket/gone-away").len(), 0);
}

#[test]
fn unsigned_frames_are_for_uploads_of_objects_only() {
    let host = stage().gateway.host();
    let elsewhere = Call {
        payload: Payload::UnsignedTrailer,
        ..Call::dynamodb(&host, "PutItem", "")
    };
    for (what, call) in [
        (
            "a bucket's policy",
            Call {
                target: "/frames-only?policy".to_owned(),
                ..upload("/")
            },
        ),
        (
            "DeleteObjects",
            Call {
                method: "POST",
                target: "/frames-only?delete".to_owned(),
                ..upload("/")
            },
        ),
        (
            "another service",
            elsewhere.with("x-amz-decoded-content-length", "11"),
        ),
    ] {
        let answer = send(call, frames(CRC32));
        assert!(
            [400, 403, 501].contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(arrived("frames-only").len(), 0);
}

#[test]
fn an_unsigned_payload_is_for_s3_over_tls_only() {
    let host = stage().gateway.host();
    let call = Call {
        payload: Payload::Unsigned,
        ..Call::s3(&host, "PUT", "/bucket/unsigned", b"hello world")
    };
    let answer = stage().gateway.send(&call.sign(&session()).bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(arrived("/bucket/unsigned").len(), 1);
    let call = Call {
        payload: Payload::Unsigned,
        ..Call::dynamodb(&host, "ListTables", "{}")
    };
    let call = call.with("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_ne!(
        stage().gateway.send(&call.sign(&session()).bytes()).status,
        200
    );
}

const CHUNKS: [&[u8]; 2] = [b"hello ", b"world"];

fn signed_upload(target: &str, word: &'static str) -> Call {
    Call {
        payload: Payload::SignedChunks(word),
        ..Call::s3(&stage().gateway.host(), "PUT", target, b"")
    }
    .with("x-amz-decoded-content-length", "11")
    .with("content-encoding", "aws-chunked")
}

#[test]
fn signed_chunks_arrive_in_chunks_of_the_gateways_own() {
    let session = session();
    let plain = signed_upload("/bucket/chunks-plain", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let plain = plain.sign_chunks(&session, &CHUNKS, None);
    let word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    let trailer = signed_upload("/bucket/chunks-trailer", word)
        .with("x-amz-trailer", "x-amz-checksum-crc32")
        .sign_chunks(
            &session,
            &CHUNKS,
            Some(("x-amz-checksum-crc32", "DUoRhQ==")),
        );
    for (target, signed, lines) in [
        ("/bucket/chunks-plain", plain, 4),
        ("/bucket/chunks-trailer", trailer, 6),
    ] {
        let answer = stage().gateway.send(&signed.bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let requests = arrived(target);
        assert_eq!(requests.len(), 1);
        let body = String::from_utf8(requests[0].body.clone()).unwrap();
        assert!(body.starts_with("b;chunk-signature="), "{body}");
        assert!(
            body.contains("\r\nhello world\r\n0;chunk-signature="),
            "{body}"
        );
        assert_eq!(body.matches("\r\n").count(), lines, "{body}");
        let ours = String::from_utf8(signed.body).unwrap();
        for signature in ours.split("-signature").skip(1) {
            let hex: String = signature.chars().skip(1).take(64).collect();
            assert!(!body.contains(&hex), "{body}");
        }
        let length = requests[0].header("content-length");
        assert_eq!(length, Some(&*body.len().to_string()));
    }
}

#[test]
fn a_broken_chain_leaves_no_complete_upload() {
    let word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let session = session();
    let body = |target: &str, chunks: &[&[u8]]| {
        signed_upload(target, word).sign_chunks(&session, chunks, None)
    };
    let text = |signed: &[u8]| String::from_utf8(signed.to_vec()).unwrap();
    type Bend<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(&str, Bend<'_>); 6] = [
        ("another byte", &|body| body.replace("world", "World")),
        ("the last chunk unsigned", &|body| {
            let (rest, _) = body.split_once("\r\n0;").unwrap();
            format!("{rest}\r\n0;chunk-signature={}\r\n\r\n", "0".repeat(64))
        }),
        ("no last chunk", &|body| {
            body.split_once("0;chunk").unwrap().0.to_owned()
        }),
        ("reordered", &|body| {
            let (first, rest) = body.split_at(2 + 16 + 64 + 2 + 6 + 2);
            let (second, last) = rest.split_at(2 + 16 + 64 + 2 + 5 + 2);
            [second, first, last].concat()
        }),
        ("without signatures", &|_| {
            "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n".to_owned()
        }),
        ("without chunks", &|_| "hello world".to_owned()),
    ];
    for (at, (what, bend)) in cases.into_iter().enumerate() {
        let target = format!("/bucket/broken-{at}-chain");
        let mut signed = body(&target, &CHUNKS);
        signed.body = bend(&text(&signed.body)).into_bytes();
        let answer = stage().gateway.send(&signed.bytes());
        let seen = format!("{what}: {} {}", answer.status, answer.text());
        assert!((400..500).contains(&answer.status), "{seen}");
        assert_eq!(arrived(&target).len(), 0, "{seen}");
    }
    let target = "/bucket/chunk-lengths";
    for chunks in [[b"hello ".as_slice(), b"worl"], [b"hello ", b"world!"]] {
        let answer = stage().gateway.send(&body(target, &chunks).bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert_eq!(arrived(target).len(), 0);
}

#[test]
fn signed_chunks_are_for_uploads_of_objects_only() {
    let word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let policy = signed_upload("/chunks-only?policy", word);
    let signed = policy.sign_chunks(&session(), &CHUNKS, None);
    let answer = stage().gateway.send(&signed.bytes());
    assert_eq!(answer.code(), "NotImplemented", "{}", answer.text());
    assert_eq!(arrived("chunks-only").len(), 0);
}
