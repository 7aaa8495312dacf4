//! Tools with signers of their own store and fetch objects through the gateway, and the bytes that
//! come back are the bytes that went in.
//!
//! They know nothing of web identity: each is given the keys that an agent's SDK would have got.
//! What each needs beside them stands at its test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fixture::client::{Agent, assert_all_ok, run, value};
use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::recorder::Recorder;
use crate::fixture::sign::Session;
use crate::fixture::{POWER, child, issuer, place, recorder_connection, stage};

/// Empty, one byte, odd, and large enough that every tool sends it in parts.
const SIZES: [usize; 4] = [0, 1, 64 * 1024 - 1, 20 << 20];
/// Random keys that botocore signs.
const KEYS: usize = 10_000;

/// Files to send, and where they come back to.
struct Files {
    directory: PathBuf,
    names: Vec<String>,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = place::directory(name);
        let up = directory.join("up");
        fs::create_dir(&up).unwrap();
        fs::create_dir(directory.join("down")).unwrap();
        let names = SIZES.map(|size| size.to_string()).to_vec();
        for (name, size) in names.iter().zip(SIZES) {
            fs::write(up.join(name), noise(size)).unwrap();
        }
        Self { directory, names }
    }

    fn up(&self, name: &str) -> String {
        self.directory.join("up").join(name).display().to_string()
    }

    fn down(&self, name: &str) -> String {
        self.directory.join("down").join(name).display().to_string()
    }

    /// Every file came back as it went.
    fn assert_same(&self) {
        for name in &self.names {
            let same = fs::read(self.up(name)).unwrap() == fs::read(self.down(name)).unwrap();
            assert!(same, "{name} came back changed");
        }
    }
}

/// Bytes that repeat nowhere near a chunk's size.
fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn session() -> Session {
    stage()
        .gateway
        .session(POWER, &stage().idp.token("agent-power"))
}

/// A program with an agent's keys in its environment.
fn tool(name: &str, home: &Path, session: &Session) -> Command {
    let mut command = child::command(name);
    command
        .env("HOME", home)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &session.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &session.secret)
        .env("AWS_SESSION_TOKEN", &session.token);
    command
}

fn succeeds(mut command: Command) -> String {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let child = child::spawn(command).unwrap_or_else(|error| {
        panic!("{shown} does not start ({error}): run `cargo xtask setup`")
    });
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{text}\n{errors}");
    text
}

fn bucket(name: &str) {
    let agent = stage().agent("agent-power", POWER);
    agent.cli_json(&["s3", "mb", &format!("s3://{name}")]);
}

/// It needs `--ca-cert`: it does not start where `AWS_CA_BUNDLE` is set. Small files go unsigned,
/// large ones in signed parts. `--s3-no-head`: moto does not know version `null`, AWS does.
#[test]
fn rclone_stores_and_fetches_objects() {
    let files = Files::new("rclone");
    let session = session();
    bucket("rclone");
    let ca = stage().gateway.ca().display().to_string();
    let remote = format!(
        ":s3,provider=Other,env_auth=true,region=us-east-1,endpoint='{}':rclone/a b",
        stage().gateway.url()
    );
    let copy = |from: &str, to: &str| {
        let mut command = tool("rclone", &files.directory, &session);
        command.args(["--ca-cert", &ca, "--config", "/dev/null", "--retries", "1"]);
        command.args([
            "--s3-no-head",
            "--s3-no-check-bucket",
            "--s3-upload-cutoff",
            "5M",
        ]);
        command.args(["copy", from, to]);
        succeeds(command);
    };
    copy(&files.up(""), &remote);
    copy(&remote, &files.down(""));
    files.assert_same();
}

/// It signs each body whole. Over an address it must be told to put the bucket into the path.
#[test]
fn s3cmd_stores_and_fetches_objects() {
    let files = Files::new("s3cmd");
    let session = session();
    let (host, ca) = (
        stage().gateway.host(),
        stage().gateway.ca().display().to_string(),
    );
    let token = format!("--access_token={}", session.token);
    let s3cmd = |arguments: &[&str]| {
        let mut command = tool("s3cmd", &files.directory, &session);
        command.args(["--config=/dev/null", "--no-progress", "--region=us-east-1"]);
        command.args([format!("--host={host}"), format!("--host-bucket={host}")]);
        command.args([format!("--ca-certs={ca}"), token.clone()]);
        command.arg(format!("--access_key={}", session.access_key_id));
        command.arg(format!("--secret_key={}", session.secret));
        succeeds({
            command.args(arguments);
            command
        })
    };
    s3cmd(&["mb", "s3://s3cmd"]);
    for name in &files.names {
        s3cmd(&["put", &files.up(name), &format!("s3://s3cmd/{name}")]);
        s3cmd(&["get", &format!("s3://s3cmd/{name}"), &files.down(name)]);
    }
    files.assert_same();
    s3cmd(&["del", "s3://s3cmd/1"]);
    assert!(!s3cmd(&["ls", "s3://s3cmd"]).contains("s3://s3cmd/1\n"));
}

