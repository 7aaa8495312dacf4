//! A denied call reaches every client as its own typed error, in one attempt, and AWS not at all.

use serde_json::Value;

use crate::fixture::client::Agent;
use crate::fixture::{READ_ONLY, recorded_role, stage};

/// Each service's own word for it.
const CODES: [&str; 3] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
];

fn check(lines: &[Value]) {
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(line["ok"], false, "{line}");
        assert!(
            CODES.contains(&line["code"].as_str().unwrap_or_default()),
            "{line}"
        );
        assert_eq!(line["attempts"], 1, "{line}");
        // awsJson puts every client fault into 400.
        assert!(line["status"] == 403 || line["status"] == 400, "{line}");
        let message = line["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("rule"),
            "the message says which rule: {line}"
        );
    }
}

fn reader() -> Agent {
    stage().agent("agent-ci", READ_ONLY)
}

#[test]
fn boto3_gets_its_typed_denial_in_one_attempt() {
    let lines = reader().boto("denied", "denied-boto");
    check(&lines);
    let code = |step: &str| {
        let line = lines.iter().find(|line| line["step"] == step);
        line.unwrap()["code"].as_str().unwrap().to_owned()
    };
    // SQS speaks JSON now, and its callers still expect the words of its query protocol.
    assert_eq!(code("sqs.create_queue"), "AccessDenied");
    // An answer that would be an event stream is refused before there is one.
    let stream = code("lambda.invoke_with_response_stream");
    assert_eq!(stream, "AccessDeniedException");
}

#[test]
fn javascript_gets_its_typed_denial_in_one_attempt() {
    let lines = reader().javascript("denied", "denied-js");
    check(&lines);
}

#[test]
fn the_rust_sdk_gets_its_typed_denial_in_one_attempt() {
    check(&reader().rust("denied", "denied-rust"));
}

#[test]
fn the_cli_shows_the_denial_and_its_reason() {
    let output = reader().cli(&["iam", "create-user", "--user-name", "denied-cli"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("(AccessDenied)"), "{errors}");
    assert!(errors.contains("ask the platform team"), "{errors}");
    assert!(errors.contains("no-new-users"), "{errors}");
}

#[test]
fn a_denied_call_sends_no_byte_to_aws() {
    let stage = stage();
    let recorder = stage.recorder("denied");
    let agent = stage.agent("agent-ci", &recorded_role("denied"));
    check(&agent.boto("denied", "recorded"));
    assert_eq!(recorder.bytes(), 0);
}

#[test]
fn a_forbid_beats_a_permit() {
    let stage = stage();
    let agent = stage.agent("agent-power", crate::fixture::POWER);
    let delete = |table: &str| agent.cli(&["dynamodb", "delete-table", "--table-name", table]);
    let errors = String::from_utf8_lossy(&delete("prod-orders").stderr).into_owned();
    assert!(errors.contains("(AccessDeniedException)"), "{errors}");
    assert!(errors.contains("deleted by people only"), "{errors}");
    // Any other table gets as far as AWS, which does not know it.
    let errors = String::from_utf8_lossy(&delete("test-orders").stderr).into_owned();
    assert!(errors.contains("(ResourceNotFoundException)"), "{errors}");
}

#[test]
fn a_denied_head_says_so_by_its_status() {
    let stage = stage();
    let token = stage.idp.token("agent-power");
    let answer = stage.gateway.assume(READ_ONLY, &token);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // `agents-read` permits reading, so that only a foreign region is refused here.
    let session = stage.gateway.session(READ_ONLY, &token);
    let mut call =
        crate::fixture::sign::Call::s3(&stage.gateway.host(), "HEAD", "/bucket/key", b"");
    call.region = "ap-south-1";
    let mut stream = stage.gateway.connect();
    let request = call.sign(&session).with("connection", "close").bytes();
    std::io::Write::write_all(&mut stream, &request).unwrap();
    let bytes = crate::fixture::wire::rest(&mut stream).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "a HEAD has no body: {text}");
}
