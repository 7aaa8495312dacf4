//! What `sts` promises, as tests.

use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::access::Principal;
use crate::token::{KeyId, KeyRing, NewSession, RANDOMNESS, RingKey};

const GOOD: &str = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15\
    &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fagent-readonly\
    &RoleSessionName=AWS-CLI-session-1&WebIdentityToken=a.b.c";

fn parse_text(form: &str) -> Result<SignIn, Refusal> {
    parse(form.as_bytes())
}

#[test]
fn form_of_an_sdk_is_read() {
    let sign_in = parse_text(&format!("{GOOD}&DurationSeconds=3600")).unwrap();
    assert_eq!(
        sign_in.role.to_string(),
        "arn:aws:iam::123456789012:role/agent-readonly"
    );
    assert_eq!(sign_in.session_name.as_str(), "AWS-CLI-session-1");
    assert_eq!(sign_in.token.expose(), "a.b.c");
    assert_eq!(sign_in.duration, Some(3600));
    assert_eq!(parse_text(GOOD).unwrap().duration, None);
}

#[test]
fn token_is_never_printed() {
    assert!(!format!("{:?}", parse_text(GOOD).unwrap()).contains("a.b.c"));
}

#[test]
fn anything_else_in_the_form_is_refused() {
    let check = |suffix: &str, expected: &str| {
        let refusal = parse_text(&format!("{GOOD}{suffix}")).unwrap_err();
        assert!(
            refusal.to_string().contains(expected),
            "{suffix}: {refusal}"
        );
    };
    check("&RoleArn=x", "more than once");
    check("&%52oleArn=x", "more than once");
    check("&roleArn=x", "no parameter `roleArn`");
    check("&Tags.member.1.Key=x", "no parameter `Tags.member.1.Key`");
    check("&Policy=%7B%7D", "session policies");
    check("&Policy=", "session policies");
    check("&PolicyArns.member.1.arn=x", "session policies");
    check("&ProviderId=www.example.com", "ProviderId");
    check("&DurationSeconds=", "DurationSeconds");
    check("&DurationSeconds=899", "DurationSeconds");
    check("&DurationSeconds=43201", "DurationSeconds");
    check("&DurationSeconds=3600.0", "DurationSeconds");
    check("&DurationSeconds=%2B3600", "DurationSeconds");
    check("&DurationSeconds=4294968196", "DurationSeconds");
    check("&", "no value");
    check("&x", "no value");
    check("&x=%", "cut off");
    check("&x=%4", "cut off");
    check("&x=%zz", "hexadecimal");
    check("&x=%ff", "UTF-8");
    check("&x%00=1", "no parameter `x\\u{0}`");
}

#[test]
fn each_parameter_is_needed_and_checked() {
    let check = |from: &str, to: &str, expected: &str| {
        let form = GOOD.replace(from, to);
        assert_ne!(form, GOOD);
        let refusal = parse_text(&form).unwrap_err();
        assert!(refusal.to_string().contains(expected), "{form}: {refusal}");
    };
    check(
        "Action=AssumeRoleWithWebIdentity&",
        "",
        "`Action` is missing",
    );
    check(
        "Action=AssumeRoleWithWebIdentity",
        "Action=GetCallerIdentity",
        "not signed",
    );
    check(
        "Action=AssumeRoleWithWebIdentity",
        "Action=assumerolewithwebidentity",
        "not signed",
    );
    check(
        "Action=AssumeRoleWithWebIdentity",
        "Action=AssumeRoleWithSAML",
        "AssumeRoleWithSAML",
    );
    check("2011-06-15", "2012-11-05", "`Version` must be");
    check("&Version=2011-06-15", "", "`Version` is missing");
    check("AWS-CLI-session-1", "x", "RoleSessionName");
    check("AWS-CLI-session-1", "a%20b", "RoleSessionName");
    check("AWS-CLI-session-1", "a%2Fb", "RoleSessionName");
    check("AWS-CLI-session-1", "%C3%A4%C3%A4", "RoleSessionName");
    check("AWS-CLI-session-1", &"x".repeat(65), "RoleSessionName");
    check(
        "&WebIdentityToken=a.b.c",
        "",
        "`WebIdentityToken` is missing",
    );
    check("=a.b.c", "=", "`WebIdentityToken` is missing");
    check("role%2Fagent-readonly", "user%2Fada", "RoleArn");
    check("123456789012", "12345678901", "RoleArn");
    check("123456789012", "12345678901x", "RoleArn");
    check("arn%3Aaws", "urn%3Aaws", "RoleArn");
    check("arn%3Aaws", "arn%3A", "RoleArn");
    check("arn%3Aaws", "arn%3Aaws%2F", "RoleArn");
    check("agent-readonly", "agent%20readonly", "RoleArn");
    check("agent-readonly", "", "RoleArn");
    check("arn%3Aaws%3Aiam", "arn%3Aaws%3Asts", "RoleArn");
    check("%3Aiam%3A%3A", "%3Aiam%3Aus-east-1%3A", "RoleArn");
}

