//! What `token` promises, as tests.

use proptest::prelude::*;
use time::Duration;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00.25 UTC);

fn key(name: &str) -> RingKey {
    let secret = name.as_bytes().first().copied().unwrap_or_default();
    RingKey::new(KeyId::parse(name).unwrap(), &[secret; 32])
}

fn ring() -> KeyRing {
    KeyRing::new(key("aaaaaaaa"), Vec::new())
}

fn new_session(groups: Vec<String>) -> NewSession {
    NewSession {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: "user-1".to_owned(),
            email: Some("ada@example.com".to_owned()),
            groups,
        },
        name: "claude".to_owned(),
        connection: "dev".to_owned(),
        role: "agent-readonly".to_owned(),
        parent: None,
        confined_to: None,
        issued_at: NOW,
        expires_at: NOW + Duration::HOUR,
    }
}

fn issue(ring: &KeyRing, seed: u8) -> (Session, GatewayCredentials) {
    ring.issue(new_session(vec!["agents".to_owned()]), [seed; RANDOMNESS])
        .unwrap()
}

fn open(ring: &KeyRing, access_key_id: &str, token: &str) -> Result<Session, Refusal> {
    ring.open(access_key_id, Some(token), NOW)
        .map(|(session, _)| session)
}

#[test]
fn opened_session_is_the_issued_one() {
    let ring = ring();
    let (session, credentials) = issue(&ring, 7);
    let token = credentials.session_token.expose();
    let (opened, secret) = ring
        .open(&credentials.access_key_id, Some(token), NOW)
        .unwrap();
    assert_eq!(opened, session);
    assert_eq!(secret.expose(), credentials.secret_access_key.expose());
    assert_eq!(session.expires_at, datetime!(2026-03-01 13:00:00 UTC));
}

#[test]
fn credentials_have_the_shape_clients_expect() {
    let (_, credentials) = issue(&ring(), 7);
    assert_eq!(credentials.access_key_id, "PCAKA4DQOBYHA4DQOBYH");
    assert_eq!(credentials.secret_access_key.expose().len(), 40);
    let token = credentials.session_token.expose();
    assert!(token.starts_with("pc3.aaaaaaaa."));
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    );
}

#[test]
fn nothing_secret_is_printed() {
    let (_, credentials) = issue(&ring(), 7);
    let printed = format!("{credentials:?} {:?}", ring());
    assert!(!printed.contains(credentials.session_token.expose()));
    assert!(!printed.contains(credentials.secret_access_key.expose()));
    assert!(!printed.contains("97, 97"));
}

#[test]
fn keys_that_are_not_the_gateways_are_unknown() {
    let ring = ring();
    let (_, credentials) = issue(&ring, 7);
    let check = |access_key_id: &str| {
        assert_eq!(
            open(&ring, access_key_id, credentials.session_token.expose()),
            Err(Refusal::UnknownAccessKey),
            "{access_key_id}"
        );
    };
    check("");
    check("PCAK");
    check("AKIAIOSFODNN7EXAMPLE");
    check("ASIAA4DQOBYHA4DQOBYH");
    check("pcakA4DQOBYHA4DQOBYH");
    check("PCAKa4dqobyha4dqobyh");
    check("PCAKA4DQOBYHA4DQOBY1");
    check("PCAKA4DQOBYHA4DQOBYHA");
}

#[test]
fn absent_and_foreign_tokens_are_invalid() {
    let ring = ring();
    let (_, mine) = issue(&ring, 7);
    let (_, other) = issue(&ring, 8);
    let id = &mine.access_key_id;
    assert_eq!(
        ring.open(id, None, NOW).unwrap_err(),
        Refusal::SessionInvalid
    );
    let check = |token: &str| {
        assert_eq!(
            open(&ring, id, token),
            Err(Refusal::SessionInvalid),
            "{token}"
        )
    };
    check("");
    check("pc3.aaaaaaaa.");
    check("pc3.aaaaaaaa.AAAA");
    check("pc3.aaaaaaaa.AAAA");
    check("pc3.bbbbbbbb.AAAA");
    check(other.session_token.expose());
    check(&format!("{}=", mine.session_token.expose()));
    check(&format!("{} ", mine.session_token.expose()));
    check(&"A".repeat(MAX_TOKEN + 1));
}

