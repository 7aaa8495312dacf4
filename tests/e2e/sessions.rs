//! What the gateway's credentials are: worth nothing when bent, swapped or incomplete, and honest
//! about who holds them.

use crate::fixture::client::value;
use crate::fixture::sign::{Call, Session};
use crate::fixture::{READ_ONLY, recorded_role, stage};

fn session(client_id: &str) -> Session {
    let stage = stage();
    stage
        .gateway
        .session(&recorded_role("sessions"), &stage.idp.token(client_id))
}

fn list_tables() -> Call {
    Call::dynamodb(&stage().gateway.host(), "ListTables", "{}")
}

#[test]
fn caller_identity_is_the_gateway_s_own_principal() {
    let lines = stage().agent("agent-ci", READ_ONLY).boto("sts", "identity");
    let identity = value(&lines, "sts.get_caller_identity");
    assert_eq!(identity["Account"], "123456789012");
    let arn = identity["Arn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:sts::123456789012:assumed-role/agent-readonly/"),
        "{arn}"
    );
    assert!(!identity.to_string().contains("ASIA"), "{identity}");
}

#[test]
fn sts_calls_that_the_gateway_cannot_answer_are_refused_in_one_attempt() {
    let lines = stage()
        .agent("agent-power", crate::fixture::POWER)
        .boto("sts", "identity");
    let others: Vec<_> = lines
        .iter()
        .filter(|line| line["step"] != "sts.get_caller_identity")
        .collect();
    assert_eq!(others.len(), 3);
    for line in others {
        assert_eq!(line["ok"], false, "{line}");
        let code = line["code"].as_str().unwrap();
        assert!(
            ["AccessDenied", "ValidationError"].contains(&code),
            "{line}"
        );
        assert_eq!(line["attempts"], 1, "{line}");
    }
}

/// One test, because it counts what arrived at one recorder.
#[test]
fn a_session_works_only_whole_and_unbent() {
    let recorder = stage().recorder("sessions");
    let (mine, other) = (session("agent-ci"), session("agent-two"));
    let good = stage().gateway.send(&list_tables().sign(&mine).bytes());
    assert_eq!(good.status, 200, "{}", good.text());
    let arrived = recorder.bytes();

    let codes = [
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
    ];
    for (what, session) in bent(&mine, &other) {
        let answer = stage().gateway.send(&list_tables().sign(&session).bytes());
        assert!(
            [400, 403].contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(
            codes.contains(&answer.code().as_str()),
            "{what}: {} {}",
            answer.code(),
            answer.text()
        );
    }
    assert_eq!(recorder.bytes(), arrived, "something was sent to AWS");
}

/// Each way in which one session can be less, or more, than it was when it was handed out.
fn bent(mine: &Session, other: &Session) -> Vec<(&'static str, Session)> {
    let with = |change: &dyn Fn(&mut Session)| {
        let mut changed = mine.clone();
        change(&mut changed);
        changed
    };
    let bend = |token: &str, at: usize| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let length = mine.token.len();
    let mut bad = vec![
        (
            "another's session token",
            with(&|session| session.token.clone_from(&other.token)),
        ),
        (
            "another's secret",
            with(&|session| session.secret.clone_from(&other.secret)),
        ),
        (
            "another's access key",
            with(&|session| session.access_key_id.clone_from(&other.access_key_id)),
        ),
        ("no session token", with(&|session| session.token.clear())),
        (
            "half a session token",
            with(&|session| session.token.truncate(length / 2)),
        ),
        (
            "a longer session token",
            with(&|session| session.token.push('A')),
        ),
        (
            "two tokens in one",
            with(&|session| session.token.push_str(&other.token)),
        ),
        (
            "an access key of AWS",
            with(&|session| session.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ),
        (
            "an access key nobody has",
            with(&|session| session.access_key_id = "PCAK0000000000000000".to_owned()),
        ),
        (
            "no secret",
            with(&|session| session.secret = "wrong".to_owned()),
        ),
    ];
    for at in [0, 1, length / 4, length / 2, length - 3] {
        bad.push((
            "a bent session token",
            with(&|session| session.token = bend(&session.token, at)),
        ));
    }
    bad
}

#[test]
fn an_unknown_access_key_gets_each_protocol_s_own_code() {
    let stage = stage();
    let host = stage.gateway.host();
    let mut stranger = session("agent-ci");
    stranger.access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned();
    let code = |call: Call| stage.gateway.send(&call.sign(&stranger).bytes()).code();
    assert_eq!(code(list_tables()), "UnrecognizedClientException");
    let users = "Action=ListUsers&Version=2010-05-08";
    assert_eq!(
        code(Call::query(&host, "iam", users)),
        "InvalidClientTokenId"
    );
    let vpcs = "Action=DescribeVpcs&Version=2016-11-15";
    assert_eq!(code(Call::query(&host, "ec2", vpcs)), "AuthFailure");
    assert_eq!(
        code(Call::s3(&host, "GET", "/bucket/key", b"")),
        "InvalidAccessKeyId"
    );
}

#[test]
fn an_unsigned_call_is_told_how_to_sign() {
    let gateway = &stage().gateway;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.ListTables\r\ncontent-length: 2\r\n\r\n{{}}",
        gateway.host()
    );
    let answer = gateway.send(request.as_bytes());
    assert!([400, 403].contains(&answer.status), "{}", answer.status);
    assert_eq!(answer.code(), "MissingAuthenticationTokenException");
    assert!(
        answer.text().contains("AssumeRoleWithWebIdentity"),
        "{}",
        answer.text()
    );
}
