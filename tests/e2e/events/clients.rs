//! Streams as AWS's own client for Transcribe signs and reads them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ROLE, ground};
use crate::fixture::client::{Agent, run, value};
use crate::fixture::speaker::End;
use crate::fixture::{child, idp};

/// What the client says of one conversation, and what the record does.
fn transcribe(language: &str, session: &str) -> (Vec<Value>, Value) {
    let ground = ground();
    let agent = Agent::new(&ground.gateway, ROLE, &idp().token("agent-ci"));
    let lines = run(agent.module("transcribe.mjs", language, session));
    let record = child::until("the record to be closed", Duration::from_secs(30), || {
        let mut audit = ground.gateway.audit().into_iter();
        let own = audit.find(|record| record["params"]["SessionId"] == session)?;
        own["outcome"].is_string().then_some(own)
    });
    assert_eq!(record["service"], "transcribe-streaming");
    assert_eq!(
        record["actions"],
        json!(["transcribe:StartStreamTranscription"])
    );
    (lines, record)
}

#[test]
fn it_talks_and_listens() {
    let session = "00000000-0000-4000-8000-000000000000";
    let (lines, record) = transcribe("en-US", session);
    let heard = lines.iter().filter(|line| line["step"] == "heard");
    let heard: Vec<_> = heard.map(|line| line["value"].clone()).collect();
    assert_eq!(heard, ["one", "two", "three", "{}"], "{lines:?}");
    assert_eq!(lines.last().unwrap()["step"], "end", "{lines:?}");
    assert_eq!(record["outcome"], "answered", "{record}");
    let upstream = ground().speaker.ended(session);
    assert_eq!(upstream.end, End::Complete, "{upstream:?}");
    let said: Vec<_> = upstream.events.iter().map(|(_, bytes)| &**bytes).collect();
    assert_eq!(said, [&b"one"[..], b"two", b"three"]);
}

#[test]
fn it_reads_why_it_is_refused() {
    let session = "00000000-0000-4000-8000-000000000010";
    let (lines, record) = transcribe("de-DE", session);
    let error = value(&lines, "error");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("Only English"), "{error}");
    assert_eq!(error["code"], "AccessDeniedException");
    assert_eq!(record["decision"], "deny", "{record}");
    assert!(ground().speaker.heard(session).is_empty());
}

#[test]
fn an_exception_in_mid_stream_is_its_own_type() {
    // The words that ask the speaker for it are no part of a session's id for AWS.
    let session = "failing-0000-4000-8000-000000000020";
    let (lines, record) = transcribe("en-US", session);
    let error = value(&lines, "error");
    assert_eq!(error["type"], "LimitExceededException", "{error}");
    assert_eq!(error["message"], "too much at once");
    assert_eq!(record["error_code"], "LimitExceededException");
}
