//! A request that two parsers could read in two ways reaches AWS in neither.
//!
//! Every case is a call that would be sent but for its framing, followed by a second, valid call
//! that must never be found inside the bytes of the first. The recorder must see neither.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::fixture::sign::{Call, Session, Signed};
use crate::fixture::wire::Tls;
use crate::fixture::{recorded_role, stage, wire};

const BODY: &[u8] = b"{}";
const CHUNKED: &[u8] = b"2\r\n{}\r\n0\r\n\r\n";

fn session() -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("framing"), &stage.idp.token("agent-ci"))
}

fn signed(session: &Session) -> Signed {
    Call::dynamodb(&stage().gateway.host(), "ListTables", "{}").sign(session)
}

/// Framing headers of a two-byte body that no two parsers must disagree about.
const FRAMINGS: &[(&str, &str, &[u8])] = &[
    (
        "length and chunks",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        CHUNKED,
    ),
    (
        "chunks and length",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        CHUNKED,
    ),
    (
        "chunks of zero and length",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "transfer-encoding: xchunked\r\n",
        CHUNKED,
    ),
    (
        "a coding after chunked",
        "transfer-encoding: chunked, identity\r\n",
        CHUNKED,
    ),
    (
        "a coding before chunked",
        "transfer-encoding: gzip, chunked\r\n",
        CHUNKED,
    ),
    (
        "chunked twice",
        "transfer-encoding: chunked, chunked\r\n",
        CHUNKED,
    ),
    (
        "chunked twice in two lines",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        CHUNKED,
    ),
    (
        "identity beside chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        CHUNKED,
    ),
    (
        "a quoted coding",
        "transfer-encoding: \"chunked\"\r\n",
        CHUNKED,
    ),
    (
        "a vertical tab before the coding",
        "transfer-encoding: \x0bchunked\r\n",
        CHUNKED,
    ),
    (
        "an empty coding beside a length",
        "transfer-encoding:\r\ncontent-length: 2\r\n",
        BODY,
    ),
    (
        "a space before the colon of the coding",
        "transfer-encoding : chunked\r\n",
        CHUNKED,
    ),
    (
        "a folded coding",
        "transfer-encoding:\r\n chunked\r\n",
        CHUNKED,
    ),
    ("a plus", "content-length: +2\r\n", BODY),
    ("a minus", "content-length: -2\r\n", BODY),
    ("hexadecimal", "content-length: 0x2\r\n", BODY),
    ("two lengths in one", "content-length: 2, 2\r\n", BODY),
    ("two other lengths in one", "content-length: 2, 3\r\n", BODY),
    (
        "one length twice",
        "content-length: 2\r\ncontent-length: 2\r\n",
        BODY,
    ),
    (
        "two lengths",
        "content-length: 2\r\ncontent-length: 3\r\n",
        BODY,
    ),
    (
        "two lengths, the longer first",
        "content-length: 300\r\ncontent-length: 2\r\n",
        BODY,
    ),
    ("an empty length", "content-length: \r\n", BODY),
    ("a length in words", "content-length: two\r\n", BODY),
    ("a length with a space", "content-length: 2 2\r\n", BODY),
    (
        "a length too large",
        "content-length: 99999999999999999999\r\n",
        BODY,
    ),
    ("a length with a dot", "content-length: 2.0\r\n", BODY),
    (
        "a space before the colon of the length",
        "content-length : 2\r\n",
        BODY,
    ),
    (
        "an underscore in the length's name",
        "content-length: 2\r\ncontent_length: 300\r\n",
        BODY,
    ),
    (
        "an underscore in the coding's name",
        "content-length: 2\r\ntransfer_encoding: chunked\r\n",
        BODY,
    ),
    (
        "an underscore in an AWS header",
        "content-length: 2\r\nx_amz_target: DynamoDB_20120810.DeleteTable\r\n",
        BODY,
    ),
    (
        "a header without a colon",
        "content-length: 2\r\nnonsense\r\n",
        BODY,
    ),
    (
        "a header without a name",
        "content-length: 2\r\n: value\r\n",
        BODY,
    ),
    (
        "a name that is no token",
        "content-length: 2\r\nx(y): value\r\n",
        BODY,
    ),
    (
        "a name outside ASCII",
        "content-length: 2\r\nx\u{e9}: value\r\n",
        BODY,
    ),
    (
        "a NUL in a value",
        "content-length: 2\r\nx-note: a\0b\r\n",
        BODY,
    ),
    (
        "a lone CR in a value",
        "content-length: 2\r\nx-note: a\rb\r\n",
        BODY,
    ),
    (
        "a folded header",
        "content-length: 2\r\nx-note: a\r\n b\r\n",
        BODY,
    ),
    (
        "a folded header by tab",
        "content-length: 2\r\nx-note: a\r\n\tb\r\n",
        BODY,
    ),
    (
        "a bare LF after a header",
        "content-length: 2\nx-note: a\r\n",
        BODY,
    ),
    (
        "two hosts",
        "content-length: 2\r\nhost: evil.example\r\n",
        BODY,
    ),
    (
        "an impossible chunk size",
        "transfer-encoding: chunked\r\n",
        b"fffffffffffffffff1\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "a negative chunk size",
        "transfer-encoding: chunked\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "a chunk size with a prefix",
        "transfer-encoding: chunked\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "a chunk without its end",
        "transfer-encoding: chunked\r\n",
        b"2\r\n{}0\r\n\r\n",
    ),
    (
        "a chunk with a bare LF",
        "transfer-encoding: chunked\r\n",
        b"2\n{}\n0\n\n",
    ),
    (
        "an empty chunk size",
        "transfer-encoding: chunked\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
    ),
    (
        "a trailer that is a header",
        "transfer-encoding: chunked\r\n",
        b"2\r\n{}\r\n0\r\nhost: evil.example\r\n\r\nX",
    ),
];

