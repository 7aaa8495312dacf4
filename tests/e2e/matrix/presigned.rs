//! URLs that clients presign and others use: curl puts and fetches objects and sends the parts of
//! an upload with what an SDK handed it.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{Files, RANGED, Way, ca, output, session, succeeds};
use crate::fixture::client::{assert_all_ok, run, value};

/// Large enough for a part that is not the last.
const PART: &str = "20971520";

/// Does with each URL of `lines` what it is for; `lines` name it by what `clients` call it.
fn use_urls(way: Way, files: &Files, bucket: &str, lines: &[Value]) {
    assert_all_ok(lines);
    let url = |step: &str| value(lines, step).as_str().unwrap().to_owned();
    for name in &files.names {
        put(way, &files.up(name), &url("put"));
        fetch(way, &url("get"), &files.down(name));
        files.assert_same_file(name);
    }
    put(way, &files.up(RANGED), &url("put"));
    let (range, get) = (files.down("range"), url("get"));
    succeeds(curl(
        way,
        &["--fail", "--range", "1000-1999", "--output", &range, &get],
    ));
    assert!(fs::read(range).unwrap() == files.range());
    let bent = get.replacen("X-Amz-Expires=", "X-Amz-Expires=1", 1);
    assert_ne!(bent, get);
    let (_, refused) = output(curl(way, &[&bent]));
    let refused = text(&refused);
    assert!(refused.contains("<Code>SignatureDoesNotMatch"), "{refused}");
    parts(way, files, bucket, lines);
}

fn parts(way: Way, files: &Files, bucket: &str, lines: &[Value]) {
    let parts: Vec<Value> = [(1, PART), (2, "1")]
        .map(|(number, name)| {
            let url = value(lines, &format!("part {number}"));
            let tag = put(way, &files.up(name), url.as_str().unwrap());
            json!({"PartNumber": number, "ETag": tag})
        })
        .to_vec();
    let upload = value(lines, "upload");
    way.agent().cli_json(&[
        "s3api",
        "complete-multipart-upload",
        "--bucket",
        bucket,
        "--key",
        "in parts",
        "--upload-id",
        upload.as_str().unwrap(),
        "--multipart-upload",
        &json!({ "Parts": parts }).to_string(),
    ]);
    let whole = files.down("whole");
    fetch(way, value(lines, "get parts").as_str().unwrap(), &whole);
    let sent = [PART, "1"].map(|name| fs::read(files.up(name)).unwrap());
    assert!(fs::read(whole).unwrap() == sent.concat());
}

/// The entity tag of what was put.
fn put(way: Way, file: &str, url: &str) -> String {
    let answer = succeeds(curl(
        way,
        &["--fail", "--include", "--upload-file", file, url],
    ));
    let answer = String::from_utf8(answer).unwrap();
    let tag = answer.lines().find_map(|line| {
        let (name, tag) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("etag")
            .then(|| tag.trim().to_owned())
    });
    tag.unwrap_or_else(|| panic!("no entity tag: {answer}"))
}

fn fetch(way: Way, url: &str, file: &str) {
    succeeds(curl(way, &["--fail", "--output", file, url]));
}

fn curl(way: Way, arguments: &[&str]) -> Command {
    // It signs nothing, so that it is given keys that it has no use for.
    let mut command = way.tool("curl", "/nonexistent".as_ref(), &session());
    command
        .args(["--silent", "--show-error", "--cacert", &ca()])
        .args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn boto3(way: Way) {
    let (files, bucket) = (Files::new(way), way.bucket("boto-presigned"));
    let lines = run(way.agent().script("matrix.py", "presign", &bucket));
    use_urls(way, &files, &bucket, &lines);
}

#[test]
fn what_boto3_presigns_works_in_curl() {
    boto3(Way::Endpoint);
}

#[test]
fn what_boto3_presigns_works_in_curl_by_way_of_the_proxy() {
    boto3(Way::Proxy);
}

fn javascript(way: Way) {
    let (files, bucket) = (Files::new(way), way.bucket("js-presigned"));
    let lines = run(way.agent().module("matrix.mjs", "presign", &bucket));
    use_urls(way, &files, &bucket, &lines);
}

#[test]
fn what_javascript_presigns_works_in_curl() {
    javascript(Way::Endpoint);
}

#[test]
fn what_javascript_presigns_works_in_curl_by_way_of_the_proxy() {
    javascript(Way::Proxy);
}

fn rust(way: Way) {
    let (files, bucket) = (Files::new(way), way.bucket("rust-presigned"));
    let lines = way.agent().rust("presign", &bucket);
    use_urls(way, &files, &bucket, &lines);
}

#[test]
fn what_the_rust_sdk_presigns_works_in_curl() {
    rust(Way::Endpoint);
}

#[test]
fn what_the_rust_sdk_presigns_works_in_curl_by_way_of_the_proxy() {
    rust(Way::Proxy);
}

/// It presigns what is there already, with Signature Version 2 unless it is told otherwise.
#[test]
fn what_the_cli_presigns_works_in_curl() {
    for way in [Way::Endpoint, Way::Proxy] {
        let (files, bucket) = (Files::new(way), way.bucket("cli-presigned"));
        let object = format!("s3://{bucket}/a b/é+%.bin");
        let settings = files.directory.join("settings");
        fs::write(&settings, "[default]\ns3 =\n  signature_version = s3v4\n").unwrap();
        let agent = way.agent();
        let agent = agent.with("AWS_CONFIG_FILE", settings.to_str().unwrap());
        agent.cli_json(&["s3", "cp", &files.up(RANGED), &object]);
        let url = text(&agent.cli(&["s3", "presign", &object]));
        fetch(way, url.trim(), &files.down(RANGED));
        files.assert_same_file(RANGED);
    }
}
