//! Nothing secret is written down, however much is logged.

use std::fs;
use std::time::Duration;

use crate::fixture::client::{Agent, assert_all_ok, value};
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::sign::{Call, Payload, Session};
use crate::fixture::tap::Tap;
use crate::fixture::{POWER, issuer, moto_connection, stage};

const PLANTED: &str = "not a real secret";

/// SIG-24: nothing secret in a log at any level.
#[test]
fn logs_records_and_metrics_hold_no_secret_at_the_most_verbose_level() {
    let stage = stage();
    let tap = Tap::start(stage.moto.address());
    let mut environment = stage.moto.gateway_environment();
    let base_secret = environment[1].1.clone();
    environment.push(("PORTCULLIS_LOG".to_owned(), "trace".to_owned()));
    let gateway = Gateway::start(Setting {
        name: "secrets",
        connections: vec![moto_connection(&tap.url())],
        issuers: vec![issuer(stage.idp.certified())],
        policies: vec![(
            "all.cedar",
            r#"@id("all") permit (principal, action, resource);"#.to_owned(),
        )],
        environment,
        ..Setting::default()
    });
    let token = stage.idp.token("agent-power");
    let agent = Agent::new(&gateway, POWER, &token);
    let lines = agent.boto("services", "traced");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "secretsmanager.get_secret_value"), PLANTED);
    let session = gateway.session(POWER, &token);
    let mut wrong = Call::dynamodb(&gateway.host(), "ListTables", "{}").sign(&session);
    let right = wrong.header("authorization").clone();
    let (rest, signature) = right.rsplit_once("Signature=").unwrap();
    let bent: String = signature.chars().rev().collect();
    *wrong.header("authorization") = format!("{rest}Signature={bent}");
    let answer = gateway.send(&wrong.bytes());
    assert_eq!(answer.code(), "InvalidSignatureException");

    let url_signature = use_urls(&gateway, &session);
    let issued = tap.seen().issued;
    assert!(issued.len() >= 2, "no role was assumed: {issued:?}");
    let mut secrets = vec![
        ("the OIDC token", token.clone()),
        ("the gateway's base secret", base_secret),
        ("a session's secret", session.secret.clone()),
        ("a session's token", session.token.clone()),
        ("the expected signature", signature.to_owned()),
        ("a presigned URL's signature", url_signature),
        ("a secret's value", PLANTED.to_owned()),
    ];
    secrets.extend(
        issued
            .into_iter()
            .map(|value| ("an assumed role's secret", value)),
    );

    let log = gateway.log();
    assert!(log.contains("TRACE"), "nothing was traced");
    let mut written = vec![
        ("the log".to_owned(), log),
        (
            "metrics".to_owned(),
            gateway.get("/_portcullis/metrics").text(),
        ),
        (
            "the audit list".to_owned(),
            format!("{:?}", gateway.audit()),
        ),
    ];
    for file in fs::read_dir(gateway.dir().join("state/audit"))
        .unwrap()
        .flatten()
    {
        let bytes = fs::read(file.path()).unwrap_or_default();
        written.push((
            file.path().display().to_string(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
    }
    for (place, text) in &written {
        for (what, secret) in &secrets {
            assert!(!text.contains(secret.as_str()), "{place} holds {what}");
        }
    }
}

/// Sends a presigned URL, right and bent, and returns its signature.
fn use_urls(gateway: &Gateway, session: &Session) -> String {
    let call = Call {
        payload: Payload::Unsigned,
        ..Call::s3(&gateway.host(), "GET", "/traced/key", b"")
    };
    let mut url = call.presign(session, Duration::from_secs(60));
    let (_, signature) = url.target.split_once("X-Amz-Signature=").unwrap();
    let signature: String = signature.chars().take(64).collect();
    gateway.send(&url.bytes());
    url.target.push_str("&versionId=1");
    assert_eq!(gateway.send(&url.bytes()).code(), "SignatureDoesNotMatch");
    signature
}
