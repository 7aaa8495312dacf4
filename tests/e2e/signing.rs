//! One bit of a signed request changed, one header added, one rule of SigV4 bent: no byte is sent.

use std::io::Write;
use std::time::Duration;

use crate::fixture::sign::{Call, Session, Signed};
use crate::fixture::{POWER, child, recorded_role, stage, wire};

fn session() -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("signing"), &stage.idp.token("agent-ci"))
}

fn host() -> String {
    stage().gateway.host()
}

fn list_tables() -> Call {
    Call::dynamodb(&host(), "ListTables", r#"{"Limit":10}"#)
}

fn get_object() -> Call {
    Call::s3(&host(), "GET", "/bucket/a%20b/%C3%A9?versionId=1", b"")
}

type Bend = (&'static str, fn(&mut Signed));

/// What may happen to a signed DynamoDB call on its way.
const BENDS: &[Bend] = &[
    ("the body", |call| call.body = br#"{"Limit":11}"#.to_vec()),
    ("the body's end", |call| call.body.push(b' ')),
    ("no body", |call| call.body.clear()),
    ("the method", |call| call.method = "PUT".to_owned()),
    ("the path", |call| call.target = "/x".to_owned()),
    ("a query added", |call| {
        call.target = "/?Action=DeleteTable".to_owned()
    }),
    ("the host", |call| {
        *call.header("host") = "localhost".to_owned()
    }),
    ("the target", |call| {
        *call.header("x-amz-target") = "DynamoDB_20120810.DescribeLimits".to_owned()
    }),
    ("the content type", |call| {
        *call.header("content-type") = "application/x-amz-json-1.1".to_owned()
    }),
    ("the date's minute", |call| {
        let date = call.header("x-amz-date");
        let minute = if date.as_bytes()[12] == b'0' {
            "1"
        } else {
            "0"
        };
        date.replace_range(12..13, minute);
    }),
    ("the session token", |call| {
        call.header("x-amz-security-token").push('A')
    }),
    ("no session token", |call| {
        *call = call.clone().without("x-amz-security-token")
    }),
    ("no date", |call| *call = call.clone().without("x-amz-date")),
    ("no target", |call| {
        *call = call.clone().without("x-amz-target")
    }),
    ("two dates", |call| {
        *call = call.clone().with("x-amz-date", "20200101T000000Z")
    }),
    ("two targets", |call| {
        *call = call
            .clone()
            .with("x-amz-target", "DynamoDB_20120810.DeleteTable")
    }),
    ("two content types", |call| {
        *call = call
            .clone()
            .with("content-type", "application/x-amz-json-1.0")
    }),
    ("two tokens", |call| {
        *call = call.clone().with("x-amz-security-token", "x")
    }),
    ("two authorizations", |call| {
        let same = call.header("authorization").clone();
        *call = call.clone().with("authorization", &same);
    }),
    ("an unsigned copy source", |call| {
        *call = call.clone().with("x-amz-copy-source", "/bucket/key")
    }),
    ("an unsigned header of AWS", |call| {
        *call = call.clone().with("x-amz-invocation-type", "Event")
    }),
    ("a digest of another body", |call| {
        *call = call.clone().with("x-amz-content-sha256", &"0".repeat(64));
    }),
    ("an unsigned payload", |call| {
        *call = call
            .clone()
            .with("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    }),
    ("a second signature in the query", |call| {
        call.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00".to_owned();
    }),
    ("the signature made up", |call| {
        replace_signature(call, "deadbeef")
    }),
    ("the signature zeroed", |call| {
        replace_signature(call, &"0".repeat(64))
    }),
    ("no signature", |call| replace_signature(call, "")),
    ("the signature in capitals", |call| {
        let authorization = call.header("authorization");
        let (rest, signature) = authorization.rsplit_once('=').unwrap();
        *authorization = format!("{rest}={}", signature.to_uppercase());
    }),
    ("the scope's region", |call| {
        rewrite(call, "/us-east-1/", "/eu-west-1/")
    }),
    ("the scope's service", |call| {
        rewrite(call, "/dynamodb/", "/iam/")
    }),
    ("the scope's end", |call| {
        rewrite(call, "/aws4_request", "/aws5_request")
    }),
    ("the algorithm", |call| {
        rewrite(call, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")
    }),
    ("the asymmetric algorithm", |call| {
        rewrite(call, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
    }),
    ("host left unsigned", |call| rewrite(call, "host;", "")),
    ("the target left unsigned", |call| {
        rewrite(call, ";x-amz-target", "")
    }),
    ("signed headers out of order", |call| {
        rewrite(call, "content-type;host", "host;content-type")
    }),
    ("a signed header named twice", |call| {
        rewrite(call, "host;", "host;host;")
    }),
    ("a signed header that is not there", |call| {
        rewrite(call, "host;", "host;origin;")
    }),
    ("signed headers in capitals", |call| {
        rewrite(call, "host;", "Host;")
    }),
    ("two credentials", |call| {
        rewrite(
            call,
            "Credential=",
            "Credential=PCAKX/a/b/c/aws4_request, Credential=",
        )
    }),
    ("signature version 2", |call| {
        *call.header("authorization") = "AWS PCAK:c2lnbmF0dXJl".to_owned()
    }),
    ("a bearer token", |call| {
        *call.header("authorization") = "Bearer x".to_owned()
    }),
];

fn replace_signature(call: &mut Signed, signature: &str) {
    let authorization = call.header("authorization");
    let (rest, _) = authorization.rsplit_once('=').unwrap();
    *authorization = format!("{rest}={signature}");
}

fn rewrite(call: &mut Signed, from: &str, to: &str) {
    let authorization = call.header("authorization");
    assert!(
        authorization.contains(from),
        "{from} is not in {authorization}"
    );
    *authorization = authorization.replacen(from, to, 1);
}

/// One test, because every part counts what arrived at one recorder.
#[test]
fn nothing_but_the_signed_request_is_sent() {
    let stage = stage();
    let recorder = stage.recorder("signing");
    let session = session();
    for call in [list_tables(), get_object()] {
        let answer = stage.gateway.send(&call.sign(&session).bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(recorder.requests().len(), 2);
    let arrived = recorder.bytes();

    for (what, bend) in BENDS {
        let mut call = list_tables().sign(&session);
        bend(&mut call);
        refused(what, &call.bytes());
    }
    let path = "/bucket/a%20b/%C3%A9?versionId=1";
    for bent in [
        "/bucket/a%20b/%c3%a9?versionId=1",
        "/bucket/a+b/%C3%A9?versionId=1",
        "/bucket/./a%20b/%C3%A9?versionId=1",
        "/bucket//a%20b/%C3%A9?versionId=1",
        "/bucket/x/../a%20b/%C3%A9?versionId=1",
        "/bucket/a%2520b/%C3%A9?versionId=1",
        "/bucket/a%20b%2F%C3%A9?versionId=1",
        "/bucket/a%20b/e%CC%81?versionId=1",
        "/bucket/a%20b/%C3%A9?versionId=1&acl",
        "/bucket/a%20b/%C3%A9?versionId=1&versionId=2",
        "/bucket/a%20b/%C3%A9",
        "/bucket/a%20b/%00?versionId=1",
        "/bucket/a%20b/%C0%AF?versionId=1",
    ] {
        assert_ne!(bent, path);
        let mut call = get_object().sign(&session);
        call.target = bent.to_owned();
        refused(bent, &call.bytes());
    }
    for at in (0..2000).step_by(31) {
        refused(
            &format!("bit {at} of the authorization"),
            &with_flipped_bit(list_tables().sign(&session), at),
        );
    }
    assert_eq!(recorder.bytes(), arrived, "something was sent to AWS");
}

fn refused(what: &str, request: &[u8]) {
    let answer = stage().gateway.send(request);
    let text = answer.text();
    assert!(
        [400, 403, 404, 405, 411, 413, 501].contains(&answer.status),
        "{what}: {} {text}",
        answer.status
    );
    for leak in [
        "AWS4-HMAC-SHA256\n",
        "aws4_request\n",
        "StringToSign",
        "CanonicalRequest",
    ] {
        assert!(!text.contains(leak), "{what} tells how to sign: {text}");
    }
}

/// Flips one bit of the authorization, skipping those that make it no header at all.
fn with_flipped_bit(mut call: Signed, at: usize) -> Vec<u8> {
    let authorization = call.header("authorization");
    let mut bytes = authorization.clone().into_bytes();
    let at = at % (bytes.len() * 7);
    bytes[at / 7] ^= 1 << (at % 7);
    *authorization = String::from_utf8(bytes).unwrap();
    call.bytes()
}

#[test]
fn a_call_signed_too_long_ago_is_told_the_gateway_s_time() {
    let stage = stage();
    let session = session();
    let old = list_tables()
        .aged(Duration::from_secs(20 * 60))
        .sign(&session);
    let answer = stage.gateway.send(&old.bytes());
    assert_eq!(
        answer.code(),
        "InvalidSignatureException",
        "{}",
        answer.text()
    );
    assert!(
        answer.header("date").is_some(),
        "clients correct their clock by it"
    );
    let old = get_object()
        .aged(Duration::from_secs(20 * 60))
        .sign(&session);
    let answer = stage.gateway.send(&old.bytes());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "RequestTimeTooSkewed"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_made_up_signature_gets_each_protocol_s_own_code() {
    let stage = stage();
    let session = Session {
        secret: "made up".to_owned(),
        ..session()
    };
    let code = |call: Call| stage.gateway.send(&call.sign(&session).bytes()).code();
    assert_eq!(code(list_tables()), "InvalidSignatureException");
    assert_eq!(
        code(Call::query(
            &host(),
            "iam",
            "Action=ListUsers&Version=2010-05-08"
        )),
        "SignatureDoesNotMatch"
    );
    assert_eq!(
        code(Call::query(
            &host(),
            "ec2",
            "Action=DescribeVpcs&Version=2016-11-15"
        )),
        "AuthFailure"
    );
    assert_eq!(code(get_object()), "SignatureDoesNotMatch");
}

#[test]
fn a_call_is_refused_before_its_body_is_read() {
    let stage = stage();
    let mut stranger = session();
    stranger.access_key_id = "PCAK0000000000000000".to_owned();
    let call = Call::s3(&host(), "PUT", "/bucket/key", &[0; 1024]).sign(&stranger);
    let mut stream = stage.gateway.connect();
    // The head announces a body that never comes.
    stream
        .write_all(&call.framed("expect: 100-continue\r\ncontent-length: 104857600\r\n", b""))
        .unwrap();
    let answer = wire::response(&mut stream).unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
}

/// curl asks AWS for the status and the answer to a call of IAM that is all in its URL.
fn curl(parameters: &str) -> (String, String) {
    let stage = stage();
    let session = stage
        .gateway
        .session(POWER, &stage.idp.token("agent-power"));
    let output = child::command("curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .arg("--cacert")
        .arg(stage.gateway.ca())
        .args(["--aws-sigv4", "aws:amz:us-east-1:iam", "--user"])
        .arg(format!("{}:{}", session.access_key_id, session.secret))
        .arg("--header")
        .arg(format!("x-amz-security-token: {}", session.token))
        .arg(format!("{}/?{parameters}", stage.gateway.url()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (answer, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), answer.to_owned())
}

#[test]
fn curl_makes_a_query_call_with_its_url_alone() {
    let (status, answer) = curl("Action=ListUsers&Version=2010-05-08");
    assert_eq!(status, "200", "{answer}");
    assert!(answer.contains("<ListUsersResponse"), "{answer}");
    let (status, answer) = curl("Action=CreateUser&UserName=by-url&Version=2010-05-08");
    assert_eq!(status, "403", "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    assert!(answer.contains("ask the platform team"), "{answer}");
}
