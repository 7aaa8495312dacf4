//! What goes out: headers, payload modes, and a signature over exactly what is sent.

use proptest::prelude::*;

use super::*;

#[test]
fn the_agents_own_signature_and_hop_by_hop_headers_end_here() {
    let dropped = [
        ("authorization", "AWS4-HMAC-SHA256 Credential=PCAK/x"),
        ("x-amz-security-token", "agent"),
        ("x-amz-date", "20000101T000000Z"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("keep-alive", "3"),
        ("expect", "100-continue"),
        ("cookie", "a=b"),
        ("via", "1.1 a"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("proxy-authorization", "Basic x"),
        ("amz-sdk-request", "attempt=1"),
        ("amz-sdk-invocation-id", "1"),
        ("transfer-encoding", "chunked"),
        ("accept-encoding", "gzip"),
    ];
    let kept = [
        ("user-agent", "Boto3/1.2"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.GetItem"),
        ("if-match", "\"x\""),
    ];
    let all: Vec<_> = dropped.into_iter().chain(kept).collect();
    let route = Route::aws(
        "dynamodb.eu-west-1.amazonaws.com",
        Addressing::Path,
        "dynamodb",
        "eu-west-1",
    );
    let request = sign(outgoing(
        head(Method::POST, "/", None, &all),
        route,
        PayloadMode::Absent,
        b"{}",
    ));
    let found = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    for (name, value) in dropped {
        assert_ne!(found(name), Some(value), "{name}");
    }
    assert_eq!(found("content-type"), Some("application/x-amz-json-1.0"));
    assert_eq!(found("if-match"), Some("\"x\""));
    assert_eq!(found("host"), Some("dynamodb.eu-west-1.amazonaws.com"));
    assert_eq!(found("accept-encoding"), Some("identity"));
    assert_eq!(found("content-length"), Some("2"));
    assert_eq!(found("x-amz-security-token"), Some(TOKEN));
    let agent = found("user-agent").unwrap();
    assert!(agent.starts_with("Boto3/1.2 portcullis/"), "{agent}");
    let scope = "Credential=AKIDEXAMPLE/20231114/eu-west-1/dynamodb/aws4_request";
    let signed = "SignedHeaders=content-type;host;if-match;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target";
    let authorization = found("authorization").unwrap();
    assert!(
        authorization.contains(scope) && authorization.contains(signed),
        "{authorization}"
    );
    check_signature(received(&request), b"{}").unwrap();
}

#[test]
fn every_payload_mode_goes_out_as_it_came_in() {
    let digest: [u8; 32] = Sha256::digest(b"abc").into();
    let check = |mode: PayloadMode, extra: &[(&str, &str)], expected: &str| {
        let mut headers = vec![("x-amz-content-sha256", "agent")];
        headers.extend(extra);
        let route = Route::aws(
            "b.s3.amazonaws.com",
            Addressing::VirtualHost,
            "s3",
            "us-east-1",
        );
        let request = sign(outgoing(
            head(Method::PUT, "/k", None, &headers),
            route,
            mode,
            b"abc",
        ));
        let sent = request.headers().get("x-amz-content-sha256").unwrap();
        assert_eq!(sent, expected);
    };
    check(PayloadMode::Digest(digest), &[], &hex::encode(digest));
    check(PayloadMode::Absent, &[], &hex::encode(digest));
    check(PayloadMode::Unsigned, &[], "UNSIGNED-PAYLOAD");
    let trailer = PayloadMode::UnsignedTrailer {
        decoded_length: 3,
        trailer: Some("x-amz-checksum-crc32".to_owned()),
    };
    check(trailer, &[], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
}

/// A path as S3 signs it, or any path as other services take it.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-Za-z0-9._~-]{1,8}",
        Just("%2F".to_owned()),
        Just("%20".to_owned()),
        Just("%C3%A9".to_owned()),
        Just("%3A".to_owned()),
        Just("/".to_owned()),
        Just("/../".to_owned()),
        Just("//".to_owned()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn query() -> impl Strategy<Value = Option<String>> {
    let pair = (
        "[a-z][A-Za-z0-9-]{0,5}",
        "([A-Za-z0-9._~-]|%20|%2F|%2B|%C3%A9|/|:|@){0,8}",
    );
    let pairs = proptest::collection::vec(pair, 1..5).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    });
    proptest::option::of(pairs)
}

proptest! {
    #[test]
    fn what_is_signed_is_what_is_sent(
        path in path(),
        query in query(),
        body in proptest::collection::vec(any::<u8>(), 0..50),
        meta in "[ -~]{0,20}",
        s3 in any::<bool>(),
    ) {
        let (service, digest) = if s3 { ("s3", "x") } else { ("apigateway", "") };
        let mut headers = vec![("x-amz-meta-a", meta.as_str()), ("content-type", "a/b")];
        if s3 {
            headers.push(("x-amz-content-sha256", digest));
        }
        let route = Route::aws("host.example", Addressing::Path, service, "eu-west-1");
        let request = sign(outgoing(
            head(Method::PUT, &path, query.as_deref(), &headers), route, PayloadMode::Absent, &body,
        ));
        let seen = received(&request);
        prop_assert_eq!(&seen.path, &path);
        prop_assert_eq!(&seen.query, &query);
        match check_signature(seen, &body) {
            // Refused for its looks before any signature was computed.
            Err(Refusal::Ambiguous(_) | Refusal::Malformed(_)) => {}
            outcome => prop_assert_eq!(outcome, Ok(())),
        }
    }
}
