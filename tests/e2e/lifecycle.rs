//! Starting, telling how it is, taking new certificates, stopping: without dropping a call.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::recorder::Recorder;
use crate::fixture::sign::Call;
use crate::fixture::{child, issuer, place, recorder_connection, stage, wire};

const ROLE: &str = "arn:aws:iam::300000000001:role/agent";
const SOON: Duration = Duration::from_secs(30);

fn setting(name: &'static str, recorder: &Recorder) -> Setting {
    let stage = stage();
    Setting {
        name,
        connections: vec![recorder_connection("own", "300000000001", &recorder.url())],
        issuers: vec![issuer(stage.idp.certified())],
        policies: vec![(
            "own.cedar",
            r#"@id("reads") permit (principal in Group::"agents", action in [Action::"level/list", Action::"level/read"], resource);"#.to_owned(),
        )],
        environment: stage.moto.gateway_environment(),
        ..Setting::default()
    }
}

#[test]
fn health_and_readiness_need_no_signature() {
    let gateway = &stage().gateway;
    assert_eq!(gateway.get("/_portcullis/healthz").status, 200);
    assert_eq!(gateway.get("/_portcullis/readyz").status, 200);
}

#[test]
fn what_is_wrong_is_said_on_the_console_only() {
    let recorder = Recorder::start();
    let gateway = Gateway::start(setting("readiness", &recorder));
    gateway.replace(
        "policies/broken.cedar",
        "permit (principal, action, resource",
    );
    let console = child::until("the broken policy to be noticed", SOON, || {
        let answer = gateway.console("/readyz");
        answer.text().contains("broken.cedar:1:").then_some(answer)
    });
    let details = console.json();
    assert_eq!(
        details["ready"], true,
        "the old generation serves: {details}"
    );
    assert_eq!(details["issuers"][0]["issuer"], stage().idp.certified());
    let answer = gateway.get("/_portcullis/readyz");
    assert_eq!(answer.json(), json!({"ready": true}));
}

#[test]
fn metrics_name_the_steps() {
    let gateway = &stage().gateway;
    let session = gateway.session(
        &crate::fixture::recorded_role("http2"),
        &stage().idp.token("agent-ci"),
    );
    let call = Call::dynamodb(&gateway.host(), "ListTables", "{}").sign(&session);
    assert_eq!(gateway.send(&call.bytes()).status, 200);
    let metrics = gateway.get("/_portcullis/metrics").text();
    for step in [
        "parse",
        "authenticate",
        "admit",
        "verify",
        "interpret",
        "decide",
        "record",
        "mint",
        "send",
        "reply",
    ] {
        assert!(metrics.contains(step), "no `{step}` in {metrics}");
    }
}

#[test]
fn unknown_reserved_paths_are_not_s3_keys() {
    let gateway = &stage().gateway;
    for path in [
        "/_portcullis",
        "/_portcullis/",
        "/_portcullis/nothing",
        "/_portcullis/../bucket/key",
    ] {
        let status = gateway.get(path).status;
        assert!([400, 403, 404].contains(&status), "{path}: {status}");
    }
}

#[test]
fn the_minimum_tls_version_is_1_2_and_http2_is_offered() {
    let output = child::command("openssl")
        .args(["s_client", "-tls1_1", "-connect", &stage().gateway.host()])
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[test]
fn a_stop_signal_lets_running_calls_end() {
    let recorder = Recorder::start();
    let gateway = Gateway::start(setting("drain", &recorder));
    let session = gateway.session(ROLE, &stage().idp.token("agent-ci"));
    let call = Call::dynamodb(&gateway.host(), "ListTables", "{}")
        .sign(&session)
        .bytes();
    recorder.hold();
    let answer = thread::scope(|scope| {
        let running = scope.spawn(|| gateway.send(&call));
        child::until("the call to arrive at AWS", SOON, || {
            (!recorder.requests().is_empty()).then_some(())
        });
        gateway.process().lock().unwrap().signal("TERM");
        child::until("new connections to be refused", SOON, || {
            let ready = gateway.try_connect().and_then(|mut stream| {
                wire::exchange(
                    &mut stream,
                    b"GET /_portcullis/readyz HTTP/1.1\r\nhost: x\r\n\r\n",
                )
            });
            ready
                .map_or(true, |answer| answer.status != 200)
                .then_some(())
        });
        recorder.release();
        running.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    let status = child::until("the gateway to end", SOON, || {
        gateway.process().lock().unwrap().ended()
    });
    assert!(status.success(), "{status}\n{}", gateway.log());
}

#[test]
fn a_new_certificate_is_served_without_dropping_connections() {
    let recorder = Recorder::start();
    let files = place::directory("certificates");
    let ca = authority();
    fs::write(files.join("ca.pem"), ca.1.as_bytes()).unwrap();
    issue(&ca.0, &files, "first");
    let (cert, key) = (files.join("tls.crt"), files.join("tls.key"));
    let mut setting = setting("certificates", &recorder);
    setting.tls = Some(json!({"cert": cert, "key": key}));
    setting.ca = Some(files.join("ca.pem"));
    let gateway = Gateway::start(setting);
    let mut old = gateway.connect();
    let first = served(&old);
    issue(&ca.0, &files, "second");
    child::until("the new certificate", SOON, || {
        (served(&gateway.connect()) != first).then_some(())
    });
    old.write_all(b"GET /_portcullis/healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(wire::response(&mut old).unwrap().status, 200);

    // A key that does not belong to the certificate changes nothing.
    let second = served(&gateway.connect());
    gateway_replace(
        &key,
        KeyPair::generate().unwrap().serialize_pem().as_bytes(),
    );
    let before = gateway.log().len();
    child::until("the broken pair to be noticed", SOON, || {
        (gateway.log().len() > before).then_some(())
    });
    assert_eq!(served(&gateway.connect()), second);
}

fn served(stream: &wire::Tls) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), certificate.pem())
}

fn issue(ca: &Issuer<'_, KeyPair>, files: &Path, name: &str) {
    let names = vec![
        "127.0.0.1".to_owned(),
        "localhost".to_owned(),
        format!("{name}.test"),
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, ca)
        .unwrap();
    gateway_replace(&files.join("tls.key"), key.serialize_pem().as_bytes());
    gateway_replace(&files.join("tls.crt"), certificate.pem().as_bytes());
}

fn gateway_replace(target: &Path, bytes: &[u8]) {
    let staged = target.with_extension("staged");
    fs::write(&staged, bytes).unwrap();
    fs::rename(staged, target).unwrap();
}

#[test]
fn check_reports_every_problem_of_a_configuration_at_once() {
    let dir = place::directory("check");
    let file = dir.join("portcullis.yaml");
    fs::write(&file, "listen: { address: nonsense, colour: blue }\noidc:\n  - issuer: http://idp.example\n    audience: []\nconnections: []\n").unwrap();
    let output = child::command(place::portcullis())
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for problem in ["colour", "address", "issuer", "audience"] {
        assert!(
            text.contains(problem),
            "`{problem}` is not reported: {text}"
        );
    }
    assert!(
        text.contains("portcullis.yaml:"),
        "no line is named: {text}"
    );
}
