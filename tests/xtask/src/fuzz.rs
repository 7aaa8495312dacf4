//! `cargo xtask fuzz`: libFuzzer around the targets of `tests/fuzz`, guided by coverage on the stable
//! compiler, from seeds that botocore's serializers wrote.
//!
//! What it finds is written to `tests/fuzz/findings/<target>/`, where `cargo test` replays it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::gateway::{self, cargo, target_dir};
use crate::setup::{self, call};

/// Every target.
const TARGETS: [&str; 14] = [
    "answers",
    "cbor",
    "chunked",
    "ec2",
    "events",
    "framing",
    "json",
    "presigned",
    "query",
    "rest-json",
    "rest-xml",
    "signature",
    "signed-chunks",
    "signed-events",
];
/// Coverage counters and comparisons, as libFuzzer reads them.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Seeds of a target, spread over all services; more only make the start slower.
const SEEDS: usize = 500;
/// Longer seeds are slow to mutate.
const MAX_SEED: usize = 4096;
/// libFuzzer's own limits: bytes of an input, seconds of one, megabytes of the process.
const LIMITS: [&str; 4] = [
    "-max_len=65536",
    "-timeout=10",
    "-rss_limit_mb=3000",
    "-close_fd_mask=1",
];

/// What to fuzz and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// One target; all if absent.
    target: Option<String>,
}

/// Builds the driver and runs the targets one after the other.
///
/// # Errors
/// If it does not build, or at the first target that found something.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let driver = build(root)?;
    let home = target_dir(root).join("fuzz");
    seeds(root, &home)?;
    let known = |name: &&&str| {
        arguments
            .target
            .as_deref()
            .is_none_or(|wanted| wanted == **name)
    };
    let chosen: Vec<_> = TARGETS.iter().filter(known).collect();
    if chosen.is_empty() {
        bail!("the targets are {}", TARGETS.join(", "));
    }
    for target in chosen {
        one(root, &driver, &home, (target, arguments.seconds))?;
    }
    Ok(())
}

/// A few seconds of every target, always with the same seed: part of the tests.
///
/// # Errors
/// As [`run`].
pub(crate) fn briefly(root: &Path) -> Result<()> {
    let arguments = Arguments {
        seconds: 6,
        target: None,
    };
    run(root, &arguments)
}

