//! Makes a new machine ready for the tests: the Python environment, the Node packages and the Wasm
//! target, each from its package registry. Running it again does nothing that is done already.
//!
//! It never touches what is outside the cache directory and the repository, but for Debian packages:
//! the clients of S3, and two that stand in for a Wasm target rustup cannot get.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The target that plugins are built for.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Prepares everything the tests need.
///
/// # Errors
/// The first step that failed, with what the tool said.
pub(crate) fn run(root: &Path) -> Result<()> {
    python(root)?;
    node(root)?;
    tools()?;
    s3s()?;
    wasm_target()
}

/// Where set-up keeps what it fetched: `PORTCULLIS_CACHE`, or a directory of the user's cache.
///
/// # Errors
/// If neither `PORTCULLIS_CACHE` nor `HOME` is set.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("PORTCULLIS_CACHE") {
        return Ok(cache.into());
    }
    let home = env::var_os("HOME").context("neither PORTCULLIS_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/portcullis"))
}

/// moto, boto3 and the AWS CLI, in a virtual environment.
fn python(root: &Path) -> Result<()> {
    let requirements = root.join("tests/e2e/requirements.txt");
    virtual_environment(&cache()?.join("venv"), &requirements)
}

/// A virtual environment that holds exactly what a requirements file names.
///
/// # Errors
/// If Python or its package installer fails.
pub(crate) fn virtual_environment(venv: &Path, requirements: &Path) -> Result<()> {
    let stamp = venv.join("requirements.txt");
    if same(requirements, &stamp) {
        return Ok(());
    }
    say("installing Python packages into", venv);
    call(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )?;
    call(
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements),
    )?;
    fs::copy(requirements, stamp).context("stamping the Python environment")?;
    Ok(())
}

/// The AWS SDK for JavaScript and the OIDC provider, beside the scripts that import them.
fn node(root: &Path) -> Result<()> {
    let package = root.join("tests/e2e");
    let lock = package.join("package-lock.json");
    let stamp = package.join("node_modules/package-lock.json");
    if same(&lock, &stamp) {
        return Ok(());
    }
    say("installing Node packages into", &package);
    call(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&package),
    )?;
    fs::copy(lock, stamp).context("stamping the Node packages")?;
    Ok(())
}

/// Debian's clients of S3, each with a signer of its own.
fn tools() -> Result<()> {
    const TOOLS: [&str; 4] = ["curl", "rclone", "restic", "s3cmd"];
    let here = |tool: &str| {
        let mut command = Command::new(tool);
        command
            .arg("--help")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok()
    };
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !here(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    call(Command::new("apt-get").arg("update"))
        .and_then(|()| {
            call(
                Command::new("apt-get")
                    .args(["install", "--yes", "--no-install-recommends"])
                    .args(&missing),
            )
        })
        .with_context(|| format!("install {missing:?}: the tests send objects with them"))
}

/// An S3 that checks every signature with code of its own.
fn s3s() -> Result<()> {
    const VERSION: &str = "0.14.1";
    let tools = cache()?.join("tools");
    let stamp = tools.join(format!("s3s-fs-{VERSION}"));
    if stamp.exists() {
        return Ok(());
    }
    say("building s3s-fs into", &tools);
    let package = format!("s3s-fs@{VERSION}");
    let mut install = Command::new("cargo");
    install
        .args(["install", "--quiet", "--locked", "--debug", "--force"])
        .args(["--features", "binary", "--root"])
        .arg(&tools)
        .arg(package)
        .env("CARGO_TARGET_DIR", tools.join("target"));
    call(&mut install)?;
    fs::write(stamp, VERSION).context("stamping s3s-fs")
}

/// The Wasm target by rustup, or a compiler and its sources from Debian that can build one.
pub(crate) fn wasm_target() -> Result<()> {
    if target_is_installed() || debian_sources().is_some() {
        return Ok(());
    }
    if call(Command::new("rustup").args(["target", "add", WASM_TARGET])).is_ok() {
        return Ok(());
    }
    let packages = [
        "install",
        "--yes",
        "--no-install-recommends",
        "rustc-web",
        "rust-web-src",
    ];
    let installed = call(Command::new("apt-get").arg("update"))
        .and_then(|()| call(Command::new("apt-get").args(packages)));
    installed.context("neither rustup nor Debian has a Wasm target for Rust")
}

/// Adds to a `cargo build --target wasm32-unknown-unknown` what it needs on this machine: nothing
/// where rustup has the target, otherwise Debian's compiler with the standard library's sources.
///
/// # Errors
/// If set-up has not been run.
pub(crate) fn wasm_build(cargo: &mut Command) -> Result<()> {
    cargo.args(["--target", WASM_TARGET]);
    if target_is_installed() {
        return Ok(());
    }
    let compiler = debian_sources().context("no Wasm target: run `cargo xtask setup`")?;
    let linker = sysroot()?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    cargo
        .arg("-Zbuild-std=std,panic_abort")
        .env("RUSTC", compiler)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    Ok(())
}

fn target_is_installed() -> bool {
    sysroot().is_ok_and(|sysroot| {
        sysroot
            .join("lib/rustlib")
            .join(WASM_TARGET)
            .join("lib")
            .exists()
    })
}

fn sysroot() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn debian_sources() -> Option<PathBuf> {
    let compiler = PathBuf::from("/usr/bin/rustc");
    let sources = Path::new("/usr/lib/rustlib/src/rust/library");
    (compiler.exists() && sources.exists()).then_some(compiler)
}

fn same(wanted: &Path, stamp: &Path) -> bool {
    matches!((fs::read(wanted), fs::read(stamp)), (Ok(wanted), Ok(stamp)) if wanted == stamp)
}

fn say(what: &str, path: &Path) {
    eprintln!("{what} {}", path.display());
}

/// Runs a command to its end, which must be success.
///
/// # Errors
/// If it cannot be started or fails; its own words go to the terminal.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program())
        .file_name()
        .map(OsStr::to_owned);
    let status = command
        .status()
        .with_context(|| format!("starting {name:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