/// A repository is made, filled, checked and restored.
#[test]
fn restic_backs_up_and_restores() {
    let files = Files::new("restic");
    let session = session();
    bucket("restic");
    let ca = stage().gateway.ca().display().to_string();
    let repository = format!("s3:{}/restic/repository", stage().gateway.url());
    let restic = |arguments: &[&str]| {
        let mut command = tool("restic", &files.directory, &session);
        command.env("RESTIC_PASSWORD", "not a secret");
        command.current_dir(files.directory.join("up"));
        command
            .args(["--cacert", &ca, "--repo", &repository, "--no-cache"])
            .args(arguments);
        succeeds(command);
    };
    restic(&["init"]);
    restic(&["backup", "."]);
    restic(&["check", "--read-data"]);
    restic(&["restore", "latest", "--target", &files.down("")]);
    files.assert_same();
}

/// This version adds neither the digest, which S3 requires, nor the token: both are its user's.
#[test]
fn curl_stores_and_fetches_objects() {
    let files = Files::new("curl");
    let session = session();
    bucket("curl");
    let (url, ca) = (
        stage().gateway.url(),
        stage().gateway.ca().display().to_string(),
    );
    let curl = |arguments: &[&str]| {
        let mut command = tool("curl", &files.directory, &session);
        command.args(["--silent", "--show-error", "--fail", "--cacert", &ca]);
        command.args(["--aws-sigv4", "aws:amz:us-east-1:s3"]);
        command.args([
            "--user",
            &format!("{}:{}", session.access_key_id, session.secret),
        ]);
        command.args([
            "--header",
            &format!("x-amz-security-token: {}", session.token),
        ]);
        command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        succeeds({
            command.args(arguments);
            command
        })
    };
    for name in &files.names {
        let object = format!("{url}/curl/{name}");
        curl(&["--upload-file", &files.up(name), &object]);
        curl(&["--output", &files.down(name), &object]);
    }
    files.assert_same();
}

/// Checksums of every kind behind the body, bodies that are signed or not, ranges, copies, parts,
/// an upload given up, and an answer that is an event stream.
#[test]
fn boto3_does_everything_with_objects() {
    let agent = stage().agent("agent-power", POWER);
    let lines = run(agent.script("matrix.py", "objects", "boto-matrix"));
    assert_all_ok(&lines);
    assert!(lines.len() > 30, "{}", lines.len());
    assert!(value(&lines, "select").as_str().unwrap().contains('2'));
}

#[test]
fn the_cli_stores_and_fetches_a_quarter_of_a_gibibyte() {
    let files = place::directory("large");
    let (up, down) = (files.join("up"), files.join("down"));
    fs::write(&up, noise(256 << 20)).unwrap();
    let agent = stage().agent("agent-power", POWER);
    bucket("large");
    agent.cli_json(&["s3", "cp", up.to_str().unwrap(), "s3://large/object"]);
    agent.cli_json(&["s3", "cp", "s3://large/object", down.to_str().unwrap()]);
    assert!(
        fs::read(up).unwrap() == fs::read(down).unwrap(),
        "it came back changed"
    );
    agent.cli_json(&["s3", "rm", "s3://large/object"]);
    fs::remove_dir_all(files).unwrap();
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
        ..Setting::default()
    });
    let role = "arn:aws:iam::400000000003:role/agent";
    let agent = Agent::new(&gateway, role, &stage().idp.token("agent-ci"));
    let script = agent.script("matrix.py", "keys", &format!("bucket:{KEYS}"));
    let lines = run(script);
    assert_all_ok(&lines);
    let signed: BTreeSet<String> = lines
        .iter()
        .map(|line| format!("GET {} HTTP/1.1", line["path"].as_str().unwrap()))
        .collect();
    let arrived: BTreeSet<String> = recorder
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(signed.len(), KEYS);
    assert!(
        arrived == signed,
        "{:?}",
        arrived
            .symmetric_difference(&signed)
            .take(5)
            .collect::<Vec<_>>()
    );
    assert_eq!(recorder.requests().len(), KEYS);
}
