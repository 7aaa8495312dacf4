//! What `sts` promises, as tests.

use std::time::Duration as StdDuration;

use portcullis_core::destination::Variant;
use serde_json::{Value, json};

mod chaining;
mod container;

use super::*;
use crate::config::{self, Console, CredentialSource, Limits, Listen, Tls};
use crate::identity::test_issuer::{NOW, RSA, TestIssuer};
use crate::key_ring::random;

const HOUR: StdDuration = StdDuration::from_secs(3600);

fn role(name: &str, groups: &[&str], duration: StdDuration) -> Role {
    Role {
        name: name.to_owned(),
        assume: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        duration,
    }
}

fn connection(name: &str, account: &str, roles: Vec<Role>) -> Connection {
    Connection {
        name: name.to_owned(),
        account: account.to_owned(),
        partition: "aws".to_owned(),
        regions: None,
        credentials: CredentialSource::Environment,
        endpoint: None,
        variant: Variant::Plain,
        unknown_members: Vec::new(),
        roles,
    }
}

fn connections() -> Vec<Connection> {
    let roles = vec![
        role("readonly", &["agents", "people"], HOUR),
        role("admin", &["admins"], HOUR),
        role("short", &["agents"], HOUR / 4),
        role("long", &["agents"], HOUR * 12),
    ];
    vec![
        connection("dev", "111111111111", roles),
        connection(
            "prod",
            "222222222222",
            vec![
                role("readonly", &["agents"], HOUR),
                role("deploy", &["agents"], HOUR),
            ],
        ),
    ]
}

fn limits() -> Limits {
    Limits {
        connections: 1,
        streams: 1,
        head_bytes: 1,
        headers: 1,
        body_bytes: 1,
        buffered_bytes: 1,
        handshake_timeout: HOUR,
        head_timeout: HOUR,
        body_idle_timeout: HOUR,
        upstream_timeout: HOUR,
        idle_timeout: HOUR,
        drain_timeout: HOUR,
    }
}

fn config(issuer: &str) -> Config {
    let address = ([127, 0, 0, 1], 0).into();
    Config {
        digest: String::new(),
        listen: Listen {
            address,
            tls: Tls::Off,
            hostname: None,
            limits: limits(),
        },
        proxy: None,
        console: Console { address },
        state_dir: "state".into(),
        plugins_dir: "plugins".into(),
        plugin_grants: Vec::new(),
        policies_dir: "policies".into(),
        mint_longest: HOUR,
        issuers: vec![config::Issuer {
            issuer: issuer.to_owned(),
            audience: vec!["portcullis".to_owned()],
            groups_claim: "groups".to_owned(),
            agents: true,
            console: false,
            client_id: None,
            client_secret_file: None,
        }],
        connections: connections(),
    }
}

struct Fixture {
    issuer: TestIssuer,
    sts: Sts,
    _state: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let issuer = TestIssuer::start(&[("rsa", &RSA)]).await;
        let state = tempfile::tempdir().unwrap();
        let config = config(&issuer.url());
        let sts = Sts::new(
            Arc::new(Identity::new(&config.issuers).unwrap()),
            Arc::new(KeyRingFile::open(state.path(), NOW).unwrap()),
            Arc::new(config),
        );
        Self {
            issuer,
            sts,
            _state: state,
        }
    }

    fn token(&self, claim: &str, value: &Value) -> String {
        let mut claims = self.issuer.claims();
        claims["exp"] = json!(NOW.unix_timestamp() + 86_400);
        claims[claim] = value.clone();
        RSA.token(&json!({"alg": "RS256", "kid": "rsa"}), &claims)
    }

    fn agent(&self) -> String {
        self.token("groups", &json!(["agents"]))
    }

    async fn assume(&self, arn: &str, token: &str, extra: &str) -> Result<Session, Refusal> {
        self.assume_at(arn, token, extra)
            .await
            .map(|(session, _)| session)
    }

    async fn assume_at(
        &self,
        arn: &str,
        token: &str,
        extra: &str,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={arn}\
             &RoleSessionName=claude&WebIdentityToken={token}{extra}"
        );
        self.sts
            .assume_role_with_web_identity(form.as_bytes(), occasion())
            .await
    }

    async fn container(
        &self,
        role: &str,
        authorization: Option<&str>,
    ) -> Result<(Session, Response<Bytes>), Refusal> {
        self.sts
            .container_credentials(role, authorization, occasion())
            .await
    }
}

