//! From one session to the next: the gateway's STS answers with credentials of its own, for roles
//! the principal may use, and the log tells which session came from which.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::client::{Agent, assert_all_ok, value};
use crate::fixture::sign::{Call, Session};
use crate::fixture::wire::Response;
use crate::fixture::{POWER, READ_ONLY, place, stage};

const CHAINED: &str = "arn:aws:sts::123456789012:assumed-role/agent-power/chained";

/// A profile that takes one role by web identity, and one that takes another from there.
fn profiles(agent: &Agent) -> Agent {
    let config = place::directory("profiles").join("config");
    let token = agent.variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    let text = format!(
        "[profile base]\nrole_arn = {READ_ONLY}\nweb_identity_token_file = {token}\n\
         [profile chained]\nrole_arn = {POWER}\nsource_profile = base\n\
         role_session_name = chained\n"
    );
    fs::write(&config, text).unwrap();
    agent
        .clone()
        .without("AWS_ROLE_ARN")
        .without("AWS_WEB_IDENTITY_TOKEN_FILE")
        .with("AWS_CONFIG_FILE", config.to_str().unwrap())
        .with("AWS_PROFILE", "chained")
}

fn ask(session: &Session, form: &str) -> Response {
    let form = format!("Version=2011-06-15&{form}");
    let call = Call::query(&stage().gateway.host(), "sts", &form);
    stage().gateway.send(&call.sign(session).bytes())
}

fn issued(answer: &Response) -> Session {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let element = |name| answer.element(name).unwrap();
    Session {
        access_key_id: element("AccessKeyId"),
        secret: element("SecretAccessKey"),
        token: element("SessionToken"),
    }
}

fn power() -> Session {
    let stage = stage();
    let token = stage.idp.token("agent-power");
    stage.gateway.session(READ_ONLY, &token)
}

fn list_tables(session: &Session) -> u16 {
    let gateway = &stage().gateway;
    let call = Call::dynamodb(&gateway.host(), "ListTables", "{}");
    gateway.send(&call.sign(session).bytes()).status
}

#[test]
fn boto3_works_with_the_role_it_assumed() {
    let lines = stage().agent("agent-power", READ_ONLY).boto("chain", POWER);
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "chained.get_caller_identity"), CHAINED);
    let key = value(&lines, "sts.assume_role");
    assert!(key.as_str().unwrap().starts_with("PCAK"), "{key}");
}

#[test]
fn the_cli_assumes_a_role_from_a_source_profile() {
    let agent = profiles(&stage().agent("agent-power", READ_ONLY));
    let identity = agent.cli_json(&["sts", "get-caller-identity"]);
    assert_eq!(identity["Arn"], CHAINED);
    agent.cli_json(&["dynamodb", "list-tables"]);
}

#[test]
fn javascript_assumes_a_role_from_a_source_profile() {
    let agent = profiles(&stage().agent("agent-power", READ_ONLY));
    let lines = agent.javascript("sts", "js");
    assert_eq!(value(&lines, "STS.GetCallerIdentity")["Arn"], CHAINED);
}

#[test]
fn policy_denies_a_role_before_any_session_exists() {
    let stage = stage();
    let agent = stage
        .gateway
        .session(READ_ONLY, &stage.idp.token("agent-ci"));
    let form = format!("Action=AssumeRole&RoleArn={READ_ONLY}&RoleSessionName=policy-denies");
    let answer = ask(&agent, &form);
    assert_eq!(answer.code(), "AccessDenied", "{}", answer.text());
    assert!(answer.element("AccessKeyId").is_none());
    let record = record_of(&answer);
    assert_eq!(record["decision"], "deny");
    assert_eq!(record["actions"], json!(["sts:AssumeRole"]));
    assert_eq!(record["resources"], json!([READ_ONLY]));
    assert_eq!(record["access_key_id"], json!(agent.access_key_id));
    assert_eq!(record.get("issued_access_key_id"), None);
    let events = stage.gateway.events();
    let issued = events
        .iter()
        .any(|entry| entry["event"] == "credentials-issued" && entry["session"] == "policy-denies");
    assert!(!issued, "a session was issued");
}

#[test]
fn the_log_tells_which_session_came_from_which() {
    let parent = power();
    let form = format!("Action=AssumeRole&RoleArn={POWER}&RoleSessionName=next");
    let answer = ask(&parent, &form);
    let child = issued(&answer);
    let record = record_of(&answer);
    assert_eq!(record["access_key_id"], json!(parent.access_key_id));
    assert_eq!(record["issued_access_key_id"], json!(child.access_key_id));
    assert_eq!(
        (&record["decision"], &record["outcome"]),
        (&json!("allow"), &json!("answered"))
    );
    assert_eq!(list_tables(&child), 200);
    let mut entries = stage().gateway.audit();
    entries.extend(stage().gateway.events());
    let of_child = |entry: &&Value| entry["access_key_id"] == json!(child.access_key_id);
    let of_child: Vec<_> = entries.iter().filter(of_child).collect();
    assert_eq!(of_child.len(), 2, "{of_child:#?}");
    for entry in of_child {
        assert_eq!(entry["parent_access_key_id"], json!(parent.access_key_id));
    }
}

#[test]
fn sessions_of_the_same_role_work_and_are_no_longer_than_their_parent() {
    let parent = power();
    for form in [
        "Action=GetSessionToken",
        "Action=GetFederationToken&Name=bob&DurationSeconds=129600",
    ] {
        let answer = ask(&parent, form);
        let child = issued(&answer);
        assert_eq!(list_tables(&child), 200, "{form}");
        let entries = stage().gateway.events();
        let end = |key: &str| {
            let event = entries.iter().find(|entry| {
                entry["event"] == "credentials-issued" && entry["access_key_id"] == key
            });
            event.unwrap()["expires"].as_str().unwrap().to_owned()
        };
        assert!(end(&child.access_key_id) <= end(&parent.access_key_id));
    }
}

#[test]
fn what_would_be_ignored_or_is_not_theirs_is_refused() {
    let parent = power();
    let assume = |more: &str| {
        let form = format!("Action=AssumeRole&RoleArn={POWER}&RoleSessionName=next{more}");
        ask(&parent, &form)
    };
    for (answer, code, says) in [
        (assume("&Policy=%7B%7D"), "ValidationError", "`Policy`"),
        (
            assume("&SourceIdentity=eve"),
            "ValidationError",
            "`SourceIdentity`",
        ),
        (
            assume("&Tags.member.1.Key=a&Tags.member.1.Value=b"),
            "ValidationError",
            "`Tags`",
        ),
        (
            assume("&DurationSeconds=43200"),
            "ValidationError",
            "limit of",
        ),
        (
            ask(
                &parent,
                "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/AgentPower&RoleSessionName=next",
            ),
            "AccessDenied",
            "does not exist here",
        ),
        (
            ask(
                &parent,
                "Action=AssumeRoot&TargetPrincipal=123456789012&TaskPolicyArn.arn=arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy",
            ),
            "AccessDenied",
            "sts:AssumeRoot",
        ),
    ] {
        assert_eq!(answer.code(), code, "{}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
        assert!(answer.element("AccessKeyId").is_none());
        assert_eq!(
            record_of(&answer)["access_key_id"],
            json!(parent.access_key_id)
        );
    }
}

fn record_of(answer: &Response) -> Value {
    let id = answer.element("RequestId").unwrap();
    let entries = stage().gateway.audit();
    let found = entries.into_iter().find(|entry| entry["id"] == json!(id));
    found.unwrap_or_else(|| panic!("no record of {id}"))
}