#[test]
fn session_ends_at_its_second() {
    let ring = ring();
    let (session, credentials) = issue(&ring, 7);
    let at = |now| {
        ring.open(
            &credentials.access_key_id,
            Some(credentials.session_token.expose()),
            now,
        )
        .map(|_| ())
    };
    assert_eq!(at(session.expires_at - Duration::SECOND), Ok(()));
    assert_eq!(at(session.expires_at), Err(Refusal::SessionExpired));
}

#[test]
fn older_keys_still_open_and_removed_keys_do_not() {
    let (_, credentials) = issue(&ring(), 7);
    let id = &credentials.access_key_id;
    let token = credentials.session_token.expose();
    let rotated = KeyRing::new(key("bbbbbbbb"), vec![key("aaaaaaaa")]);
    assert!(open(&rotated, id, token).is_ok());
    assert!(
        issue(&rotated, 9)
            .1
            .session_token
            .expose()
            .starts_with("pc3.bbbbbbbb.")
    );
    let removed = KeyRing::new(key("bbbbbbbb"), Vec::new());
    assert_eq!(open(&removed, id, token), Err(Refusal::SessionInvalid));
}

#[test]
fn same_key_id_with_another_secret_opens_nothing() {
    let (_, credentials) = issue(&ring(), 7);
    let other = KeyRing::new(
        RingKey::new(KeyId::parse("aaaaaaaa").unwrap(), &[1; 32]),
        Vec::new(),
    );
    assert_eq!(
        open(
            &other,
            &credentials.access_key_id,
            credentials.session_token.expose()
        ),
        Err(Refusal::SessionInvalid)
    );
}

#[test]
fn twenty_groups_fit_in_two_kibibytes() {
    let groups = (0..20)
        .map(|n| format!("6f9619ff-8b86-d011-b42d-{n:012}"))
        .collect();
    let (_, credentials) = ring().issue(new_session(groups), [7; RANDOMNESS]).unwrap();
    let length = credentials.session_token.expose().len();
    assert!(length < 2048, "{length}");
}

#[test]
fn too_many_groups_are_refused() {
    let check = |count: usize, length: usize| {
        let groups = vec!["g".repeat(length); count];
        let refused = ring().issue(new_session(groups), [7; RANDOMNESS]).is_err();
        assert!(refused, "{count} groups of {length}");
    };
    check(201, 1);
    check(100, 60);
    assert!(
        ring()
            .issue(new_session(vec!["g".to_owned(); 200]), [7; RANDOMNESS])
            .is_ok()
    );
}

#[test]
fn key_ids_are_plain() {
    let check = |text: &str, good: bool| assert_eq!(KeyId::parse(text).is_some(), good, "{text}");
    check("0123456789abcdef", true);
    check("short", false);
    check("with.a.dot", false);
    check("UPPERCASE", false);
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(position in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let ring = ring();
        let (_, credentials) = issue(&ring, 7);
        let mut token = credentials.session_token.expose().as_bytes().to_vec();
        let at = position.index(token.len());
        token[at] ^= 1 << bit;
        if let Ok(token) = String::from_utf8(token) {
            prop_assert_eq!(
                open(&ring, &credentials.access_key_id, &token),
                Err(Refusal::SessionInvalid)
            );
        }
    }

    #[test]
    fn any_changed_access_key_is_refused(position in 4..20_usize, letter in "[A-Z2-7]") {
        let ring = ring();
        let (_, credentials) = issue(&ring, 7);
        let mut id = credentials.access_key_id.clone();
        id.replace_range(position..=position, &letter);
        prop_assume!(id != credentials.access_key_id);
        prop_assert_eq!(
            open(&ring, &id, credentials.session_token.expose()),
            Err(Refusal::SessionInvalid)
        );
    }

    #[test]
    fn any_text_is_refused_without_a_panic(id in ".{0,24}", token in "(pc3\\.aaaaaaaa\\.)?.{0,200}") {
        prop_assert!(open(&ring(), &id, &token).is_err());
        prop_assert!(open(&ring(), "PCAKA4DQOBYHA4DQOBYH", &token).is_err());
    }

    #[test]
    fn every_session_opens_to_itself(
        subject in ".{0,80}",
        groups in prop::collection::vec(".{0,12}", 0..20),
        randomness in any::<[u8; RANDOMNESS]>(),
    ) {
        let ring = ring();
        let mut session = new_session(groups);
        session.principal.subject = subject;
        let (session, credentials) = ring.issue(session, randomness).unwrap();
        let opened = open(&ring, &credentials.access_key_id, credentials.session_token.expose());
        prop_assert_eq!(opened, Ok(session));
    }
}
