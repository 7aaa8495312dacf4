//! The stand-ins are what they seem, without any gateway: whatever fails here would otherwise be
//! blamed on it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixture::client::{Agent, assert_all_ok};
use crate::fixture::recorder::Recorder;
use crate::fixture::sign::{Call, Session};
use crate::fixture::{idp, moto, wire};

#[test]
fn moto_serves_every_client_directly() {
    let direct = Agent::direct(moto().direct_environment());
    assert_all_ok(&direct.boto("services", "direct-boto"));
    assert_all_ok(&direct.boto("objects", "direct-boto"));
    assert_all_ok(&direct.javascript("services", "direct-js"));
    assert_all_ok(&direct.rust("objects", "direct-rust"));
}

#[test]
fn moto_believes_the_tests_own_signer_and_no_bent_signature() {
    let keys = moto().direct_environment();
    let session = Session {
        access_key_id: keys[0].1.clone(),
        secret: keys[1].1.clone(),
        token: String::new(),
    };
    let host = moto().address().to_string();
    let mut call = Call::dynamodb(&host, "ListTables", "{}").sign(&session);
    let answer = wire::plain(moto().address(), &call.bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    call.header("authorization").push('0');
    let answer = wire::plain(moto().address(), &call.bytes()).unwrap();
    assert!(answer.status >= 400, "{}", answer.text());
}

#[test]
fn a_recorder_sees_whole_requests_and_every_byte() {
    let recorder = Recorder::start();
    let address = recorder
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let request =
        b"PUT /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(wire::plain(address, request).unwrap().status, 200);
    assert_eq!(recorder.bytes(), request.len() as u64);
    let seen = recorder.requests();
    assert_eq!((seen.len(), seen[0].line.as_str()), (1, "PUT /a HTTP/1.1"));
    assert_eq!(seen[0].body, b"ab");
}

#[test]
fn the_identity_provider_s_tokens_differ_only_in_what_was_asked() {
    let certified = idp().certified();
    let payload = |token: &str| -> Value {
        let middle = token.split('.').nth(1).unwrap().to_owned();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
    };
    let real = payload(&idp().token("agent-ci"));
    assert_eq!(
        (&real["aud"], &real["groups"]),
        (&json!("portcullis"), &json!(["agents"]))
    );
    let forged = payload(&idp().forge(certified, &json!({"claims": {"aud": "x"}})));
    for claim in ["iss", "sub", "groups", "client_id"] {
        assert_eq!(forged[claim], real[claim]);
    }
    assert_eq!(forged["aud"], "x");
}