fn occasion() -> Occasion<'static> {
    Occasion {
        now: NOW,
        randomness: random().unwrap(),
        request_id: "request-1",
    }
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn between<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

const DEV: &str = "arn:aws:iam::111111111111:role/readonly";

#[tokio::test]
async fn answer_opens_to_the_session_it_was_made_for() {
    let fixture = Fixture::new().await;
    let (session, response) = fixture.assume_at(DEV, &fixture.agent(), "").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/xml");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-amzn-requestid"], "request-1");
    let xml = text(&response);
    assert_eq!(between(xml, "AccessKeyId"), session.access_key_id);
    assert_eq!(between(xml, "Expiration"), "2026-03-01T13:00:00Z");
    assert_eq!(between(xml, "Provider"), fixture.issuer.url());
    assert_eq!(between(xml, "Audience"), "portcullis");
    assert_eq!(
        between(xml, "Arn"),
        "arn:aws:sts::111111111111:assumed-role/readonly/claude"
    );
    let ring = fixture.sts.keys.ring();
    let (opened, secret) = ring
        .open(
            between(xml, "AccessKeyId"),
            Some(between(xml, "SessionToken")),
            NOW,
        )
        .unwrap();
    assert_eq!(opened, session);
    assert_eq!(secret.expose(), between(xml, "SecretAccessKey"));
    assert_eq!(opened.connection, "dev");
    assert_eq!(opened.principal.subject, "user-1");
}

#[tokio::test]
async fn account_picks_the_connection() {
    let fixture = Fixture::new().await;
    let prod = "arn:aws:iam::222222222222:role/readonly";
    let session = fixture.assume(prod, &fixture.agent(), "").await.unwrap();
    assert_eq!(session.connection, "prod");
}

#[tokio::test]
async fn closed_and_absent_roles_look_alike() {
    let fixture = Fixture::new().await;
    let check = async |arn: &str, groups: Value| {
        let token = fixture.token("groups", &groups);
        assert_eq!(
            fixture.assume(arn, &token, "").await,
            Err(Refusal::RoleNotPermitted {
                role: arn.to_owned()
            })
        );
    };
    check("arn:aws:iam::111111111111:role/admin", json!(["agents"])).await;
    check("arn:aws:iam::111111111111:role/absent", json!(["agents"])).await;
    check("arn:aws:iam::111111111111:role/Readonly", json!(["agents"])).await;
    check("arn:aws:iam::333333333333:role/readonly", json!(["agents"])).await;
    check(
        "arn:aws-cn:iam::111111111111:role/readonly",
        json!(["agents"]),
    )
    .await;
    check(DEV, json!([])).await;
    check(DEV, json!(["Agents"])).await;
    check(DEV, json!(["agents "])).await;
    let admins = fixture.token("groups", &json!(["admins"]));
    let admin = "arn:aws:iam::111111111111:role/admin";
    assert!(fixture.assume(admin, &admins, "").await.is_ok());
}

#[tokio::test]
async fn role_that_two_connections_offer_is_refused() {
    let mut fixture = Fixture::new().await;
    let mut config = (*fixture.sts.config).clone();
    config.connections[1].account = "111111111111".to_owned();
    fixture.sts.config = Arc::new(config);
    let refusal = fixture.assume(DEV, &fixture.agent(), "").await.unwrap_err();
    assert!(matches!(refusal, Refusal::Ambiguous(_)), "{refusal}");
    let people = fixture.token("groups", &json!(["people"]));
    let session = fixture.assume(DEV, &people, "").await.unwrap();
    assert_eq!(session.connection, "dev", "the only one open to them");
}

