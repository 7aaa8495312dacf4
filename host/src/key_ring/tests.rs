//! What `key_ring` promises, as tests.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use portcullis_core::access::Principal;
use portcullis_core::token::NewSession;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn issue(keys: &KeyRingFile, now: OffsetDateTime) -> (String, String) {
    let session = NewSession {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: "user-1".to_owned(),
            email: None,
            groups: Vec::new(),
        },
        name: "claude".to_owned(),
        connection: "dev".to_owned(),
        role: "agent".to_owned(),
        parent: None,
        confined_to: None,
        issued_at: now,
        expires_at: now + Duration::hours(12),
    };
    let (_, credentials) = keys.ring().issue(session, random().unwrap()).unwrap();
    (
        credentials.access_key_id.clone(),
        credentials.session_token.expose().to_owned(),
    )
}

fn opens(keys: &KeyRingFile, (id, token): &(String, String), now: OffsetDateTime) -> bool {
    keys.ring().open(id, Some(token), now).is_ok()
}

fn stored(state: &Path) -> usize {
    let json = fs::read(state.join("keys/session-keys.json")).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&json).unwrap();
    document["keys"].as_array().unwrap().len()
}

#[test]
fn first_start_makes_a_private_file_that_later_starts_read() {
    let state = tempfile::tempdir().unwrap();
    let first = KeyRingFile::open(state.path(), NOW).unwrap();
    assert_eq!(fs::metadata(first.path()).unwrap().mode() & 0o777, 0o600);
    let directory = fs::metadata(state.path().join("keys")).unwrap();
    assert_eq!(directory.mode() & 0o777, 0o700);
    let session = issue(&first, NOW);
    let second = KeyRingFile::open(state.path(), NOW).unwrap();
    assert!(opens(&second, &session, NOW));
}

#[test]
fn gateways_that_start_together_share_one_key() {
    let state = tempfile::tempdir().unwrap();
    let rings: Vec<KeyRingFile> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| KeyRingFile::open(state.path(), NOW).unwrap()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert_eq!(stored(state.path()), 1);
    let session = issue(&rings[0], NOW);
    assert!(rings.iter().all(|ring| opens(ring, &session, NOW)));
}

#[test]
fn new_key_seals_only_once_every_gateway_knows_it() {
    let state = tempfile::tempdir().unwrap();
    let here = KeyRingFile::open(state.path(), NOW).unwrap();
    let there = KeyRingFile::open(state.path(), NOW).unwrap();
    let month_later = NOW + ROTATION;
    here.refresh(month_later).unwrap();
    assert_eq!(stored(state.path()), 2);
    let before = issue(&here, month_later);
    assert!(opens(&there, &before, month_later), "still the old key");

    let later = month_later + ACTIVATION;
    here.refresh(later).unwrap();
    let after = issue(&here, later);
    assert!(!opens(&there, &after, later), "the new key");
    there.refresh(later).unwrap();
    assert!(opens(&there, &after, later));
    assert!(opens(&there, &before, later), "the old key still opens");
}

#[test]
fn old_key_stays_until_its_last_session_is_over() {
    let state = tempfile::tempdir().unwrap();
    let keys = KeyRingFile::open(state.path(), NOW).unwrap();
    let rotation = NOW + ROTATION;
    keys.refresh(rotation).unwrap();
    let last_sealed = rotation + ACTIVATION - Duration::SECOND;
    keys.refresh(last_sealed).unwrap();
    let session = issue(&keys, last_sealed);

    let last_moment = last_sealed + Duration::hours(12) - Duration::SECOND;
    keys.refresh(last_moment).unwrap();
    assert!(opens(&keys, &session, last_moment));
    keys.refresh(rotation + ACTIVATION + RETENTION).unwrap();
    assert_eq!(stored(state.path()), 1);
    assert!(!opens(&keys, &session, last_moment), "the key is gone");
}

#[test]
fn file_that_others_may_read_is_refused() {
    let check = |name: &str, mode: u32| {
        let state = tempfile::tempdir().unwrap();
        let keys = KeyRingFile::open(state.path(), NOW).unwrap();
        let path = state.path().join("keys").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = KeyRingFile::open(state.path(), NOW).unwrap_err();
        assert!(format!("{error:#}").contains("chmod go="), "{error:#}");
        if name == "session-keys.json" {
            assert!(keys.refresh(NOW).is_err());
        }
    };
    check("session-keys.json", 0o640);
    check("session-keys.json", 0o604);
    check("", 0o750);
    check("", 0o702);
}

#[test]
fn damaged_file_is_refused_and_never_replaced() {
    let check = |content: &str| {
        let state = tempfile::tempdir().unwrap();
        let keys = KeyRingFile::open(state.path(), NOW).unwrap();
        let session = issue(&keys, NOW);
        fs::write(keys.path(), content).unwrap();
        assert!(KeyRingFile::open(state.path(), NOW).is_err(), "{content}");
        assert!(keys.refresh(NOW + ROTATION).is_err(), "{content}");
        assert_eq!(fs::read_to_string(keys.path()).unwrap(), content);
        assert!(opens(&keys, &session, NOW), "the ring in memory stays");
    };
    check("");
    check("{");
    check(r#"{"version":1,"keys":[]}"#);
    check(r#"{"version":2,"keys":[]}"#);
    check(
        r#"{"version":1,"keys":[{"id":"aaaaaaaa","secret":"AAAA","created":"2026-03-01T12:00:00Z"}]}"#,
    );
    check(&" ".repeat(70_000));
}

#[test]
fn left_over_temporary_file_does_not_stop_a_rotation() {
    let state = tempfile::tempdir().unwrap();
    let keys = KeyRingFile::open(state.path(), NOW).unwrap();
    fs::write(state.path().join("keys/session-keys.json.new"), "half").unwrap();
    keys.refresh(NOW + ROTATION).unwrap();
    assert_eq!(stored(state.path()), 2);
}

#[test]
fn secrets_are_not_printed() {
    let state = tempfile::tempdir().unwrap();
    let keys = KeyRingFile::open(state.path(), NOW).unwrap();
    let json = fs::read(keys.path()).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let secret = document["keys"][0]["secret"].as_str().unwrap();
    assert!(!format!("{keys:?}").contains(secret));
}
