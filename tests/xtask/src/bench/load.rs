//! The load: signed small calls by wrk, large objects by curl, and what they cost the proxy.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::ground::{Ground, LOAD_CORE, Proxy};
use crate::setup;

const WARM_UP: &str = "2s";
const DURATION: &str = "8s";
const CONNECTIONS: &str = "32";
const OBJECT: usize = 64 * 1024 * 1024;
const OBJECTS: usize = 16;
const TICK_MICROS: f64 = 10_000.0;

/// What small calls cost.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) cpu_micros: f64,
    pub(super) per_second: f64,
    pub(super) p50_millis: f64,
    pub(super) p99_millis: f64,
    pub(super) resident_mb: f64,
}

impl Small {
    /// The run with the median processor time.
    pub(super) fn median(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by(|one, other| one.cpu_micros.total_cmp(&other.cpu_micros));
        runs.get(runs.len() / 2).cloned()
    }
}

/// What large objects cost.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) mb_per_second: f64,
    pub(super) cpu_millis: f64,
    pub(super) peak_mb: f64,
}

/// Small calls through one proxy.
pub(super) fn small(ground: &Ground, proxy: &Proxy) -> Result<Small> {
    sign(ground, proxy)?;
    wrk(ground, proxy, WARM_UP)?;
    let before = proxy.ticks()?;
    let seen = wrk(ground, proxy, DURATION)?;
    let ticks = proxy.ticks()? - before;
    let number = |name: &str| {
        seen.get(name)
            .and_then(Value::as_f64)
            .context("wrk's summary")
    };
    ensure!(number("failed")? == 0.0, "{}: {seen}", proxy.name);
    let requests = number("requests")?;
    Ok(Small {
        cpu_micros: ticks as f64 * TICK_MICROS / requests,
        per_second: requests / (number("microseconds")? / 1e6),
        p50_millis: number("p50")? / 1e3,
        p99_millis: number("p99")? / 1e3,
        resident_mb: proxy.resident()? as f64 / 1e6,
    })
}

fn wrk(ground: &Ground, proxy: &Proxy, duration: &str) -> Result<Value> {
    let output = Command::new("taskset")
        .args([
            "-c",
            LOAD_CORE,
            "wrk",
            "-t",
            "1",
            "-c",
            CONNECTIONS,
            "-d",
            duration,
            "-s",
        ])
        .arg(ground.script("small.lua"))
        .arg(format!("https://127.0.0.1:{}/", proxy.port))
        .arg("--")
        .arg(ground.dir.join("small.requests"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text
        .lines()
        .find_map(|line| serde_json::from_str(line).ok());
    summary.with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// 64 MiB objects up, one after another on one connection.
pub(super) fn upload(ground: &Ground, proxy: &Proxy) -> Result<Stream> {
    let object = ground.dir.join("object").display().to_string();
    stream(ground, proxy, "put.headers", &["--upload-file", &object])
}

/// 64 MiB objects down.
pub(super) fn download(ground: &Ground, proxy: &Proxy) -> Result<Stream> {
    stream(ground, proxy, "get.headers", &[])
}

fn stream(ground: &Ground, proxy: &Proxy, headers: &str, arguments: &[&str]) -> Result<Stream> {
    sign(ground, proxy)?;
    let headers = ground.dir.join(headers);
    curl(proxy, &headers, arguments, 2)?;
    proxy.forget_peak()?;
    let before = proxy.ticks()?;
    let taken = curl(proxy, &headers, arguments, OBJECTS)?;
    let ticks = proxy.ticks()? - before;
    Ok(Stream {
        mb_per_second: (OBJECT * OBJECTS) as f64 / 1e6 / taken.as_secs_f64(),
        cpu_millis: ticks as f64 * TICK_MICROS / 1e3 / OBJECTS as f64,
        peak_mb: proxy.peak()? as f64 / 1e6,
    })
}

fn curl(proxy: &Proxy, headers: &Path, arguments: &[&str], times: usize) -> Result<Duration> {
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        LOAD_CORE,
        "curl",
        "--silent",
        "--show-error",
        "--http1.1",
        "--cacert",
    ]);
    command
        .arg(&proxy.ca)
        .args(["--write-out", "%{http_code}\n"]);
    command
        .arg("--header")
        .arg(format!("@{}", headers.display()));
    command.args(["--header", "expect:"]);
    let url = format!("https://127.0.0.1:{}/bench-bucket/object", proxy.port);
    for _ in 0..times {
        command
            .args(arguments)
            .args(["--output", "/dev/null"])
            .arg(&url);
    }
    let start = Instant::now();
    let output = command.stderr(Stdio::inherit()).output()?;
    let taken = start.elapsed();
    let statuses = String::from_utf8_lossy(&output.stdout);
    let right = statuses.lines().filter(|status| *status == "200").count();
    ensure!(right == times, "{}: {statuses}", proxy.name);
    Ok(taken)
}

/// Signs afresh: a signature lasts for minutes only.
fn sign(ground: &Ground, proxy: &Proxy) -> Result<()> {
    let mut order = keys(proxy)?;
    if let Some(order) = order.as_object_mut() {
        order.insert(
            "host".to_owned(),
            format!("127.0.0.1:{}", proxy.port).into(),
        );
        order.insert(
            "directory".to_owned(),
            ground.dir.display().to_string().into(),
        );
    }
    let mut python = Command::new(setup::cache()?.join("venv/bin/python"))
        .arg(ground.script("sign.py"))
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = python.stdin.take().context("no standard input")?;
    input.write_all(order.to_string().as_bytes())?;
    drop(input);
    ensure!(python.wait()?.success(), "signing failed");
    Ok(())
}

/// Keys to sign with, `access_key_id`, `secret` and `token`: the gateway's, or any.
pub(super) fn keys(proxy: &Proxy) -> Result<Value> {
    match &proxy.gateway {
        Some(issuer) => credentials(proxy, issuer),
        None => {
            Ok(json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "none", "token": null}))
        }
    }
}

fn credentials(proxy: &Proxy, issuer: &str) -> Result<Value> {
    let token = fetch(&[
        "--data",
        "grant_type=client_credentials&client_id=agent-ci&client_secret=agent-ci-secret",
        &format!("{issuer}/token"),
    ])?;
    let token: Value = serde_json::from_str(&token)?;
    let token = token
        .get("access_token")
        .and_then(Value::as_str)
        .context("no token")?;
    let answer = fetch(&[
        "--cacert",
        &proxy.ca.display().to_string(),
        "--data",
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=bench",
        "--data",
        "RoleArn=arn:aws:iam::123456789012:role/agent",
        "--data",
        &format!("WebIdentityToken={token}"),
        &format!("https://127.0.0.1:{}/", proxy.port),
    ])?;
    let element = |name: &str| {
        let (_, rest) = answer
            .split_once(&format!("<{name}>"))
            .with_context(|| answer.clone())?;
        rest.split_once('<')
            .map(|(value, _)| value.to_owned())
            .context("no end")
    };
    Ok(json!({
        "access_key_id": element("AccessKeyId")?,
        "secret": element("SecretAccessKey")?,
        "token": element("SessionToken")?,
    }))
}

fn fetch(arguments: &[&str]) -> Result<String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error"])
        .args(arguments)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
