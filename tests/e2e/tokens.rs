//! Who gets credentials: only the bearer of a token that is right in every respect. Each forgery is
//! wrong in one way and otherwise as good as [`an_otherwise_right_token_is_accepted`].

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::fixture::idp::{Health, Overlap};
use crate::fixture::{POWER, READ_ONLY, child, stage, wire};

const INVALID: &str = "InvalidIdentityToken";

#[track_caller]
fn check(how: &Value, code: &str) {
    let stage = stage();
    let token = stage.idp.forge(stage.idp.certified(), how);
    refused(&token, READ_ONLY, code, &how.to_string());
}

#[track_caller]
fn refused(token: &str, role: &str, code: &str, what: &str) {
    let answer = stage().gateway.assume(role, token);
    let text = answer.text();
    assert_eq!(answer.code(), code, "{what}: {text}");
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {text}",
        answer.status
    );
    assert!(
        !text.contains("PCAK") && !text.contains("<SessionToken>"),
        "{what}: {text}"
    );
    assert!(
        token.len() < 20 || !text.contains(token),
        "the token is echoed: {text}"
    );
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn an_otherwise_right_token_is_accepted() {
    let stage = stage();
    let token = stage.idp.forge(stage.idp.certified(), &json!({}));
    let session = stage.gateway.session(READ_ONLY, &token);
    assert!(session.access_key_id.starts_with("PCAK"), "{session:?}");
}

#[test]
fn a_certified_provider_s_token_is_accepted() {
    let stage = stage();
    let session = stage
        .gateway
        .session(READ_ONLY, &stage.idp.token("agent-ci"));
    assert!(session.access_key_id.starts_with("PCAK"), "{session:?}");
}

#[test]
fn wrong_audiences_get_no_credentials() {
    for audience in [
        json!("another"),
        json!(["another"]),
        json!(""),
        json!("Portcullis"),
        json!("portcullis/"),
        json!([]),
        json!(null),
        json!(7),
    ] {
        check(&json!({"claims": {"aud": audience}}), INVALID);
    }
    check(&json!({"drop": ["aud"]}), INVALID);
}

#[test]
fn wrong_issuers_get_no_credentials() {
    let certified = stage().idp.certified().to_owned();
    for issuer in [
        json!("https://idp.example"),
        json!(format!("{certified}/")),
        json!(format!("{certified}/tenant")),
        json!(certified.replace("127.0.0.1", "localhost")),
        json!(certified.to_uppercase()),
        json!([certified]),
        json!(null),
    ] {
        check(&json!({"claims": {"iss": issuer}}), INVALID);
    }
    check(&json!({"drop": ["iss"]}), INVALID);
}

#[test]
fn a_known_issuer_s_name_on_another_issuer_s_token_gets_no_credentials() {
    let stage = stage();
    let claims = json!({"claims": {"iss": stage.idp.certified()}});
    let token = stage.idp.forge(stage.idp.rotating(), &claims);
    refused(&token, READ_ONLY, INVALID, "signed by the other issuer");
}

#[test]
fn wrong_algorithms_get_no_credentials() {
    for signer in [
        "none",
        "none-mixed-case",
        "public-key-as-secret",
        "modulus-as-secret",
    ] {
        check(&json!({"signer": signer}), INVALID);
    }
}

#[test]
fn strangers_keys_get_no_credentials() {
    for how in [
        json!({"signer": "stranger"}),
        json!({"signer": "stranger", "header": {"kid": "stranger"}}),
        json!({"signer": "stranger-in-header"}),
        json!({"signer": "stranger", "header": {"jku": "http://127.0.0.1:1/jwks"}}),
        json!({"signer": "payload-swapped"}),
        json!({"header": {"kid": "nobody-knows-it"}}),
    ] {
        check(&how, INVALID);
    }
}

#[test]
fn critical_headers_nobody_knows_get_no_credentials() {
    check(
        &json!({"header": {"crit": ["http://example.com/x"], "http://example.com/x": 1}}),
        INVALID,
    );
}

#[test]
fn expired_tokens_get_no_credentials() {
    let past = json!({"iat": now() - 7200, "exp": now() - 3600});
    check(&json!({"claims": past}), "ExpiredTokenException");
}

#[test]
fn tokens_without_a_sound_lifetime_get_no_credentials() {
    check(&json!({"drop": ["exp"]}), INVALID);
    check(&json!({"claims": {"exp": "tomorrow"}}), INVALID);
    check(&json!({"claims": {"exp": null}}), INVALID);
    check(&json!({"claims": {"nbf": now() + 3600}}), INVALID);
}

#[test]
fn tokens_without_a_subject_get_no_credentials() {
    check(&json!({"drop": ["sub"]}), INVALID);
    check(&json!({"claims": {"sub": ""}}), INVALID);
    check(&json!({"claims": {"sub": null}}), INVALID);
}

#[test]
fn groups_that_are_not_exactly_right_open_no_role() {
    for groups in [
        json!([]),
        json!(["Agents"]),
        json!(["agents "]),
        json!(["agents,power"]),
        json!(["ａgents"]),
    ] {
        check(&json!({"claims": {"groups": groups}}), "AccessDenied");
    }
    check(&json!({"drop": ["groups"]}), "AccessDenied");
}