fn build(root: &Path) -> Result<PathBuf> {
    let target = target_dir(root).join("fuzz/build");
    call(
        cargo(root)
            .args([
                "build",
                "--locked",
                "--package",
                "fuzz",
                "--features",
                "driver",
            ])
            // With a triple of its own, build scripts and macros are not instrumented.
            .args(["--bin", "fuzz", "--profile", "fuzz", "--target", TRIPLE])
            .env("RUSTFLAGS", COVERAGE)
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok(target.join(TRIPLE).join("fuzz/fuzz"))
}

fn one(root: &Path, driver: &Path, home: &Path, (target, seconds): (&str, u32)) -> Result<()> {
    let findings = root.join("tests/fuzz/findings").join(target);
    let (corpus, seeds) = (
        home.join("corpus").join(target),
        home.join("seeds").join(target),
    );
    for directory in [&findings, &corpus, &seeds] {
        fs::create_dir_all(directory)?;
    }
    eprintln!("fuzzing {target} for {seconds} s");
    let log = home.join(format!("{target}.log"));
    let output = Command::new(driver)
        .env("PORTCULLIS_FUZZ_TARGET", target)
        .args(LIMITS)
        .args(["-seed=1", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args([corpus, seeds])
        .output()
        .context("starting the driver")?;
    fs::write(&log, &output.stderr)?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let tail: Vec<_> = text.lines().rev().take(40).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        bail!(
            "{target} found something, see {}:\n{}",
            findings.display(),
            tail.join("\n")
        );
    }
    let counted = text
        .lines()
        .filter(|line| line.contains("number_of_executed_units"));
    for line in counted {
        eprintln!("  {}", line.trim_start_matches("stat::"));
    }
    // An empty directory says nothing.
    drop(fs::remove_dir(&findings));
    Ok(())
}

/// Writes the seeds of every target from botocore's inputs.
fn seeds(root: &Path, home: &Path) -> Result<()> {
    let inputs = cases(root, "inputs")?;
    for (target, protocol) in [
        ("cbor", "smithy-rpc-v2-cbor"),
        ("ec2", "ec2"),
        ("json", "json"),
        ("query", "query"),
        ("rest-json", "rest-json"),
        ("rest-xml", "rest-xml"),
    ] {
        let own = inputs.iter().filter(|case| case["protocol"] == protocol);
        write(home, target, own.filter_map(as_request))?;
    }
    let short = inputs.iter().filter_map(as_request).step_by(50);
    write(
        home,
        "signature",
        short.map(|seed| [seed, b"\0\x10a\x01".to_vec()].concat()),
    )?;
    write(
        home,
        "framing",
        inputs.iter().step_by(50).filter_map(as_http),
    )?;
    write(home, "presigned", urls())?;
    write(home, "chunked", frames())?;
    write(home, "signed-chunks", chains())?;
    write(home, "signed-events", conversations())?;
    let answers = cases(root, "outputs")?;
    write(home, "answers", answers.iter().filter_map(as_answer))?;
    write(home, "events", events())
}

/// What botocore wrote, made now if it was not made before.
fn cases(root: &Path, what: &str) -> Result<Vec<Value>> {
    let known = setup::cache()?.join(format!("{what}.jsonl"));
    let path = match known.exists() {
        true => known,
        false => gateway::generated(root, what)?,
    };
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn write(home: &Path, target: &str, seeds: impl Iterator<Item = Vec<u8>>) -> Result<()> {
    let directory = home.join("seeds").join(target);
    fs::create_dir_all(&directory)?;
    let seeds: Vec<_> = seeds.filter(|seed| seed.len() <= MAX_SEED).collect();
    let step = seeds.len().div_ceil(SEEDS).max(1);
    for (index, seed) in seeds.iter().step_by(step).enumerate() {
        fs::write(directory.join(index.to_string()), seed)?;
    }
    Ok(())
}

/// A case as the text that the targets read.
fn as_request(case: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| case[name].as_str();
    let target = match text("query") {
        Some(query) => format!("{}?{query}", text("path")?),
        None => text("path")?.to_owned(),
    };
    let (service, method, host) = (text("signing_name")?, text("method")?, text("authority")?);
    let mut bytes = format!("{service} {method} {target} {host}").into_bytes();
    for pair in case["headers"].as_array()? {
        let (name, value) = (pair[0].as_str()?, pair[1].as_str()?);
        if !name.eq_ignore_ascii_case("content-length") {
            bytes.extend_from_slice(format!("\n{}: {value}", name.to_ascii_lowercase()).as_bytes());
        }
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.extend(STANDARD.decode(text("body")?).ok()?);
    Some(bytes)
}

/// An answer as the text that its target reads.
fn as_answer(case: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| case[name].as_str();
    let (service, operation, protocol) = (text("service")?, text("operation")?, text("protocol")?);
    let status = case["status"].as_u64()?;
    let mut bytes = format!("{service} {operation} {protocol} {status}").into_bytes();
    for pair in case["headers"].as_array()? {
        let (name, value) = (pair[0].as_str()?, pair[1].as_str()?);
        bytes.extend_from_slice(format!("\n{name}: {value}").as_bytes());
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.extend(STANDARD.decode(text("body")?).ok()?);
    Some(bytes)
}

/// Streams of up to three messages whose checksums the target mends.
fn events() -> impl Iterator<Item = Vec<u8>> {
    const HEADERS: &[u8] = b"\x0b:event-type\x07\x00\x05Stats\x02ok\x00";
    (0..4_usize).map(|count| {
        let length = u32::try_from(16 + HEADERS.len() + 2).unwrap_or_default();
        let headers = u32::try_from(HEADERS.len()).unwrap_or_default();
        let mut stream = vec![7, 1];
        for _ in 0..count {
            stream.extend_from_slice(&length.to_be_bytes());
            stream.extend_from_slice(&headers.to_be_bytes());
            stream.extend_from_slice(&[0; 4]);
            stream.extend_from_slice(HEADERS);
            stream.extend_from_slice(b"{}\0\0\0\0");
        }
        stream
    })
}

/// A case as bytes on a connection, behind the number of bytes that arrive at once.
fn as_http(case: &Value) -> Option<Vec<u8>> {
    let (method, path) = (case["method"].as_str()?, case["path"].as_str()?);
    let body = STANDARD.decode(case["body"].as_str()?).ok()?;
    let chunked = body.len() % 2 == 1;
    let framing = match chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {}", body.len()),
    };
    let mut bytes =
        format!("\x07{method} {path} HTTP/1.1\r\nhost: gw.example\r\n{framing}\r\n\r\n")
            .into_bytes();
    if chunked {
        bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(b"\r\n0\r\n\r\n");
    } else {
        bytes.extend_from_slice(&body);
    }
    Some(bytes)
}

/// Calls of S3 that clients presign, and an edit of some.
fn urls() -> impl Iterator<Item = Vec<u8>> {
    let calls = [
        "s3 GET /bucket/a%20b?response-content-type=text%2Fplain&versionId=7 gw.example",
        "s3 PUT /bucket/key?x-amz-acl=private&X-Amz-Meta-Colour=dark%20blue gw.example",
        "s3 PUT /bucket/key?partNumber=1&uploadId=a%2Bb gw.example\ncontent-type: text/plain",
        "s3 GET /?list-type=2&prefix=a%20b%2F&max-keys=3 bucket.gw.example",
        "s3 HEAD /bucket/..//%E6%97%A5 gw.example",
        "rds GET /?Action=connect&DBUser=agent gw.example",
        "sts GET /?Action=GetCallerIdentity&Version=2011-06-15 gw.example\nx-k8s-aws-id: cluster",
    ];
    let edits: [&[u8]; 3] = [b"", b"\0\x30a\x01", b"\0\x80b\x02\0\x90c\x02"];
    calls
        .into_iter()
        .flat_map(move |call| edits.map(|edit| [call.as_bytes(), b"\n\n\0", edit].concat()))
}

/// Data in one to four signed chunks, with and without a trailer, and an edit of some.
fn chains() -> impl Iterator<Item = Vec<u8>> {
    let edits: [&[u8]; 4] = [b"\0", b"\0\x05a\x01", b"\0\x60\x5d\x11", b"\0\x70\0\x0d"];
    ["-", "x-amz-checksum-crc32"]
        .into_iter()
        .flat_map(move |trailer| {
            edits.into_iter().flat_map(move |edit| {
                (0..5_usize).map(move |chunks| {
                    let head = format!("5 7 {trailer}\n{}", "hello".repeat(chunks));
                    [head.as_bytes(), edit].concat()
                })
            })
        })
}

/// Streams of a few events, right or changed in one place, with and without the checksums that fit.
fn conversations() -> impl Iterator<Item = Vec<u8>> {
    let edits: [&[u8]; 4] = [b"\0", b"\0\x40a\x01", b"\0\x90\x5d\x11", b"\0\x70\0\x0d"];
    (0..5_usize).flat_map(move |events| {
        edits.into_iter().flat_map(move |edit| {
            (0..2_u8).map(move |mend| {
                let head = format!("5 7 {mend}\n{}", "hello".repeat(events));
                [head.as_bytes(), edit].concat()
            })
        })
    })
}

/// aws-chunked bodies of one to four chunks, with and without each trailer.
fn frames() -> impl Iterator<Item = Vec<u8>> {
    let trailers = [
        "-",
        "x-amz-checksum-crc32",
        "x-amz-checksum-sha256",
        "x-amz-checksum-crc64nvme",
    ];
    trailers.into_iter().flat_map(|trailer| {
        (0..5_usize).map(move |chunks| {
            let data = "5\r\nhello\r\n".repeat(chunks);
            let end = match trailer {
                "-" => String::new(),
                name => format!("{name}:$crc$\r\n"),
            };
            format!("{} 3 {trailer}\n{data}0\r\n{end}\r\n", 5 * chunks).into_bytes()
        })
    })
}
