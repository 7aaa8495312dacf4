//! What `identity` promises, as tests.

use std::time::Duration as StdDuration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::Duration;

mod keys;

use super::test_issuer::{
    ED25519, Fault, NOW, OTHER_RSA, P256, P384, RSA, TestIssuer, TestKey, unsigned,
};
use super::*;

fn config(issuer: &str) -> config::Issuer {
    config::Issuer {
        issuer: issuer.to_owned(),
        audience: vec!["portcullis".to_owned(), "api://portcullis".to_owned()],
        groups_claim: "groups".to_owned(),
        agents: true,
        console: false,
        client_id: None,
        client_secret_file: None,
    }
}

fn identity_of(issuer: &TestIssuer) -> Identity {
    Identity::new(&[config(&issuer.url())]).unwrap()
}

fn impatient_identity_of(issuer: &TestIssuer) -> Identity {
    Identity::with_timeout(&[config(&issuer.url())], StdDuration::from_secs(1)).unwrap()
}

async fn setup() -> (TestIssuer, Identity) {
    let issuer = TestIssuer::start(&[("rsa", &RSA)]).await;
    let identity = identity_of(&issuer);
    (issuer, identity)
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"})
}

/// `base` with the members of `changes`; null removes one.
#[expect(
    clippy::needless_pass_by_value,
    reason = "tables of `json!` values read better"
)]
fn with(mut base: Value, changes: Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

fn reason(result: Result<Authenticated, Refusal>) -> String {
    match result {
        Err(Refusal::IdentityInvalid(reason)) => reason,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn every_allowed_algorithm_signs_in() {
    let keys: [(&str, &TestKey); 4] = [
        ("rsa", &RSA),
        ("p256", &P256),
        ("p384", &P384),
        ("ed", &ED25519),
    ];
    let issuer = TestIssuer::start(&keys).await;
    let identity = identity_of(&issuer);
    let algorithms = [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("EdDSA", "ed"),
    ];
    for (algorithm, kid) in algorithms {
        let (_, key) = keys.into_iter().find(|(name, _)| *name == kid).unwrap();
        let token = key.token(&json!({"alg": algorithm, "kid": kid}), &issuer.claims());
        let who = identity.authenticate(&token, NOW).await;
        assert!(who.is_ok(), "{algorithm}: {who:?}");
    }
    assert_eq!(issuer.key_sets(), 1);
}

#[tokio::test]
async fn principal_is_what_the_token_says() {
    let (issuer, identity) = setup().await;
    let claims = with(
        issuer.claims(),
        json!({"email": "ada@example.com", "groups": ["agents", "Agents", "prod#1"]}),
    );
    let who = identity
        .authenticate(&RSA.token(&header(), &claims), NOW)
        .await
        .unwrap();
    assert_eq!(
        who,
        Authenticated {
            principal: Principal {
                issuer: issuer.url(),
                subject: "user-1".to_owned(),
                email: Some("ada@example.com".to_owned()),
                groups: vec![
                    "agents".to_owned(),
                    "Agents".to_owned(),
                    "prod#1".to_owned()
                ],
            },
            audience: "portcullis".to_owned(),
            expires_at: NOW + Duration::minutes(10),
        }
    );
}

#[tokio::test]
async fn tokens_of_each_accepted_kind_sign_in() {
    let (issuer, identity) = setup().await;
    let check = async |header_changes: Value, claim_changes: Value| {
        let token = RSA.token(
            &with(header(), header_changes.clone()),
            &with(issuer.claims(), claim_changes.clone()),
        );
        let who = identity.authenticate(&token, NOW).await;
        assert!(who.is_ok(), "{header_changes} {claim_changes}: {who:?}");
    };
    check(json!({"typ": null}), json!({})).await;
    check(
        json!({"typ": "at+jwt"}),
        json!({"client_id": "cli", "jti": "1"}),
    )
    .await;
    check(json!({"typ": "application/AT+JWT"}), json!({})).await;
    check(json!({"kid": null}), json!({})).await;
    check(json!({"x5t": "abc", "nonce": "n"}), json!({})).await;
    check(json!({}), json!({"aud": ["portcullis"]})).await;
    check(
        json!({}),
        json!({"aud": ["other", "api://portcullis"], "azp": "cli"}),
    )
    .await;
    check(
        json!({"typ": "at+jwt"}),
        json!({"aud": ["other", "portcullis"]}),
    )
    .await;
    check(json!({}), json!({"groups": null})).await;
    check(json!({}), json!({"groups": []})).await;
    check(json!({}), json!({"_claim_names": {"address": "src1"}})).await;
}

#[tokio::test]
async fn forged_headers_are_refused() {
    let (issuer, identity) = setup().await;
    let check = async |changes: Value, expected: &str| {
        let token = RSA.token(&with(header(), changes.clone()), &issuer.claims());
        let reason = reason(identity.authenticate(&token, NOW).await);
        assert!(reason.contains(expected), "{changes}: {reason}");
    };
    check(json!({"alg": "none"}), "algorithm").await;
    check(json!({"alg": "None"}), "algorithm").await;
    check(json!({"alg": "HS256"}), "algorithm").await;
    check(json!({"alg": "rs256"}), "algorithm").await;
    check(json!({"alg": "ES512"}), "algorithm").await;
    check(json!({"alg": null}), "algorithm").await;
    check(json!({"alg": ["RS256"]}), "algorithm").await;
    check(json!({"crit": ["exp"]}), "`crit`").await;
    check(json!({"crit": []}), "`crit`").await;
    check(json!({"jku": "https://evil.example/keys"}), "`jku`").await;
    check(json!({"x5u": "https://evil.example/cert"}), "`x5u`").await;
    check(json!({"x5c": ["AAAA"]}), "`x5c`").await;
    check(json!({"jwk": OTHER_RSA.jwk("rsa")}), "`jwk`").await;
    check(json!({"b64": false}), "`b64`").await;
    check(json!({"cty": "JWT"}), "`cty`").await;
    check(json!({"enc": "A256GCM"}), "`enc`").await;
    check(json!({"zip": "DEF"}), "`zip`").await;
    check(json!({"typ": "logout+jwt"}), "`typ`").await;
    check(json!({"typ": "dpop+jwt"}), "`typ`").await;
    check(json!({"typ": 1}), "`typ`").await;
    check(json!({"kid": 1}), "`kid`").await;
    check(json!({"kid": "unknown"}), "no such signing key").await;
}

/// The classes of CVE-2015-9235 (`alg` confusion, `none`) and CVE-2018-0114 (embedded key).
#[tokio::test]
async fn forged_signatures_are_refused() {
    let (issuer, identity) = setup().await;
    let claims = issuer.claims().to_string();
    let check = async |name: &str, token: String| {
        let result = identity.authenticate(&token, NOW).await;
        assert!(
            matches!(result, Err(Refusal::IdentityInvalid(_))),
            "{name}: {result:?}"
        );
    };
    let none = unsigned(r#"{"alg":"none"}"#, &claims);
    check("none", format!("{none}.")).await;
    check("none, signed", format!("{none}.AAAA")).await;
    let stripped = unsigned(&header().to_string(), &claims);
    check("signature stripped", format!("{stripped}.")).await;
    check("no signature part", stripped.clone()).await;

    let symmetric = unsigned(r#"{"alg":"HS256","kid":"rsa"}"#, &claims);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, RSA.public_bytes());
    let tag = hmac::sign(&secret, symmetric.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(tag.as_ref());
    check("public key as HMAC secret", format!("{symmetric}.{tag}")).await;

    check("another key", OTHER_RSA.token(&header(), &issuer.claims())).await;
    let confused = RSA.token_of("RS256", r#"{"alg":"PS256","kid":"rsa"}"#, &claims);
    check("PKCS #1 called PSS", confused).await;
    let confused = P256.token_of("ES256", r#"{"alg":"ES256","kid":"rsa"}"#, &claims);
    check("EC under an RSA key's id", confused).await;

    let good = RSA.token(&header(), &issuer.claims());
    assert!(identity.authenticate(&good, NOW).await.is_ok());
    let signature = good.rsplit_once('.').unwrap().1;
    let raised = with(issuer.claims(), json!({"groups": ["admins"]})).to_string();
    let moved = unsigned(&header().to_string(), &raised);
    check("signature moved", format!("{moved}.{signature}")).await;
    check("trailing newline", format!("{good}\n")).await;
    check("leading space", format!(" {good}")).await;
    check("padded", format!("{good}==")).await;
    check("fourth part", format!("{good}.AAAA")).await;
    check("JWE", format!("{good}.AAAA.AAAA")).await;
    check("too long", format!("{}.{}", "A".repeat(16 * 1024), good)).await;
    check("empty", String::new()).await;
    check("dots", "..".to_owned()).await;
}

#[tokio::test]
async fn json_with_two_readings_is_refused() {
    let (issuer, identity) = setup().await;
    let good = issuer.claims().to_string();
    let check = async |header: &str, claims: &str| {
        let token = RSA.token_of("RS256", header, claims);
        let reason = reason(identity.authenticate(&token, NOW).await);
        assert!(
            reason.contains("well-formed"),
            "{header} {claims}: {reason}"
        );
    };
    check(r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#, &good).await;
    check(r#"{"alg":"RS256","kid":"rsa","x":1,"x":2}"#, &good).await;
    let header = header().to_string();
    check(&header, &good.replacen('{', r#"{"sub":"admin","#, 1)).await;
    check(
        &header,
        &good.replacen('{', r#"{"gro\u0075ps":["admins"],"#, 1),
    )
    .await;
    check(&header, &format!("{good}{good}")).await;
    check(&header, "[]").await;
    check(&header, "null").await;
    check(&header, &"[".repeat(5000)).await;
}

#[tokio::test]
async fn claims_are_checked_exactly() {
    let (issuer, identity) = setup().await;
    let url = issuer.url();
    let now = NOW.unix_timestamp();
    let check = async |changes: Value, expected: &str| {
        let token = RSA.token(&header(), &with(issuer.claims(), changes.clone()));
        let reason = reason(identity.authenticate(&token, NOW).await);
        assert!(reason.contains(expected), "{changes}: {reason}");
    };
    check(json!({"iss": format!("{url}/")}), "issuer").await;
    check(json!({"iss": url.to_uppercase()}), "issuer").await;
    check(
        json!({"iss": "https://login.example/other-tenant"}),
        "issuer",
    )
    .await;
    check(json!({"iss": [url.clone()]}), "issuer").await;
    check(json!({"iss": null}), "issuer").await;
    check(json!({"aud": "other"}), "audience").await;
    check(json!({"aud": "Portcullis"}), "audience").await;
    check(json!({"aud": ""}), "audience").await;
    check(json!({"aud": []}), "audience").await;
    check(json!({"aud": ["other", 1, "portcullis"]}), "audience").await;
    check(json!({"aud": {"portcullis": true}}), "audience").await;
    check(json!({"aud": null}), "audience").await;
    check(json!({"aud": ["portcullis", "other"]}), "`azp`").await;
    check(json!({"exp": null}), "no `exp`").await;
    check(json!({"exp": (now + 600).to_string()}), "`exp`").await;
    check(json!({"exp": (now + 600) as f64}), "`exp`").await;
    check(json!({"exp": 1e30}), "`exp`").await;
    check(json!({"exp": i64::MAX}), "`exp`").await;
    check(json!({"exp": u64::MAX}), "`exp`").await;
    check(json!({"exp": -1}), "`exp`").await;
    check(json!({"exp": true}), "`exp`").await;
    check(json!({"iat": null}), "no `iat`").await;
    check(json!({"iat": now + 600}), "before it was issued").await;
    check(json!({"nbf": "soon"}), "`nbf`").await;
    check(json!({"sub": null}), "subject").await;
    check(json!({"sub": ""}), "subject").await;
    check(json!({"sub": 7}), "subject").await;
    check(json!({"sub": "x".repeat(256)}), "subject").await;
    check(json!({"sub": "a\nb"}), "subject").await;
    check(json!({"email": ["ada@example.com"]}), "`email`").await;
    check(json!({"groups": "agents"}), "`groups`").await;
    check(json!({"groups": {"agents": true}}), "`groups`").await;
    check(json!({"groups": [["agents"]]}), "`groups`").await;
    check(json!({"groups": ["agents", 1]}), "`groups`").await;
    check(json!({"groups": [""]}), "`groups`").await;
    check(json!({"groups": ["x".repeat(257)]}), "`groups`").await;
    check(json!({"groups": ["a\u{0}"]}), "`groups`").await;
    check(
        json!({"_claim_names": {"groups": "src1"}, "groups": null}),
        "too many groups",
    )
    .await;
    check(
        json!({"hasgroups": true, "groups": null}),
        "too many groups",
    )
    .await;
    check(json!({"events": {}}), "event").await;
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let (issuer, identity) = setup().await;
    let now = NOW.unix_timestamp();
    let check = async |changes: Value, expected: Result<(), Refusal>| {
        let token = RSA.token(&header(), &with(issuer.claims(), changes.clone()));
        let result = identity.authenticate(&token, NOW).await.map(|_| ());
        match expected {
            Err(Refusal::IdentityInvalid(_)) => {
                assert!(
                    matches!(result, Err(Refusal::IdentityInvalid(_))),
                    "{changes}"
                );
            }
            expected => assert_eq!(result, expected, "{changes}"),
        }
    };
    let invalid = || Err(Refusal::IdentityInvalid(String::new()));
    let old = now - 3600;
    check(json!({"iat": old, "exp": now - 59}), Ok(())).await;
    check(
        json!({"iat": old, "exp": now - 60}),
        Err(Refusal::IdentityExpired),
    )
    .await;
    check(
        json!({"iat": old, "exp": now - 61}),
        Err(Refusal::IdentityExpired),
    )
    .await;
    check(json!({"iat": now + 59}), Ok(())).await;
    check(json!({"iat": now + 61}), invalid()).await;
    check(json!({"nbf": now + 59}), Ok(())).await;
    check(json!({"nbf": now + 61}), invalid()).await;
}

#[tokio::test]
async fn unverified_email_is_left_out() {
    let (issuer, identity) = setup().await;
    let email = async |verified: Value| {
        let changes = json!({"email": "ada@example.com", "email_verified": verified});
        let token = RSA.token(&header(), &with(issuer.claims(), changes));
        identity
            .authenticate(&token, NOW)
            .await
            .unwrap()
            .principal
            .email
    };
    assert_eq!(email(json!(true)).await.as_deref(), Some("ada@example.com"));
    assert_eq!(email(json!(false)).await, None);
    assert_eq!(email(json!("false")).await, None);
}

#[tokio::test]
async fn people_only_issuer_opens_no_session_for_agents() {
    let issuer = TestIssuer::start(&[("rsa", &RSA)]).await;
    let people = config::Issuer {
        agents: false,
        console: true,
        ..config(&issuer.url())
    };
    let identity = Identity::new(&[people]).unwrap();
    let token = RSA.token(&header(), &issuer.claims());
    let reason = reason(identity.authenticate(&token, NOW).await);
    assert!(reason.contains("not for agents"), "{reason}");
    assert_eq!(issuer.questions(), 0);
}

#[tokio::test]
async fn issuer_signs_for_itself_only() {
    let ours = TestIssuer::start(&[("rsa", &RSA)]).await;
    let theirs = TestIssuer::start(&[("rsa", &OTHER_RSA)]).await;
    let identity = Identity::new(&[config(&ours.url()), config(&theirs.url())]).unwrap();
    let token = OTHER_RSA.token(&header(), &ours.claims());
    assert!(identity.authenticate(&token, NOW).await.is_err());
    let token = OTHER_RSA.token(&header(), &theirs.claims());
    assert!(identity.authenticate(&token, NOW).await.is_ok());
}

#[test]
fn unsafe_issuers_are_configuration_errors() {
    let check =
        |issuers: &[config::Issuer]| assert!(Identity::new(issuers).is_err(), "{issuers:?}");
    check(&[config("http://idp.example")]);
    check(&[config("http://169.254.169.254")]);
    check(&[config("ftp://idp.example")]);
    check(&[config("https://idp.example?tenant=a")]);
    check(&[config("https://idp.example#a")]);
    check(&[config("https://user:password@idp.example")]);
    check(&[config("idp.example")]);
    check(&[config("https://idp.example"), config("https://idp.example")]);
    check(&[config::Issuer {
        audience: Vec::new(),
        ..config("https://idp.example")
    }]);
    assert!(Identity::new(&[config("https://idp.example/tenant/")]).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_refused_without_a_panic(text in "(\\PC{0,40}|[A-Za-z0-9_.-]{0,200})") {
        prop_assert!(Jwt::parse(&text).is_err());
    }

    #[test]
    fn any_json_is_read_or_refused_without_a_panic(header in "\\{(\"(alg|kid|typ|x)\":(\"RS256\"|1|null|\\[\\]),?){0,4}\\}") {
        let token = format!("{}.AAAA", unsigned(&header, "{\"iss\":\"x\"}"));
        if let Ok(jwt) = Jwt::parse(&token) {
            prop_assert_eq!(jwt.issuer(), Ok("x"));
        }
    }
}
