//! Clients store and fetch objects through the gateway, and the bytes that come back are the bytes
//! that went in: each by the gateway's endpoint, and each by its proxy with AWS's own host names.
//!
//! Here are tools with signers of their own; `sdks` has what an SDK signs, `presigned` the URLs that
//! clients hand to others. What each tool needs beside its keys stands at its test.

mod presigned;
mod sdks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest as _, Sha256};

use crate::fixture::client::Agent;
use crate::fixture::sign::Session;
use crate::fixture::{POWER, child, place, stage};

/// Empty, one byte, odd, and large enough that every tool sends it in parts.
const SIZES: [usize; 4] = [0, 1, 64 * 1024 - 1, 20 << 20];
/// By the endpoint alone: from the tunnel's end on, both ways are one.
const LARGE: usize = 256 << 20;
/// The file that a part of is asked for.
const RANGED: &str = "65535";
/// As a file, as a key and, percent-encoded, as a path.
const ODD_NAME: &str = "é 日本 +&=%2F'()!~@.txt";
const ODD_PATH: &str = "%C3%A9%20%E6%97%A5%E6%9C%AC%20%2B%26%3D%252F%27%28%29%21~%40.txt";

/// How a client comes to the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// It is told the gateway's address and names the bucket in the path, because that is an IP.
    Endpoint,
    /// It calls AWS's hosts and is told of a proxy.
    Proxy,
}

impl Way {
    fn agent(self) -> Agent {
        let stage = stage();
        match self {
            Self::Endpoint => stage.agent("agent-power", POWER),
            Self::Proxy => Agent::proxied(&stage.gateway, POWER, &stage.idp.token("agent-power")),
        }
    }

    /// Where S3 is.
    fn s3(self) -> String {
        match self {
            Self::Endpoint => stage().gateway.url(),
            Self::Proxy => "https://s3.us-east-1.amazonaws.com".to_owned(),
        }
    }

    /// A name for what a test makes, of this way's own.
    fn name(self, name: &str) -> String {
        match self {
            Self::Endpoint => name.to_owned(),
            Self::Proxy => format!("{name}-by-proxy"),
        }
    }

    fn bucket(self, name: &str) -> String {
        let name = self.name(name);
        let agent = stage().agent("agent-power", POWER);
        agent.cli_json(&["s3", "mb", &format!("s3://{name}")]);
        name
    }

    /// A program with an agent's keys in its environment.
    fn tool(self, program: &str, home: &Path, session: &Session) -> Command {
        let mut command = child::command(program);
        command
            .env("HOME", home)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", &session.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &session.secret)
            .env("AWS_SESSION_TOKEN", &session.token);
        if self == Self::Proxy {
            command.env("HTTPS_PROXY", format!("http://{}", stage().gateway.proxy()));
        }
        command
    }
}

/// Files to send, and where they come back to; removed at the end, for they are large.
struct Files {
    directory: PathBuf,
    names: Vec<String>,
}

impl Files {
    fn new(way: Way) -> Self {
        let directory = place::directory("matrix");
        let up = directory.join("up");
        fs::create_dir(&up).unwrap();
        fs::create_dir(directory.join("down")).unwrap();
        let mut sizes = SIZES.to_vec();
        sizes.extend((way == Way::Endpoint).then_some(LARGE));
        let mut names: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        for (name, size) in names.iter().zip(sizes) {
            fs::write(up.join(name), noise(size)).unwrap();
        }
        fs::write(up.join(ODD_NAME), noise(100)).unwrap();
        names.push(ODD_NAME.to_owned());
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
        self.names
            .iter()
            .for_each(|name| self.assert_same_file(name));
    }

    fn assert_same_file(&self, name: &str) {
        let same = fs::read(self.up(name)).unwrap() == fs::read(self.down(name)).unwrap();
        assert!(same, "{name} came back changed");
    }