/// Request lines that are not the call's own.
const LINES: &[(&str, &str)] = &[
    (
        "another host in the target",
        "POST http://evil.example/ HTTP/1.1",
    ),
    (
        "another scheme in the target",
        "POST ftp://127.0.0.1/ HTTP/1.1",
    ),
    (
        "user information in the target",
        "POST https://a@evil.example/ HTTP/1.1",
    ),
    ("no slash", "POST x HTTP/1.1"),
    ("a star", "POST * HTTP/1.1"),
    ("two spaces", "POST  / HTTP/1.1"),
    ("a space in the target", "POST /a b HTTP/1.1"),
    ("a space at the end", "POST / HTTP/1.1 "),
    ("a tab", "POST\t/ HTTP/1.1"),
    ("an old version", "POST / HTTP/0.9"),
    ("version two by name", "POST / HTTP/2.0"),
    ("an impossible version", "POST / HTTP/1.11"),
    ("no version", "POST /"),
    ("a lower-case method", "post / HTTP/1.1"),
    ("TRACE", "TRACE / HTTP/1.1"),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1"),
    ("a method nobody knows", "PROPFIND / HTTP/1.1"),
    ("a fragment", "POST /#x HTTP/1.1"),
    ("a byte outside ASCII", "POST /\u{e9} HTTP/1.1"),
    ("a control byte", "POST /\x01 HTTP/1.1"),
];

/// PAR-16: names, blanks and bytes that make a field two things, and everything else that frames a
/// request. One test, because every case counts what arrived at one recorder.
#[test]
fn ambiguous_requests_reach_nobody() {
    let recorder = stage().recorder("framing");
    let session = session();
    let good = signed(&session);
    for bytes in [
        good.bytes(),
        good.framed("transfer-encoding: chunked\r\n", CHUNKED),
    ] {
        assert_eq!(stage().gateway.send(&bytes).status, 200);
    }
    assert_eq!(recorder.requests().len(), 2);
    let arrived = recorder.bytes();

    for (what, framing, body) in FRAMINGS {
        check(what, &good.framed(framing, body), &good);
    }
    for (what, line) in LINES {
        let (_, headers) = good
            .head()
            .split_once("\r\n")
            .map(|(line, rest)| (line.to_owned(), rest.to_owned()))
            .unwrap();
        let head = format!("{line}\r\n{headers}content-length: 2\r\n\r\n{{}}");
        check(what, head.as_bytes(), &good);
    }
    let bytes = good.bytes();
    let lf = String::from_utf8(bytes.clone())
        .unwrap()
        .replace("\r\n", "\n");
    check("bare LF everywhere", lf.as_bytes(), &good);
    check(
        "a space before the first header",
        &insert(&bytes, " x-note: a\r\n"),
        &good,
    );
    check("no host", &good.clone().without("host").bytes(), &good);
    check(
        "old HTTP with chunks",
        &Signed {
            version: "HTTP/1.0",
            ..good.clone()
        }
        .framed("transfer-encoding: chunked\r\n", CHUNKED),
        &good,
    );
    check(
        "an expectation nobody knows",
        &good.clone().with("expect", "200-ok").bytes(),
        &good,
    );
    assert_eq!(recorder.bytes(), arrived, "something was sent to AWS");
}

/// Sends a bad request with a good one behind it: no success comes back.
fn check(what: &str, bad: &[u8], good: &Signed) {
    let mut stream = stage().gateway.connect();
    let mut bytes = bad.to_vec();
    bytes.extend_from_slice(&good.clone().with("connection", "close").bytes());
    // The gateway may close before it has read everything.
    drop(stream.write_all(&bytes).and_then(|()| stream.flush()));
    let answers = read_for(&mut stream, Duration::from_secs(15));
    let text = String::from_utf8_lossy(&answers);
    assert!(
        !text.contains("HTTP/1.1 2") && !text.contains("HTTP/1.0 2"),
        "{what}: {text}"
    );
    assert!(!text.contains("HTTP/1.1 101"), "{what}: {text}");
    assert!(
        !text.contains("HTTP/1.1 5") || text.contains("HTTP/1.1 501"),
        "{what} is not the gateway's fault: {text}"
    );
}

