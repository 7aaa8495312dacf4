//! One object of 1 GiB in every payload mode, up and down: what the gateway's memory does meanwhile,
//! and how fast it is beside nginx, which checks nothing.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bench::ground::{Ground, LOAD_CORE, Proxy};
use crate::bench::{load, sink};
use crate::setup;

const SIZE: f64 = (1_u64 << 30) as f64;
const MODES: [&str; 8] = [
    "digest",
    "unsigned",
    "unsigned trailer",
    "signed chunks",
    "signed chunks + trailer",
    "presigned upload",
    "download",
    "presigned download",
];

/// One object through one proxy.
struct Seen {
    mb_per_second: f64,
    /// Of resident memory.
    peak_mb: f64,
    /// Over what was resident before.
    growth_mb: f64,
}

/// Runs every mode and prints its table.
///
/// # Errors
/// If a proxy does not start or an object does not pass.
pub(super) fn run(ground: &Ground) -> Result<()> {
    let sink = sink::start()?;
    let (nginx, own) = (ground.nginx_proxy(sink)?, ground.portcullis("modes", sink)?);
    let keys = [load::keys(&nginx)?, load::keys(&own)?];
    eprintln!("\n1 GiB, TLS, streamed, one core");
    eprintln!(
        "{:<26}{:>10}{:>12}{:>10}{:>12}{:>8}",
        "", "peak MB", "growth MB", "MB/s", "nginx MB/s", "ratio"
    );
    for mode in MODES {
        let beside = object(ground, &nginx, (mode, &keys[0]))?;
        let seen = object(ground, &own, (mode, &keys[1]))?;
        eprintln!(
            "{mode:<26}{:>10.0}{:>12.1}{:>10.0}{:>12.0}{:>8.2}",
            seen.peak_mb,
            seen.growth_mb,
            seen.mb_per_second,
            beside.mb_per_second,
            seen.mb_per_second / beside.mb_per_second
        );
    }
    Ok(())
}

fn object(ground: &Ground, proxy: &Proxy, (mode, keys): (&str, &Value)) -> Result<Seen> {
    let mut order = json!({
        "host": format!("127.0.0.1:{}", proxy.port),
        "ca": proxy.ca.display().to_string(),
        "mode": mode,
    });
    let keys = keys.as_object().context("no keys")?.clone();
    order.as_object_mut().context("no order")?.extend(keys);
    proxy.forget_peak()?;
    let before = proxy.resident()? as f64;
    let mut client = Command::new("taskset")
        .args(["-c", LOAD_CORE])
        .arg(setup::cache()?.join("venv/bin/python"))
        .arg(ground.script("modes.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = client.stdin.take().context("no standard input")?;
    input.write_all(order.to_string().as_bytes())?;
    drop(input);
    let answer: Value = serde_json::from_slice(&client.wait_with_output()?.stdout)
        .with_context(|| format!("{mode} through {}", proxy.name))?;
    ensure!(
        answer.get("status") == Some(&json!(200)),
        "{mode} through {}: {answer}",
        proxy.name
    );
    let seconds = answer
        .get("seconds")
        .and_then(Value::as_f64)
        .context("no time")?;
    let peak = proxy.peak()? as f64;
    Ok(Seen {
        mb_per_second: SIZE / 1e6 / seconds,
        peak_mb: peak / 1e6,
        growth_mb: (peak - before) / 1e6,
    })
}
