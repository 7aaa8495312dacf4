//! Embeds the plugins that `cargo xtask build` built, so that the release binary carries them.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const REQUIRE: &str = "PORTCULLIS_REQUIRE_PLUGINS";

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../plugins/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-env-changed={REQUIRE}");
    let plugins = built(&dist);
    if plugins.is_empty() {
        let message = "no plugin is built in; build them with `cargo xtask build`";
        if env::var_os(REQUIRE).is_some() {
            return Err(message.into());
        }
        println!("cargo::warning={message}");
    }
    let mut code = String::from("const BUNDLED: &[Bundled] = &[\n");
    for wasm in &plugins {
        let name = wasm.file_stem().unwrap_or_default().to_string_lossy();
        let manifest = wasm.with_extension("yaml");
        println!("cargo::rerun-if-changed={}", wasm.display());
        println!("cargo::rerun-if-changed={}", manifest.display());
        writeln!(
            code,
            "    Bundled {{ name: {name:?}, component: include_bytes!({wasm:?}), \
             manifest: include_str!({manifest:?}) }},"
        )?;
    }
    code.push_str("];\n");
    embed_policies(&mut code)?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("bundled.rs");
    fs::write(out, code)?;
    Ok(())
}

/// The sample policies and their schema.
fn embed_policies(code: &mut String) -> Result<(), Box<dyn Error>> {
    let samples = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../policies");
    println!("cargo::rerun-if-changed={}", samples.display());
    let mut files: Vec<PathBuf> = fs::read_dir(samples)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "cedar" || extension == "cedarschema")
        })
        .collect();
    files.sort();
    code.push_str("const POLICIES: &[(&str, &str)] = &[\n");
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("cargo::rerun-if-changed={}", file.display());
        writeln!(code, "    ({name:?}, include_str!({file:?})),")?;
    }
    code.push_str("];\n");
    Ok(())
}

/// The components that have their manifest beside them, by name.
fn built(dist: &Path) -> Vec<PathBuf> {
    let mut plugins: Vec<PathBuf> = fs::read_dir(dist)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .filter(|path| path.with_extension("yaml").exists())
        .collect();
    plugins.sort();
    plugins
}