/// Everything until the close, or until the time is up, which is as good as a close here because
/// the recorder is asked afterwards.
fn read_for(stream: &mut Tls, limit: Duration) -> Vec<u8> {
    stream.sock.set_read_timeout(Some(limit)).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
    }
    bytes
}

/// Puts a line right behind the request line.
fn insert(request: &[u8], line: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    text.replacen("\r\n", &format!("\r\n{line}"), 1)
        .into_bytes()
}

#[test]
fn a_refused_request_s_body_is_never_read_as_a_request() {
    let recorder = stage().recorder("spare");
    let stage = stage();
    let session = stage
        .gateway
        .session(&recorded_role("spare"), &stage.idp.token("agent-ci"));
    let hidden = signed(&session).bytes();
    let mut refused = Call::dynamodb(&stage.gateway.host(), "ListTables", "").sign(&session);
    refused.body = hidden;
    refused.header("authorization").push('0');
    let mut stream = stage.gateway.connect();
    stream.write_all(&refused.bytes()).unwrap();
    let first = wire::response(&mut stream).unwrap();
    assert!([400, 403].contains(&first.status), "{}", first.text());
    drop(
        stream.write_all(
            b"GET /_portcullis/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
    );
    let rest = read_for(&mut stream, Duration::from_secs(5));
    assert!(!String::from_utf8_lossy(&rest).contains("RECORDED"));
    assert_eq!(recorder.bytes(), 0, "the hidden request was sent to AWS");
}

#[test]
fn what_clients_say_of_hosts_and_methods_is_not_passed_on() {
    let stage = stage();
    let session = stage
        .gateway
        .session(&recorded_role("http2"), &stage.idp.token("agent-ci"));
    let claims = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example"),
        ("x-original-url", "/evil"),
        ("via", "1.1 evil.example"),
    ];
    let mut call =
        Call::dynamodb(&stage.gateway.host(), "ListTables", r#"{"Limit":77}"#).sign(&session);
    for (name, value) in claims {
        call = call.with(name, value);
    }
    let answer = stage.gateway.send(&call.bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = stage.recorder("http2").requests();
    let sent = requests
        .iter()
        .find(|request| request.body == br#"{"Limit":77}"#)
        .unwrap();
    assert_eq!(sent.line, "POST / HTTP/1.1");
    for (name, _) in claims {
        assert_eq!(sent.header(name), None, "{name} was passed on");
    }
    let upstream = stage.recorder("http2").url();
    assert_eq!(sent.header("host"), upstream.strip_prefix("http://"));
}

#[test]
fn no_upgrade_is_ever_made() {
    let stage = stage();
    let session = stage
        .gateway
        .session(&recorded_role("http2"), &stage.idp.token("agent-ci"));
    for (protocol, extra) in [
        ("h2c", "HTTP2-Settings"),
        ("websocket", "sec-websocket-key"),
        ("TLS/1.2", "x-note"),
    ] {
        let call = signed(&session)
            .with("connection", &format!("upgrade, {extra}"))
            .with("upgrade", protocol)
            .with(extra, "AAMAAABkAAQAoAAAAAIAAAAA");
        let answer = stage.gateway.send(&call.bytes());
        assert_ne!(answer.status, 101, "{protocol}");
    }
    let requests = stage.recorder("http2").requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("upgrade").is_none())
    );
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let host = stage().gateway.host();
    let long = "a".repeat(256 * 1024);
    let many = "x-note: a\r\n".repeat(5_000);
    for (what, request) in [
        (
            "a long target",
            format!("GET /{long} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        ),
        (
            "a long header",
            format!("GET / HTTP/1.1\r\nhost: {host}\r\nx-note: {long}\r\n\r\n"),
        ),
        (
            "many headers",
            format!("GET / HTTP/1.1\r\nhost: {host}\r\n{many}\r\n"),
        ),
    ] {
        let mut stream = stage().gateway.connect();
        drop(
            stream
                .write_all(request.as_bytes())
                .and_then(|()| stream.flush()),
        );
        let text =
            String::from_utf8_lossy(&read_for(&mut stream, Duration::from_secs(5))).into_owned();
        let refused = ["400", "413", "414", "431"]
            .iter()
            .any(|status| text.contains(&format!("HTTP/1.1 {status}")));
        assert!(refused || text.is_empty(), "{what}: {text}");
    }
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let mut stream = stage().gateway.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").unwrap();
    let start = Instant::now();
    let answer = read_for(&mut stream, Duration::from_secs(60));
    assert!(
        start.elapsed() < Duration::from_secs(45),
        "the gateway waits for ever"
    );
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

#[test]
fn plain_text_on_the_tls_port_gets_nowhere() {
    let address = stage().gateway.address();
    let answer = wire::plain(
        address,
        b"GET /_portcullis/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    );
    assert!(answer.map_or(true, |answer| answer.status == 400));
}
