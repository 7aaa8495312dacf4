//! Presigned URLs: what anybody may do with one is exactly what was signed, and AWS never sees it.

use std::time::Duration;

use serde_json::json;

use crate::fixture::client::{assert_all_ok, value};
use crate::fixture::sign::{Call, Payload, Session, Signed};
use crate::fixture::wire::{self, Response};
use crate::fixture::{POWER, recorded_role, stage};

const MINUTE: Duration = Duration::from_secs(60);

fn session() -> Session {
    let stage = stage();
    stage.gateway.session(
        &recorded_role("presigned"),
        &stage.idp.token("agent-uploads"),
    )
}

fn call(method: &'static str, target: &str, body: &[u8]) -> Call {
    Call {
        payload: Payload::Unsigned,
        ..Call::s3(&stage().gateway.host(), method, target, body)
    }
}

fn send(signed: &Signed) -> Response {
    stage().gateway.send(&signed.bytes())
}

fn arrived(target: &str) -> Vec<wire::Request> {
    let requests = stage().recorder("presigned").requests();
    requests
        .into_iter()
        .filter(|request| request.line.contains(target))
        .collect()
}

#[test]
fn a_url_is_sent_on_with_the_gateways_own_signature_in_the_header() {
    let target = "/bucket/read%20me?response-content-type=text%2Fplain&versionId=7";
    let answer = send(&call("GET", target, b"").presign(&session(), MINUTE));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = arrived("/bucket/read");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, format!("GET {target} HTTP/1.1"));
    let authorization = requests[0].header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential="));
    assert!(!authorization.contains("PCAK"), "{authorization}");
}

#[test]
fn hoisted_headers_arrive_as_headers() {
    let target = "/bucket/hoisted?x-amz-meta-colour=dark%20blue&x-amz-storage-class=STANDARD_IA";
    let signed = call("PUT", target, b"hello").presign(&session(), MINUTE);
    let answer = send(&signed);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let requests = arrived("/bucket/hoisted");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "PUT /bucket/hoisted HTTP/1.1");
    assert_eq!(requests[0].header("x-amz-meta-colour"), Some("dark blue"));
    assert_eq!(
        requests[0].header("x-amz-storage-class"),
        Some("STANDARD_IA")
    );
    assert_eq!(requests[0].body, b"hello");
    let signed = requests[0].header("authorization").unwrap();
    assert!(signed.contains(";x-amz-meta-colour;"), "{signed}");
}

