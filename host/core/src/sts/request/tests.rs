//! What `request` promises, as tests.

use super::*;
use crate::call::{AccessLevel, Action};
use crate::catalog::Protocol;

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

fn call(service: &str, operation: &str, members: &[(&str, Value)]) -> Call {
    let members = members.iter();
    let params = members.map(|(name, value)| ((*name).to_owned(), value.clone()));
    Call {
        service: service.to_owned(),
        operation: operation.to_owned(),
        protocol: Protocol::Query,
        partition: "aws".to_owned(),
        reach: "us-east-1".into(),
        account: "123456789012".to_owned(),
        params: Value::Structure(params.collect()),
        actions: vec![Action {
            name: format!("{service}:{operation}"),
            resource: "*".to_owned(),
            access: AccessLevel::Write,
        }],
        host_prefix: None,
        unmodelled: Vec::new(),
        signing_name: service.to_owned(),
        variant: crate::destination::Variant::Plain,
        addressing: crate::destination::Addressing::Path,
        embedded: None,
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn ask(operation: &str, members: &[(&str, Value)]) -> Result<Option<Request>, Refusal> {
    Request::of(&call("sts", operation, members))
}

fn assume(more: &[(&str, Value)]) -> Result<Option<Request>, Refusal> {
    let mut members = vec![("RoleArn", text(ROLE)), ("RoleSessionName", text("next"))];
    members.extend_from_slice(more);
    ask("AssumeRole", &members)
}

#[test]
fn calls_to_other_services_are_none_of_its_business() {
    let other = call("s3", "AssumeRole", &[]);
    assert_eq!(Request::of(&other), Ok(None));
}

#[test]
fn a_role_a_name_and_a_length_are_read() {
    let expected = |duration| {
        Ok(Some(Request::AssumeRole {
            role: RoleArn::parse(ROLE).unwrap(),
            session_name: SessionName::parse("next").unwrap(),
            duration,
        }))
    };
    assert_eq!(assume(&[]), expected(None));
    let length = ("DurationSeconds", Value::Integer(900));
    assert_eq!(assume(&[length]), expected(Some(900)));
    assert_eq!(assume(&[("ExternalId", text("tenant"))]), expected(None));
}

#[test]
fn sessions_of_the_same_role_are_read() {
    let long = ("DurationSeconds", Value::Integer(129_600));
    let duration = Some(129_600);
    assert_eq!(
        ask("GetSessionToken", std::slice::from_ref(&long)),
        Ok(Some(Request::GetSessionToken { duration }))
    );
    assert_eq!(
        ask("GetFederationToken", &[("Name", text("bob")), long]),
        Ok(Some(Request::GetFederationToken {
            session_name: SessionName::parse("bob").unwrap(),
            duration,
        }))
    );
}

#[test]
fn what_would_narrow_or_mark_the_session_is_refused_by_name() {
    let check = |refused: Result<Option<Request>, Refusal>, name: &str| {
        let refusal = refused.unwrap_err();
        assert!(matches!(refusal, Refusal::InvalidInput(_)), "{refusal:?}");
        let named = format!("`{name}` is not taken here, so leave it out");
        assert!(refusal.to_string().starts_with(&named), "{refusal}");
    };
    for name in [
        "Policy",
        "PolicyArns",
        "Tags",
        "TransitiveTagKeys",
        "SerialNumber",
        "TokenCode",
        "SourceIdentity",
        "ProvidedContexts",
        "MinimumSessionTokenSize",
        "Unheard",
    ] {
        check(assume(&[(name, text(""))]), name);
    }
    for name in ["Policy", "PolicyArns", "Tags"] {
        let members = [("Name", text("bob")), (name, Value::List(Vec::new()))];
        check(ask("GetFederationToken", &members), name);
    }
    for name in ["SerialNumber", "TokenCode"] {
        check(ask("GetSessionToken", &[(name, text("1"))]), name);
    }
}

#[test]
fn what_is_missing_or_out_of_bounds_is_refused_by_name() {
    let check = |refused: Result<Option<Request>, Refusal>, expected: &str| {
        let refusal = refused.unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    };
    let name = ("RoleSessionName", text("next"));
    check(ask("AssumeRole", std::slice::from_ref(&name)), "`RoleArn`");
    check(
        ask("AssumeRole", &[("RoleArn", text(ROLE))]),
        "`RoleSessionName` is missing",
    );
    check(
        ask("AssumeRole", &[("RoleArn", text("deploy")), name]),
        "arn:aws:iam::",
    );
    check(ask("GetFederationToken", &[]), "`Name` is missing");
    let long = text(&"x".repeat(33));
    check(ask("GetFederationToken", &[("Name", long)]), "2 to 32");
    check(ask("GetAccessKeyInfo", &[]), "`AccessKeyId` is missing");
    let empty = [("AccessKeyId", text(""))];
    check(ask("GetAccessKeyInfo", &empty), "`AccessKeyId` is missing");
    for value in [
        Value::Integer(899),
        Value::Integer(43_201),
        Value::Integer(-1),
        Value::Integer(1 << 40),
        Value::Null,
    ] {
        check(assume(&[("DurationSeconds", value)]), "900 to 43200");
    }
    let long = ("DurationSeconds", Value::Integer(129_601));
    check(ask("GetSessionToken", &[long]), "900 to 129600");
}

#[test]
fn every_other_operation_is_denied_with_a_reason_of_its_own() {
    let mut reasons = std::collections::BTreeSet::new();
    for operation in [
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "DecodeAuthorizationMessage",
        "GetWebIdentityToken",
        "Invented",
    ] {
        let Err(Refusal::Denied { rule, reason }) = ask(operation, &[]) else {
            panic!("{operation} is carried out");
        };
        assert_eq!(rule, "gateway/sts");
        let (named, why) = reason.split_once(" is not carried out: ").unwrap();
        assert_eq!(named, format!("`sts:{operation}`"));
        assert!(reasons.insert(why.to_owned()), "{operation}: {why}");
    }
}

/// A new operation of STS must be thought about before it is answered as unknown.
#[test]
fn the_catalog_has_no_operation_of_sts_that_is_not_known_here() {
    let sts = crate::catalog::Catalog::embedded().service("sts").unwrap();
    let answered = [
        "AssumeRole",
        "GetAccessKeyInfo",
        "GetCallerIdentity",
        "GetFederationToken",
        "GetSessionToken",
    ];
    let unknown = refuse("").to_string();
    let (_, unknown) = unknown.split_once("carried out: ").unwrap();
    for operation in &sts.operations {
        let name = operation.name.as_str();
        let known = answered.contains(&name) || !refuse(name).to_string().contains(unknown);
        assert!(known, "{name}");
    }
}
