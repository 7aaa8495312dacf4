//! Builds the plugins into components: `plugins/<name>` → `plugins/dist/<name>.wasm` and its
//! manifest.
//!
//! The target has no WASI, so nothing a plugin could use to look around can creep in.

use std::fs;
use std::path::Path;

use anyhow::Context;
use wit_component::ComponentEncoder;

use crate::gateway::{cargo, target_dir};
use crate::setup::{self, WASM_TARGET, call};

const PLUGINS: &[&str] = &["cedar", "escape-hatches"];
/// A small stack makes a fresh instance cheaper to reset; Cedar parses in it with room to spare.
const STACK: &str = "link-arg=-zstack-size=262144";

/// Builds every plugin.
///
/// # Errors
/// When the target cannot be had or a plugin does not build.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist).with_context(|| format!("creating {}", dist.display()))?;
    for name in PLUGINS {
        let module = compile(root, name)?;
        let component = componentize(&module)?;
        publish(&dist.join(format!("{name}.wasm")), &component)?;
        let manifest = root.join(format!("plugins/{name}/{name}.yaml"));
        let text =
            fs::read(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
        publish(&dist.join(format!("{name}.yaml")), &text)?;
    }
    Ok(())
}

fn compile(root: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let package = format!("portcullis-plugin-{name}");
    let mut command = cargo(root);
    command
        .args(["rustc", "--locked", "--profile", "plugin", "--lib"])
        .args(["--crate-type", "cdylib", "--package", &package]);
    setup::wasm_build(&mut command)?;
    call(command.args(["--", "-C", STACK]))?;
    let module = target_dir(root)
        .join(WASM_TARGET)
        .join("plugin")
        .join(format!("{}.wasm", package.replace('-', "_")));
    fs::read(&module).with_context(|| format!("reading {}", module.display()))
}

fn componentize(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
        .context("making a component of it")
}

/// Renamed into place, because a running gateway may be watching the directory.
fn publish(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("writing {}", path.display()))
}