#[test]
fn oversized_forms_are_refused_unread() {
    let form = format!("{GOOD}&x={}", "y".repeat(MAX_FORM));
    assert!(matches!(
        parse_text(&form),
        Err(Refusal::PayloadTooLarge { .. })
    ));
    let many: String = (0..40).map(|n| format!("&p{n}=1")).collect();
    let refusal = parse_text(&format!("{GOOD}{many}")).unwrap_err();
    assert!(refusal.to_string().contains("too many"), "{refusal}");
}

#[test]
fn session_names_can_be_made_of_any_text() {
    let check = |text: &str, name: &str| {
        assert_eq!(SessionName::resembling(text).as_str(), name);
        assert!(SessionName::parse(name).is_ok());
    };
    check("ada@example.com", "ada@example.com");
    check("auth0|5f7c", "auth0-5f7c");
    check("repo:org/app:ref", "repo-org-app-ref");
    check("", "--");
    check("ä", "--");
    check(&"x".repeat(70), &"x".repeat(64));
}

#[test]
fn answers_are_escaped_and_complete() {
    let ring = KeyRing::new(
        RingKey::new(KeyId::parse("aaaaaaaa").unwrap(), &[1; 32]),
        Vec::new(),
    );
    let session = NewSession {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: "a<b>&\"c".to_owned(),
            email: None,
            groups: Vec::new(),
        },
        name: "claude".to_owned(),
        connection: "dev".to_owned(),
        role: "agent-readonly".to_owned(),
        parent: None,
        confined_to: None,
        issued_at: datetime!(2026-03-01 12:00:00 UTC),
        expires_at: datetime!(2026-03-01 13:00:00 UTC),
    };
    let (session, credentials) = ring.issue(session, [7; RANDOMNESS]).unwrap();
    let role = AssumedRole {
        session: &session,
        partition: "aws",
        account: "123456789012",
    };
    let audience = "portcullis";
    let how = Identified::WebIdentity { audience };
    let xml = issued(how, role, &credentials, "request-1");
    for part in [
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>",
        "<SubjectFromWebIdentityToken>a&lt;b&gt;&amp;&quot;c</SubjectFromWebIdentityToken>",
        "<Arn>arn:aws:sts::123456789012:assumed-role/agent-readonly/claude</Arn>",
        "<AccessKeyId>PCAKA4DQOBYHA4DQOBYH</AccessKeyId>",
        "<Expiration>2026-03-01T13:00:00Z</Expiration>",
        "<Audience>portcullis</Audience>",
        "<Provider>https://idp.example</Provider>",
        "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    for (how, start) in [
        (Identified::Role, "<AssumeRoleResponse xmlns="),
        (Identified::Federated, "<GetFederationTokenResponse xmlns="),
        (Identified::Token, "<GetSessionTokenResponse xmlns="),
    ] {
        let xml = issued(how, role, &credentials, "request-1");
        assert!(xml.starts_with(start), "{xml}");
        assert!(
            xml.contains(
                "<Credentials><AccessKeyId>PCAKA4DQOBYHA4DQOBYH</AccessKeyId><SecretAccessKey>"
            ),
            "{xml}"
        );
    }
    let xml = caller_identity(role, "request-2");
    assert!(xml.contains("<Account>123456789012</Account>"), "{xml}");
    assert!(xml.contains("<UserId>PCRO"), "{xml}");
    assert!(xml.contains(":claude</UserId>"), "{xml}");
}

proptest! {
    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let refused = parse(&bytes).is_err();
        prop_assert!(refused);
    }

    #[test]
    fn any_suffix_is_refused(suffix in "&[&=%a-zA-Z0-9+.]{0,40}") {
        let refused = parse_text(&format!("{GOOD}{suffix}")).is_err();
        prop_assert!(refused);
    }
}
