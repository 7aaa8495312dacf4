//! What SDKs do with objects: every size, checksum and payload mode that each has, ranges, copies,
//! parts, and an answer that is an event stream.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Files, SIZES, Way};
use crate::fixture::client::{Agent, assert_all_ok, run, value};
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::recorder::Recorder;
use crate::fixture::{issuer, recorder_connection, stage};

/// Random keys that botocore signs, by the endpoint and by the proxy.
const KEYS: [usize; 2] = [10_000, 1_000];

/// `clients/matrix.py` and `clients/matrix.mjs` do the same.
fn assert_everything_worked(lines: &[Value]) {
    assert_all_ok(lines);
    assert!(lines.len() > 30, "{}", lines.len());
    // What moto counts, in an event of its own; AWS's other events are `fuzz`'s.
    assert!(value(lines, "select").as_str().unwrap().contains('2'));
}

fn boto3(way: Way) {
    let script = way
        .agent()
        .script("matrix.py", "objects", &way.name("boto-matrix"));
    assert_everything_worked(&run(script));
}

#[test]
fn boto3_does_everything_with_objects() {
    boto3(Way::Endpoint);
}

#[test]
fn boto3_does_everything_with_objects_by_way_of_the_proxy() {
    boto3(Way::Proxy);
}

fn javascript(way: Way) {
    let script = way
        .agent()
        .module("matrix.mjs", "objects", &way.name("js-matrix"));
    assert_everything_worked(&run(script));
}

#[test]
fn javascript_does_everything_with_objects() {
    javascript(Way::Endpoint);
}

#[test]
fn javascript_does_everything_with_objects_by_way_of_the_proxy() {
    javascript(Way::Proxy);
}

/// `clients` has it by the endpoint.
#[test]
fn javascript_calls_every_kind_of_service_by_way_of_the_proxy() {
    let lines = Way::Proxy.agent().javascript("services", "js-by-proxy");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "DynamoDB.GetItem"), "é日本");
}

/// `clients` has it by the endpoint.
#[test]
fn the_rust_sdk_calls_every_kind_of_service_by_way_of_the_proxy() {
    let lines = Way::Proxy.agent().rust("services", "rust-by-proxy");
    assert_all_ok(&lines);
    assert_eq!(value(&lines, "DynamoDB.GetItem"), "é日本");
}

fn rust(way: Way) {
    let lines = way.agent().rust("matrix", &way.name("rust-matrix"));
    assert_all_ok(&lines);
    assert!(value(&lines, "select").as_str().unwrap().contains('2'));
}

#[test]
fn the_rust_sdk_does_everything_with_objects() {
    rust(Way::Endpoint);
}

#[test]
fn the_rust_sdk_does_everything_with_objects_by_way_of_the_proxy() {
    rust(Way::Proxy);
}

fn cli(way: Way) {
    let (agent, files, bucket) = (way.agent(), Files::new(way), way.bucket("cli-matrix"));
    let (stored, copied) = (
        format!("s3://{bucket}/a b"),
        format!("s3://{bucket}/copied"),
    );
    let s3 = |arguments: &[&str]| {
        agent.cli_json(&[&["s3"], arguments, &["--recursive"]].concat());
    };
    s3(&["cp", &files.up(""), &stored]);
    s3(&["cp", &stored, &copied]);
    s3(&["cp", &copied, &files.down("")]);
    files.assert_same();
    let (key, down) = (format!("copied/{}", SIZES[2]), files.down("range"));
    let get = ["s3api", "get-object", "--bucket", &bucket, "--key", &key];
    agent.cli_json(&[&get[..], &["--range", "bytes=1000-1999", &down]].concat());
    assert!(fs::read(down).unwrap() == files.range());
    s3(&["rm", &format!("s3://{bucket}")]);
}

#[test]
fn the_cli_does_everything_with_objects() {
    cli(Way::Endpoint);
}

#[test]
fn the_cli_does_everything_with_objects_by_way_of_the_proxy() {
    cli(Way::Proxy);
}

/// SIG-20: the gateway takes what botocore signed, and AWS sees exactly those bytes. A gateway of
/// its own, whose log is not in the way of others.
#[test]
fn random_keys_arrive_as_botocore_signed_them() {
    let recorder = Recorder::start();
    let gateway = Gateway::start(Setting {
        name: "keys",
        connections: vec![recorder_connection("keys", "400000000003", &recorder.url())],
        issuers: vec![issuer(stage().idp.certified())],
        policies: vec![(
            "keys.cedar",
            "@id(\"reads\") permit (principal, action == Action::\"s3:GetObject\", resource);"
                .to_owned(),
        )],
        environment: stage().moto.gateway_environment(),
        proxy: Some(serde_json::json!({})),
        ..Setting::default()
    });
    let role = "arn:aws:iam::400000000003:role/agent";
    let token = stage().idp.token("agent-ci");
    let agents = [Agent::new, Agent::proxied].map(|made| made(&gateway, role, &token));
    for (agent, count) in agents.iter().zip(KEYS) {
        let before = recorder.requests().len();
        let lines = run(agent.script("matrix.py", "keys", &format!("bucket:{count}")));
        assert_all_ok(&lines);
        let signed: BTreeSet<String> = lines
            .iter()
            .map(|line| format!("GET {} HTTP/1.1", line["path"].as_str().unwrap()))
            .collect();
        let arrived: Vec<_> = recorder.requests().split_off(before);
        assert_eq!((signed.len(), arrived.len()), (count, count));
        let arrived: BTreeSet<String> = arrived.into_iter().map(|request| request.line).collect();
        let different: Vec<_> = arrived.symmetric_difference(&signed).take(5).collect();
        assert!(different.is_empty(), "{different:?}");
    }
}