    /// The second thousand of the bytes of [`RANGED`].
    fn range(&self) -> Vec<u8> {
        fs::read(self.up(RANGED)).unwrap()[1000..2000].to_vec()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Bytes whose period no chunk or part is a multiple of.
fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u64 | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let period: Vec<u8> = (0..size.min(1_048_573)).map(|_| next()).collect();
    let mut noise = Vec::with_capacity(size);
    while noise.len() < size {
        let left = period.len().min(size - noise.len());
        noise.extend_from_slice(&period[..left]);
    }
    noise
}

fn digest(file: &str) -> String {
    let digest = Sha256::digest(fs::read(file).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn session() -> Session {
    stage()
        .gateway
        .session(POWER, &stage().idp.token("agent-power"))
}

fn ca() -> String {
    stage().gateway.ca().display().to_string()
}

fn output(mut command: Command) -> (String, Output) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let child = child::spawn(command).unwrap_or_else(|error| {
        panic!("{shown} does not start ({error}): run `cargo xtask setup`")
    });
    (shown, child.wait_with_output().unwrap())
}

fn succeeds(command: Command) -> Vec<u8> {
    let (shown, output) = output(command);
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{shown}\n{text}\n{errors}");
    output.stdout
}

/// It needs `--ca-cert`: it does not start where `AWS_CA_BUNDLE` is set. Small files go unsigned,
/// large ones in signed parts. `--s3-no-head`: moto does not know version `null`, AWS does.
fn rclone(way: Way) {
    let files = Files::new(way);
    let (session, bucket, ca) = (session(), way.bucket("rclone"), ca());
    let remote = match way {
        Way::Endpoint => format!("provider=Other,endpoint='{}'", way.s3()),
        Way::Proxy => "provider=AWS,force_path_style=false".to_owned(),
    };
    let remote = format!(":s3,env_auth=true,region=us-east-1,{remote}:{bucket}/a b");
    let rclone = |arguments: &[&str]| {
        let mut command = way.tool("rclone", &files.directory, &session);
        command.args(["--ca-cert", &ca, "--config", "/dev/null", "--retries", "1"]);
        command.args([
            "--s3-no-head",
            "--s3-no-check-bucket",
            "--s3-upload-cutoff",
            "5M",
        ]);
        command.args(arguments);
        succeeds(command)
    };
    rclone(&["copy", &files.up(""), &remote]);
    let copied = format!("{remote} copied");
    rclone(&["copy", &remote, &copied]);
    rclone(&["copy", &copied, &files.down("")]);
    files.assert_same();
    let object = format!("{remote}/{RANGED}");
    let range = rclone(&["cat", "--offset", "1000", "--count", "1000", &object]);
    assert!(range == files.range(), "{} bytes", range.len());
    rclone(&["purge", &remote]);
    rclone(&["purge", &copied]);
}

#[test]
fn rclone_stores_and_fetches_objects() {
    rclone(Way::Endpoint);
}

#[test]
fn rclone_stores_and_fetches_objects_by_way_of_the_proxy() {
    rclone(Way::Proxy);
}

/// It signs each body whole. Over an address it must be told to put the bucket into the path; of a
/// proxy it reads in its own file.
fn s3cmd(way: Way) {
    let files = Files::new(way);
    let (session, ca, host) = (session(), ca(), stage().gateway.host());
    let settings = files.directory.join("settings");
    let bucket = format!("s3://{}", way.name("s3cmd"));
    let proxy = stage().gateway.proxy();
    let text = match way {
        Way::Endpoint => format!("host_base = {host}\nhost_bucket = {host}\n"),
        Way::Proxy => format!(
            "proxy_host = {}\nproxy_port = {}\n",
            proxy.ip(),
            proxy.port()
        ),
    };
    fs::write(&settings, format!("[default]\n{text}")).unwrap();
    let token = format!("--access_token={}", session.token);
    let s3cmd = |arguments: &[&str]| {
        let mut command = way.tool("s3cmd", &files.directory, &session);
        command.arg(format!("--config={}", settings.display()));
        command.args(["--no-progress", "--region=us-east-1", &token]);
        command.arg(format!("--ca-certs={ca}"));
        command.arg(format!("--access_key={}", session.access_key_id));
        command.arg(format!("--secret_key={}", session.secret));
        command.args(arguments);
        String::from_utf8(succeeds(command)).unwrap()
    };
    s3cmd(&["mb", &bucket]);
    for name in &files.names {
        let object = format!("{bucket}/{name}");
        s3cmd(&["put", &files.up(name), &object]);
        s3cmd(&["get", &object, &files.down(name)]);
    }
    files.assert_same();
    let (object, copy) = (format!("{bucket}/{ODD_NAME}"), format!("{bucket}/{RANGED}"));
    s3cmd(&["cp", &object, &copy]);
    s3cmd(&["get", "--force", &copy, &files.down(ODD_NAME)]);
    files.assert_same_file(ODD_NAME);
    s3cmd(&["del", &format!("{bucket}/1")]);
    assert!(!s3cmd(&["ls", &bucket]).contains("/1\n"));
    s3cmd(&["del", "--recursive", "--force", &bucket]);
}

#[test]
fn s3cmd_stores_and_fetches_objects() {
    s3cmd(Way::Endpoint);
}

#[test]
fn s3cmd_stores_and_fetches_objects_by_way_of_the_proxy() {
    s3cmd(Way::Proxy);
}

/// A repository is made, filled, checked and restored.
fn restic(way: Way) {
    let files = Files::new(way);
    let (session, bucket, ca) = (session(), way.bucket("restic"), ca());
    let repository = format!("s3:{}/{bucket}/repository", way.s3());
    let restic = |arguments: &[&str]| {
        let mut command = way.tool("restic", &files.directory, &session);
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

#[test]
fn restic_backs_up_and_restores() {
    restic(Way::Endpoint);
}

#[test]
fn restic_backs_up_and_restores_by_way_of_the_proxy() {
    restic(Way::Proxy);
}

/// This version adds neither the digest, which S3 requires, nor the token: both are its user's.
fn curl(way: Way) {
    let files = Files::new(way);
    let (session, bucket, ca) = (session(), way.bucket("curl"), ca());
    let curl = |digest: &str, arguments: &[&str]| {
        let mut command = way.tool("curl", &files.directory, &session);
        command.args(["--silent", "--show-error", "--fail", "--cacert", &ca]);
        command.args(["--aws-sigv4", "aws:amz:us-east-1:s3"]);
        let user = format!("{}:{}", session.access_key_id, session.secret);
        command.args(["--user", &user]);
        let token = format!("x-amz-security-token: {}", session.token);
        command.args(["--header", &token]);
        let digest = format!("x-amz-content-sha256: {digest}");
        command.args(["--header", &digest]).args(arguments);
        succeeds(command)
    };
    let bucket = match way {
        Way::Endpoint => format!("{}/{bucket}", way.s3()),
        Way::Proxy => format!("https://{bucket}.s3.us-east-1.amazonaws.com"),
    };
    for name in &files.names {
        let path = if name == ODD_NAME { ODD_PATH } else { name };
        let (up, object) = (files.up(name), format!("{bucket}/{path}"));
        let signed = digest(&up);
        for digest in ["UNSIGNED-PAYLOAD", &signed] {
            curl(digest, &["--upload-file", &up, &object]);
            curl(
                "UNSIGNED-PAYLOAD",
                &["--output", &files.down(name), &object],
            );
            files.assert_same_file(name);
        }
    }
    let object = format!("{bucket}/{RANGED}");
    curl(
        "UNSIGNED-PAYLOAD",
        &["--upload-file", &files.up(RANGED), &object],
    );
    let range = curl("UNSIGNED-PAYLOAD", &["--range", "1000-1999", &object]);
    assert!(range == files.range(), "{} bytes", range.len());
}

#[test]
fn curl_stores_and_fetches_objects() {
    curl(Way::Endpoint);
}

#[test]
fn curl_stores_and_fetches_objects_by_way_of_the_proxy() {
    curl(Way::Proxy);
}
