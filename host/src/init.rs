//! `portcullis init`: a directory from which a gateway can start.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::bundled;
use crate::terminal;

/// The commented example configuration.
pub const CONFIG: &str = include_str!("../templates/portcullis.yaml");

/// Write a commented configuration, the bundled plugins and sample policies.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Where to; made if it does not exist. Existing files are never overwritten.
    dir: PathBuf,
}

/// Writes the directory.
///
/// # Errors
/// When a file exists already or cannot be written.
pub fn run(args: &InitArgs) -> anyhow::Result<()> {
    let config = args.dir.join("portcullis.yaml");
    if config.exists() {
        bail!("`{}` exists; nothing was written", config.display());
    }
    write_plugins(&args.dir.join("plugins"))?;
    write_policies(&args.dir.join("policies"))?;
    write_new(&config, CONFIG.as_bytes())?;
    terminal::line(format_args!("Wrote {}. Next:", args.dir.display()));
    terminal::line(format_args!(
        "  1. edit {}: your issuer, accounts and roles",
        config.display()
    ));
    terminal::line(format_args!(
        "  2. portcullis check --config {}",
        config.display()
    ));
    terminal::line(format_args!(
        "  3. portcullis serve --config {}",
        config.display()
    ));
    Ok(())
}

/// Writes the bundled plugins and their manifests.
///
/// # Errors
/// When this build carries none, or a file cannot be written.
pub fn write_plugins(dir: &Path) -> anyhow::Result<()> {
    if bundled::plugins().is_empty() {
        bail!("this build carries no plugins; build it with `cargo xtask build`");
    }
    fs::create_dir_all(dir).with_context(|| format!("making `{}`", dir.display()))?;
    for plugin in bundled::plugins() {
        write_new(&dir.join(format!("{}.wasm", plugin.name)), plugin.component)?;
        write_new(
            &dir.join(format!("{}.yaml", plugin.name)),
            plugin.manifest.as_bytes(),
        )?;
    }
    Ok(())
}

/// Writes the sample policies.
///
/// # Errors
/// When a file cannot be written.
pub fn write_policies(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("making `{}`", dir.display()))?;
    for (name, text) in bundled::policies() {
        write_new(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file =
        fs::File::create_new(path).with_context(|| format!("writing `{}`", path.display()))?;
    file.write_all(bytes)
        .with_context(|| format!("writing `{}`", path.display()))
}