#[test]
fn a_url_that_was_bent_sends_nothing() {
    let session = session();
    let good = || call("GET", "/bucket/bent-url?versionId=1", b"").presign(&session, MINUTE);
    let bent = |from: &str, to: &str| {
        let mut signed = good();
        let target = signed.target.replace(from, to);
        assert_ne!(target, signed.target);
        signed.target = target;
        signed
    };
    let header = call("GET", "/bucket/bent-url?versionId=1", b"").sign(&session);
    let mut both = good();
    both.headers.extend(
        header
            .headers
            .into_iter()
            .filter(|(name, _)| name != "host"),
    );
    let mut posted = good();
    posted.method = "DELETE".to_owned();
    let cases = [
        ("another key", bent("bent-url", "bent-urn")),
        ("another version", bent("versionId=1", "versionId=2")),
        ("another method", posted),
        ("one parameter more", bent("versionId=1", "versionId=1&acl")),
        (
            "a hoisted header more",
            bent("versionId=1", "versionId=1&x-amz-acl=private"),
        ),
        ("one parameter less", bent("versionId=1&", "")),
        ("a longer life", bent("Expires=60", "Expires=600")),
        ("no life", bent("Expires=60", "Expires=0")),
        ("a life of weeks", bent("Expires=60", "Expires=604801")),
        (
            "a second life",
            bent("Expires=60", "Expires=60&X-Amz-Expires=60"),
        ),
        (
            "in small letters",
            bent("X-Amz-Signature", "x-amz-signature"),
        ),
        ("without a token", bent("X-Amz-Security-Token", "Token")),
        ("with a header signature as well", both),
        (
            "with an unsigned header",
            good().with("x-amz-acl", "public-read"),
        ),
        ("after its end", {
            let old = call("GET", "/bucket/bent-url?versionId=1", b"").aged(2 * MINUTE);
            old.presign(&session, MINUTE)
        }),
    ];
    for (what, signed) in cases {
        let answer = send(&signed);
        let seen = format!("{what}: {} {}", answer.status, answer.text());
        assert!([400, 403].contains(&answer.status), "{seen}");
        // S3's own shape, as a browser or curl shows it.
        assert_eq!(
            answer.header("content-type"),
            Some("application/xml"),
            "{seen}"
        );
        assert!(answer.text().contains("<Error><Code>"), "{seen}");
    }
    assert_eq!(arrived("bent-ur").len(), 0);
    let old = call("GET", "/bucket/bent-url", b"").aged(2 * MINUTE);
    let answer = send(&old.presign(&session, MINUTE));
    assert_eq!(
        (answer.status, answer.code()),
        (403, "AccessDenied".to_owned())
    );
    assert!(
        answer.text().contains("presign a new one"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_url_does_what_policy_allows_and_no_more() {
    let session = session();
    let denied = call("DELETE", "/bucket/not-yours", b"").presign(&session, MINUTE);
    let answer = send(&denied);
    assert_eq!(
        (answer.status, answer.code()),
        (403, "AccessDenied".to_owned())
    );
    assert_eq!(arrived("not-yours").len(), 0);
}

#[test]
fn another_sessions_token_does_not_fit() {
    let (stage, mine) = (stage(), session());
    let other = stage
        .gateway
        .session(&recorded_role("presigned"), &stage.idp.token("agent-ci"));
    let mixed = Session {
        token: other.token,
        ..mine
    };
    let answer = send(&call("GET", "/bucket/mixed", b"").presign(&mixed, MINUTE));
    assert!([400, 403].contains(&answer.status), "{}", answer.text());
    assert_eq!(arrived("/bucket/mixed").len(), 0);
}

#[test]
fn a_call_that_boto3_presigns_inside_another_goes_out_as_the_gateways_own() {
    let stage = stage();
    let lines = stage.agent("agent-power", POWER).boto("copies", "copies");
    let (copied, elsewhere) = (&lines[0], &lines[1]);
    assert_eq!(
        (&copied["ok"], &copied["value"]),
        (&json!(true), &json!("snap-")),
        "{copied}"
    );
    // The region of the source must be open to the connection, too.
    assert_eq!(elsewhere["code"], "UnauthorizedOperation", "{elsewhere}");
    let message = elsewhere["message"].as_str().unwrap();
    assert!(message.contains("region `eu-central-1`"), "{message}");
    assert_eq!(stage.tap.seen().gateway_keys, 0);
    let records = stage.gateway.audit();
    let copy = records
        .iter()
        .rfind(|record| record["operation"] == "CopySnapshot" && record["status"] == 200);
    let shown = copy.unwrap().to_string();
    assert!(!shown.contains("Signature"), "{shown}");
    assert!(shown.contains("eu-west-1"), "{shown}");
}

#[test]
fn what_boto3_presigns_works_without_boto3() {
    let lines = stage()
        .agent("agent-power", POWER)
        .boto("presigned", "presigned");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "put"), 200);
    assert_eq!(value(&lines, "get"), "h\u{e9}llo");
    assert_eq!(value(&lines, "head"), 200);
    assert_eq!(value(&lines, "list"), 200);
    assert_eq!(value(&lines, "tampered"), 403);
    let sigv2 = value(&lines, "sigv2");
    assert!(
        sigv2.as_str().unwrap().contains("signature_version="),
        "{sigv2}"
    );
}