#[tokio::test]
async fn session_is_as_long_as_asked_within_the_role() {
    let fixture = Fixture::new().await;
    let check = async |role: &str, extra: &str, expected: Option<i64>| {
        let arn = format!("arn:aws:iam::111111111111:role/{role}");
        let session = fixture.assume(&arn, &fixture.agent(), extra).await;
        match (session, expected) {
            (Ok(session), Some(seconds)) => {
                assert_eq!(
                    session.expires_at,
                    NOW + Duration::seconds(seconds),
                    "{role} {extra}"
                );
            }
            (Err(Refusal::InvalidInput(_)), None) => {}
            (other, _) => panic!("{role} {extra}: {other:?}"),
        }
    };
    check("readonly", "", Some(3600)).await;
    check("short", "", Some(900)).await;
    check("long", "", Some(3600)).await;
    check("long", "&DurationSeconds=43200", Some(43_200)).await;
    check("readonly", "&DurationSeconds=900", Some(900)).await;
    check("readonly", "&DurationSeconds=3601", None).await;
    check("short", "&DurationSeconds=901", None).await;
}

#[tokio::test]
async fn expired_token_opens_no_session_even_within_the_leeway() {
    let fixture = Fixture::new().await;
    let mut claims = fixture.issuer.claims();
    claims["iat"] = json!(NOW.unix_timestamp() - 600);
    claims["exp"] = json!(NOW.unix_timestamp());
    let token = RSA.token(&json!({"alg": "RS256", "kid": "rsa"}), &claims);
    assert_eq!(
        fixture.assume(DEV, &token, "").await,
        Err(Refusal::IdentityExpired)
    );
}

#[tokio::test]
async fn malformed_form_asks_nobody() {
    let fixture = Fixture::new().await;
    let refused = fixture.assume(DEV, &fixture.agent(), "&Policy=x").await;
    assert!(matches!(refused, Err(Refusal::InvalidInput(_))));
    assert_eq!(fixture.issuer.questions(), 0);
}

#[tokio::test]
async fn more_groups_than_fit_are_refused() {
    let fixture = Fixture::new().await;
    let mut groups: Vec<String> = (0..250).map(|n| format!("g{n}")).collect();
    groups.push("agents".to_owned());
    let token = fixture.token("groups", &json!(groups));
    let refused = fixture.assume(DEV, &token, "").await;
    assert!(
        matches!(refused, Err(Refusal::IdentityInvalid(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn caller_identity_names_the_assumed_role() {
    let fixture = Fixture::new().await;
    let (session, response) = fixture.assume_at(DEV, &fixture.agent(), "").await.unwrap();
    let identity = fixture.sts.caller_identity(&session, "request-2").unwrap();
    let xml = text(&identity);
    assert_eq!(between(xml, "Account"), "111111111111");
    assert_eq!(between(xml, "Arn"), between(text(&response), "Arn"));
    assert_eq!(
        between(xml, "UserId"),
        between(text(&response), "AssumedRoleId")
    );
    assert_eq!(between(xml, "RequestId"), "request-2");
    let gone = Session {
        connection: "gone".to_owned(),
        ..session
    };
    assert!(fixture.sts.caller_identity(&gone, "request-3").is_err());
}

#[tokio::test]
async fn session_ends_with_its_token_at_the_latest() {
    let fixture = Fixture::new().await;
    let mut claims = fixture.issuer.claims();
    claims["exp"] = json!(NOW.unix_timestamp() + 120);
    let token = RSA.token(&json!({"alg": "RS256", "kid": "rsa"}), &claims);
    let session = fixture.assume(DEV, &token, "").await.unwrap();
    assert_eq!(session.expires_at, NOW + Duration::seconds(120));
}
