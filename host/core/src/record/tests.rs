//! What `record` promises, as tests.

use proptest::prelude::*;
use serde_json::json;

use super::entry::{Entry, MEMBERS};
use super::frame::{Decoded, Frame, Place, decode, encode};
use super::segment::{HEADER_BYTES, Header};
use super::*;
use crate::access::Principal;

const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00:00.5 UTC);

fn session() -> Session {
    Session {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: "robot".to_owned(),
            email: None,
            groups: vec!["agents".to_owned()],
        },
        name: "run-1".to_owned(),
        access_key_id: "PCAK1".to_owned(),
        connection: "dev".to_owned(),
        role: "agent-readonly".to_owned(),
        parent: None,
        confined_to: None,
        issued_at: NOON,
        expires_at: NOON,
    }
}

fn actions() -> Vec<Action> {
    let action = |name: &str, resource: &str| Action {
        name: name.to_owned(),
        resource: resource.to_owned(),
        access: AccessLevel::Read,
    };
    vec![
        action("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:1:table/a"),
        action("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:1:table/b"),
    ]
}

fn parse(draft: &Draft) -> serde_json::Value {
    serde_json::from_slice(draft.payload()).unwrap()
}

#[test]
fn ids_are_version_7_uuids_that_sort_by_time_and_parse_back() {
    let earlier = RequestId::new(NOON, [0xff; 10]);
    let later = RequestId::new(NOON + time::Duration::milliseconds(1), [0; 10]);
    assert!(earlier < later);
    let text = earlier.to_string();
    assert_eq!(text, "01a20846-fff4-7fff-bfff-ffffffffffff");
    assert_eq!(text.parse(), Ok(earlier));
    assert_eq!(serde_json::to_value(earlier).unwrap(), json!(text));
}

#[test]
fn what_is_not_an_id_does_not_parse() {
    for text in [
        "",
        "019ab080",
        "019ab0808df47fffbfffffffffffffff",
        "019ab080-8df4-7fff-bfff-fffffffffff+",
        "+19ab080-8df4-7fff-bfff-ffffffffffff",
    ] {
        assert_eq!(text.parse::<RequestId>(), Err(NotAnId), "{text}");
    }
}

#[test]
fn intent_and_outcome_merge_into_the_promised_members() {
    let (session, actions, rules) = (session(), actions(), vec!["cedar/read".to_owned()]);
    let id = RequestId::new(NOON, [1; 10]);
    let params = json!({"TableName": "a"});
    let intent = Intent {
        session: Some(&session),
        called: Some(Called {
            service: "dynamodb",
            operation: "GetItem",
            region: "us-east-1",
            account: "1",
            access: AccessLevel::Read,
            actions: &actions,
            unknown_members: &[],
        }),
        decision: Decision::Allow,
        rules: &rules,
        timings: &[("parse", 3)],
        params: Some(&params),
        ..Intent::new(id, NOON)
    };
    let outcome = Outcome {
        status: Some(200),
        aws_request_id: Some("AWS1"),
        timings: &[("send", 9)],
        ..Outcome::new(End::Answered, NOON)
    };
    let first = Draft::intent(&intent).unwrap();
    let last = Draft::outcome(id, &outcome).unwrap();
    let mut entry = Entry::parse(7, first.payload()).unwrap();
    entry.merge(Entry::parse(8, last.payload()).unwrap());
    let line = serde_json::to_string(&entry).unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["principal"], "https://idp.example#robot");
    assert_eq!(value["time"], "2026-11-23T12:00:00.500000Z");
    assert_eq!(value["actions"], json!(["dynamodb:GetItem"]));
    assert_eq!(value["resources"].as_array().unwrap().len(), 2);
    assert_eq!(value["pairs"].as_array().unwrap().len(), 2);
    assert_eq!(value["status"], 200);
    assert_eq!(value["approval"], serde_json::Value::Null);
    assert_eq!(value["timings_us"], json!({"parse": 3, "send": 9}));
    assert_eq!(value["params"], params);
    let places: Vec<_> = MEMBERS
        .iter()
        .map(|name| line.find(&format!("\"{name}\":")).expect(name))
        .collect();
    assert!(places.is_sorted(), "{line}");
}

#[test]
fn a_refusal_is_intent_and_outcome_in_one_object() {
    let intent = Intent::new(RequestId::new(NOON, [1; 10]), NOON);
    let outcome = Outcome {
        status: Some(403),
        ..Outcome::new(End::NotSent, NOON)
    };
    let value = parse(&Draft::refused(&intent, &outcome).unwrap());
    assert_eq!(value["decision"], "error");
    assert_eq!(value["outcome"], "not-sent");
    assert_eq!(value["status"], 403);
}