#[test]
fn a_role_of_other_groups_and_a_role_that_is_not_there_look_the_same() {
    let stage = stage();
    let token = stage.idp.token("agent-ci");
    let answer = |role: &str| {
        let answer = stage.gateway.assume(role, &token);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "AccessDenied"),
            "{role}"
        );
        answer
            .element("Message")
            .unwrap()
            .replace(role.rsplit('/').next().unwrap(), "ROLE")
    };
    let closed = answer(POWER);
    assert_eq!(
        closed,
        answer("arn:aws:iam::123456789012:role/no-such-role")
    );
}

#[test]
fn what_is_no_token_gets_no_credentials() {
    let long = "a".repeat(64 * 1024);
    for garbage in [
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "eyJhbGciOiJub25lIn0..",
        &long,
    ] {
        let answer = stage().gateway.assume(READ_ONLY, garbage);
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        assert!(!answer.text().contains("PCAK"), "{}", answer.text());
    }
}

/// A stranger who sends a form byte by byte is not waited for, and is told so.
#[test]
fn a_form_that_does_not_arrive_is_answered_and_its_connection_closed() {
    let gateway = &stage().gateway;
    let mut stream = gateway.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nA",
        gateway.host()
    );
    let answer = wire::exchange(&mut stream, head.as_bytes()).unwrap();
    assert_eq!(answer.code(), "RequestTimeout", "{}", answer.text());
    assert_eq!(wire::rest(&mut stream).unwrap(), b"");
}

#[test]
fn session_names_outside_aws_s_pattern_are_refused() {
    let stage = stage();
    let token = stage.idp.token("agent-ci");
    for name in [
        "a",
        "with%20space",
        "semi%3Bcolon",
        "%C3%A9%C3%A9",
        "slash%2Fslash",
        &"x".repeat(65),
    ] {
        let answer = stage.gateway.assume_as(READ_ONLY, &token, name);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "ValidationError"),
            "{name}: {}",
            answer.text()
        );
    }
}

#[test]
fn credentials_do_not_outlive_the_token() {
    let stage = stage();
    let ends = now() + 300;
    let token = stage
        .idp
        .forge(stage.idp.certified(), &json!({"claims": {"exp": ends}}));
    let answer = stage.gateway.assume(READ_ONLY, &token);
    let expiration = answer.element("Expiration").unwrap();
    let expiration =
        time::OffsetDateTime::parse(&expiration, &time::format_description::well_known::Rfc3339);
    assert!(expiration.unwrap().unix_timestamp() <= i64::try_from(ends).unwrap());
}

/// One test, because each part begins where the last one left the issuer's keys.
#[test]
fn rotated_keys_are_found_and_dropped_keys_are_refused() {
    let (stage, idp) = (stage(), &stage().idp);
    let token = |how| idp.forge(idp.rotating(), &how);
    stage.gateway.session(READ_ONLY, &token(json!({})));

    // A flood of unknown keys costs the issuer no more than a few fetches.
    let before = idp.key_fetches(idp.rotating());
    for number in 0..50 {
        let forged = token(json!({"header": {"kid": format!("unknown-{number}")}}));
        refused(&forged, READ_ONLY, INVALID, "unknown key");
    }
    let fetched = idp.key_fetches(idp.rotating()) - before;
    assert!(fetched <= 2, "{fetched} fetches for 50 unknown keys");

    // A new key is found without a restart, at the latest once the flood's brake has worn off.
    idp.rotate(Overlap::Keep);
    let new = token(json!({}));
    child::until(
        "the rotated key to be accepted",
        Duration::from_secs(30),
        || (stage.gateway.assume(READ_ONLY, &new).status == 200).then_some(()),
    );
    stage
        .gateway
        .session(READ_ONLY, &token(json!({"signer": "previous"})));

    // A dropped key ends with the next fetch of the key set, which a new key brings about.
    let old = token(json!({}));
    idp.rotate(Overlap::Drop);
    let newest = token(json!({}));
    child::until(
        "the newest key to be accepted",
        Duration::from_secs(30),
        || (stage.gateway.assume(READ_ONLY, &newest).status == 200).then_some(()),
    );
    refused(&old, READ_ONLY, INVALID, "a key that the issuer dropped");
}

/// One test, because an issuer's outage is seen by all who use it.
#[test]
fn an_issuer_s_outage_stops_only_what_needs_it() {
    let (stage, idp) = (stage(), &stage().idp);
    let token = idp.forge(idp.failing(), &json!({}));
    stage.gateway.session(READ_ONLY, &token);
    idp.set_failing(Health::Failing);
    // Known keys go on serving.
    stage.gateway.session(READ_ONLY, &token);
    // An unknown key cannot be looked up: nobody gets in, and the answer may be tried again.
    let unknown = idp.forge(idp.failing(), &json!({"header": {"kid": "unknown"}}));
    let answer = stage.gateway.assume(READ_ONLY, &unknown);
    assert!(
        ["IDPCommunicationError", INVALID].contains(&answer.code().as_str()),
        "{}",
        answer.text()
    );
    // Other issuers are not touched.
    stage.gateway.session(READ_ONLY, &idp.token("agent-ci"));
    idp.set_failing(Health::Working);
}
