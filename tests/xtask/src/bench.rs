//! The benchmark: Portcullis beside Envoy on small calls and beside nginx on large objects, in one
//! run on one machine, so that the ratios mean something where the figures do not.
//!
//! Each proxy has one core to itself; load and upstream share the other. It judges nothing: it
//! prints what it saw.

mod ground;
mod load;
mod modes;
mod sink;

use std::path::Path;

use anyhow::{Context, Result};

use crate::bench::ground::{Ground, Proxy};
use crate::bench::load::{Small, Stream};
use crate::gateway::{self, Profile};
use crate::setup;

/// Rounds, each with every proxy in turn; the median counts.
const ROUNDS: usize = 3;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Part {
    /// Decoding, small calls and objects of 64 MiB.
    Calls,
    /// 1 GiB in every payload mode.
    Modes,
}

/// Runs a part of the benchmark, or all of it, and prints its tables.
///
/// # Errors
/// If a tool is missing, a proxy does not start or the load reports failed requests.
pub(crate) fn run(root: &Path, part: Option<Part>) -> Result<()> {
    setup::run(root)?;
    if !matches!(part, Some(Part::Modes)) {
        decode(root)?;
    }
    gateway::build(root, Profile::Release)?;
    let ground = Ground::prepare(root)?;
    if !matches!(part, Some(Part::Modes)) {
        calls(&ground)?;
    }
    match part {
        None | Some(Part::Modes) => modes::run(&ground),
        Some(Part::Calls) => Ok(()),
    }
}

fn calls(ground: &Ground) -> Result<()> {
    let upstream = ground.static_upstream()?;
    let envoy = ground.envoy(upstream.port)?;
    let small = ground.portcullis("small", upstream.port)?;
    let idle = small.resident()?;
    let (mut envoy_runs, mut own_runs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        eprintln!("small calls, round {round} of {ROUNDS}");
        envoy_runs.push(load::small(ground, &envoy)?);
        own_runs.push(load::small(ground, &small)?);
    }
    let envoy_median = Small::median(envoy_runs).context("no round")?;
    let own_median = Small::median(own_runs).context("no round")?;
    drop((envoy, small));
    print_small(&envoy_median, &own_median);

    let sink = sink::start()?;
    let nginx = ground.nginx_proxy(sink)?;
    let own = ground.portcullis("stream", sink)?;
    let streams = |proxy: &Proxy| -> Result<(Stream, Stream)> {
        eprintln!("64 MiB objects through {}", proxy.name);
        Ok((load::upload(ground, proxy)?, load::download(ground, proxy)?))
    };
    let (nginx_streams, own_streams) = (streams(&nginx)?, streams(&own)?);
    print_streams("PUT", &nginx_streams.0, &own_streams.0);
    print_streams("GET", &nginx_streams.1, &own_streams.1);
    eprintln!("\nPortcullis idle: {} MB resident", idle / 1_000_000);
    Ok(())
}

/// Microseconds to decode a small call of each protocol, and what the catalog costs.
fn decode(root: &Path) -> Result<()> {
    let mut command = gateway::cargo(root);
    command.args([
        "bench",
        "--locked",
        "--package",
        "portcullis-core",
        "--bench",
        "decode",
    ]);
    setup::call(&mut command)
}

fn print_small(envoy: &Small, own: &Small) {
    eprintln!("\n20-byte DynamoDB POST, TLS, keep-alive, 32 connections, one core");
    eprintln!(
        "{:<12}{:>14}{:>12}{:>10}{:>10}{:>10}",
        "", "CPU µs/call", "calls/s", "p50 ms", "p99 ms", "RSS MB"
    );
    for (name, run) in [("Envoy", envoy), ("Portcullis", own)] {
        eprintln!(
            "{name:<12}{:>14.1}{:>12.0}{:>10.2}{:>10.2}{:>10.0}",
            run.cpu_micros, run.per_second, run.p50_millis, run.p99_millis, run.resident_mb
        );
    }
    eprintln!(
        "ratio to Envoy: CPU {:.2}, throughput {:.2}",
        own.cpu_micros / envoy.cpu_micros,
        own.per_second / envoy.per_second
    );
}

fn print_streams(what: &str, nginx: &Stream, own: &Stream) {
    eprintln!("\n64 MiB {what}, TLS, streamed, one core");
    eprintln!(
        "{:<12}{:>10}{:>16}{:>14}",
        "", "MB/s", "CPU ms/object", "peak RSS MB"
    );
    for (name, run) in [("nginx", nginx), ("Portcullis", own)] {
        eprintln!(
            "{name:<12}{:>10.0}{:>16.1}{:>14.0}",
            run.mb_per_second, run.cpu_millis, run.peak_mb
        );
    }
    eprintln!(
        "ratio to nginx: throughput {:.2}",
        own.mb_per_second / nginx.mb_per_second
    );
}