#[test]
fn large_parameters_are_left_out_and_long_texts_cut() {
    let agent = "é".repeat(text::SHORT_BYTES);
    let params = json!({ "Body": "x".repeat(draft::PARAMS_BYTES) });
    let intent = Intent {
        user_agent: Some(&agent),
        params: Some(&params),
        ..Intent::new(RequestId::new(NOON, [1; 10]), NOON)
    };
    let value = parse(&Draft::intent(&intent).unwrap());
    assert_eq!(value.get("params"), None);
    assert!(value["params_omitted"].is_string());
    assert!(value["user_agent"].as_str().unwrap().ends_with("é…"));
    assert!(value["user_agent"].as_str().unwrap().len() < text::SHORT_BYTES + 4);
}

#[test]
fn a_record_larger_than_a_frame_is_refused() {
    let actions = vec![
        Action {
            name: "s3:DeleteObject".to_owned(),
            resource: "x".repeat(1024),
            access: AccessLevel::Write,
        };
        4100
    ];
    let called = Called {
        service: "s3",
        operation: "DeleteObjects",
        region: "us-east-1",
        account: "1",
        access: AccessLevel::Write,
        actions: &actions,
        unknown_members: &[],
    };
    let intent = Intent {
        called: Some(called),
        ..Intent::new(RequestId::new(NOON, [1; 10]), NOON)
    };
    assert_eq!(Draft::intent(&intent).unwrap_err(), TooLarge);
}

#[test]
fn every_event_encodes() {
    let session = session();
    let plugins = vec![("cedar".to_owned(), "sha256:00".to_owned())];
    let issued = Event::CredentialsIssued {
        session: &session,
        source_ip: Some(IpAddr::from([127, 0, 0, 1])),
        user_agent: None,
    };
    let value = parse(&Draft::event(NOON, &issued).unwrap());
    assert_eq!(value["event"], "credentials-issued");
    assert_eq!(value["access_key_id"], "PCAK1");
    assert_eq!(value["source_ip"], "127.0.0.1");
    let reloaded = Event::Reloaded {
        generation: 2,
        plugins: &plugins,
    };
    let value = parse(&Draft::event(NOON, &reloaded).unwrap());
    assert_eq!(value["plugins"], json!({"cedar": "sha256:00"}));
    let suppressed = Event::Suppressed(Suppressed {
        since: NOON,
        total: 7,
        sources: vec![(IpAddr::from([192, 0, 2, 1]), 7)],
        other_sources: 0,
    });
    let value = parse(&Draft::event(NOON, &suppressed).unwrap());
    assert_eq!(value["sources"], json!({"192.0.2.1": 7}));
}

fn sample_frame() -> ([u8; 32], Vec<u8>) {
    let previous = [7; 32];
    let draft = Draft::intent(&Intent::new(RequestId::new(NOON, [1; 10]), NOON)).unwrap();
    let mut bytes = Vec::new();
    encode(&draft, 42, Place::Opens, &previous, &mut bytes);
    (previous, bytes)
}

fn whole(bytes: &[u8]) -> Option<Frame<'_>> {
    match decode(bytes) {
        Decoded::Whole(frame) => Some(frame),
        Decoded::Bad | Decoded::Incomplete(_) => None,
    }
}

#[test]
fn a_frame_reads_back_and_follows_only_its_predecessor() {
    let (previous, bytes) = sample_frame();
    let frame = whole(&bytes).unwrap();
    assert_eq!(
        (frame.sequence, frame.place, frame.length),
        (42, Place::Opens, bytes.len())
    );
    assert!(frame.follows(&previous));
    assert!(!frame.follows(&[8; 32]));
}

#[test]
fn a_frame_with_any_byte_changed_is_not_read() {
    let (_, bytes) = sample_frame();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(whole(&changed).is_none(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_frame_cut_anywhere_is_incomplete() {
    let (_, bytes) = sample_frame();
    for end in 0..bytes.len() {
        let Decoded::Incomplete(needed) = decode(&bytes[..end]) else {
            panic!("cut at {end}");
        };
        assert!(needed > end && needed <= bytes.len());
    }
}

#[test]
fn a_header_with_any_byte_changed_is_not_read() {
    let header = Header {
        origin: [3; 16],
        first_sequence: 9,
        previous: [4; 32],
        created_ms: 5,
    };
    let bytes = header.encode();
    assert_eq!(bytes.len(), HEADER_BYTES);
    assert_eq!(Header::decode(&bytes), Some(header));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert_eq!(Header::decode(&changed), None, "byte {at}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let _ = Header::decode(&bytes);
        let _ = Entry::parse(1, &bytes);
    }
}
