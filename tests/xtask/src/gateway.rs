//! Building, showing and testing the gateway: what the README's two commands do.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::setup::{self, call};
use crate::{fuzz, plugins};

/// The plugins, and then the gateway that embeds them.
///
/// # Errors
/// If one does not build.
pub(crate) fn build(root: &Path, profile: Profile) -> Result<()> {
    plugins::build(root)?;
    let mut command = cargo(root);
    command
        .args(["build", "--locked", "--package", "portcullis"])
        .env("PORTCULLIS_REQUIRE_PLUGINS", "1");
    if profile == Profile::Release {
        command.arg("--release");
    }
    call(&mut command)
}

/// How the gateway is optimised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds all that the demo needs and runs it.
///
/// # Errors
/// If it does not build or does not start.
pub(crate) fn demo(root: &Path, arguments: &[OsString]) -> Result<()> {
    setup::wasm_target()?;
    build(root, Profile::Dev)?;
    let binary = target_dir(root).join("debug/portcullis");
    call(Command::new(binary).arg("demo").args(arguments))
}

/// Sets up, builds and runs every test whose name contains `filter`.
///
/// # Errors
/// If a test fails.
pub(crate) fn test(root: &Path, filter: Option<&str>) -> Result<()> {
    setup::run(root)?;
    plugins::build(root)?;
    // Everything at once, because a package built alone has other features of its dependencies:
    // the gateway that the end-to-end tests start would be built from scratch twice.
    call(
        cargo(root)
            .args(["build", "--locked", "--workspace", "--all-targets"])
            .env("PORTCULLIS_REQUIRE_PLUGINS", "1"),
    )?;
    let mut command = cargo(root);
    command
        .args(["test", "--locked", "--workspace"])
        .args(filter)
        .env("PORTCULLIS_INPUTS", generated(root, "inputs")?)
        .env("PORTCULLIS_OUTPUTS", generated(root, "outputs")?)
        .env("PORTCULLIS_REQUIRE_PLUGINS", "1");
    call(&mut command)?;
    match filter {
        Some(_) => Ok(()),
        None => fuzz::briefly(root),
    }
}

/// `inputs` of every operation as botocore's own serializers write them, or `outputs` as its own
/// parsers read them.
///
/// # Errors
/// If set-up has not been run.
pub(crate) fn generated(root: &Path, what: &str) -> Result<PathBuf> {
    let cache = setup::cache()?;
    let path = cache.join(format!("{what}.jsonl"));
    let script = root.join(format!("tests/e2e/clients/generate_{what}.py"));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    call(
        Command::new(cache.join("venv/bin/python"))
            .arg(script)
            .stdout(Stdio::from(file)),
    )?;
    Ok(path)
}

/// Cargo, as it runs this very command, at the root.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
