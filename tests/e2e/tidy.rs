//! The repository keeps its own rules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::{child, place};

/// The promised top level; beside it only names that begin with a dot.
const ROOT: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "compose.yaml",
    "host",
    "plugins",
    "policies",
    "tests",
    "wit",
];

/// The hard limit on a source file.
const LINES: usize = 600;

fn git(arguments: &[&str]) -> Vec<String> {
    let output = child::command("git")
        .arg("-C")
        .arg(place::root())
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn tracked(suffix: &str) -> Vec<PathBuf> {
    let files = git(&["-c", "core.quotePath=false", "ls-files"]);
    let found = files.into_iter().filter(|file| file.ends_with(suffix));
    found
        .map(|file| place::root().join(file))
        .filter(|file| file.exists())
        .collect()
}

#[test]
fn the_root_holds_only_what_was_promised() {
    let entries = git(&["ls-tree", "--name-only", "HEAD"]);
    let extra: Vec<_> = entries
        .iter()
        .filter(|name| !name.starts_with('.') && !ROOT.contains(&name.as_str()))
        .collect();
    assert_eq!(extra, Vec::<&String>::new());
}

#[test]
fn source_files_stay_short() {
    let long: Vec<_> = tracked(".rs")
        .into_iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            (code.lines().count(), file)
        })
        .filter(|(lines, _)| *lines > LINES)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn source_files_say_what_they_are_for() {
    let silent: Vec<_> = tracked(".rs")
        .into_iter()
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            !text.starts_with("//!") && !text.starts_with("#!")
        })
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn no_file_speaks_of_where_it_was_made() {
    // Spelled in two halves, so that this file does not find itself.
    let words = [
        concat!("/wo", "rk/"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("crates-", "io/"),
        concat!("arti", "factory"),
    ];
    let mut found = Vec::new();
    for suffix in [
        ".rs",
        ".md",
        ".toml",
        ".yaml",
        ".yml",
        ".wit",
        ".cedar",
        ".py",
        ".mjs",
        ".json",
        ".sh",
        "Dockerfile",
    ] {
        for file in tracked(suffix) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            found.extend(
                words
                    .iter()
                    .filter(|word| text.contains(**word))
                    .map(|word| (*word, file.clone())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_init_writes_passes_check() {
    let dir = place::directory("init").join("new");
    let run = |arguments: &[&str]| {
        let output = child::command(place::portcullis())
            .args(arguments)
            .current_dir(place::scratch())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["init", dir.to_str().unwrap()]);
    run(&[
        "check",
        "--config",
        dir.join("portcullis.yaml").to_str().unwrap(),
    ]);
    let plugins = fs::read_dir(dir.join("plugins")).unwrap().flatten();
    assert!(plugins.into_iter().any(|file| {
        Path::new(&file.file_name())
            .extension()
            .is_some_and(|extension| extension == "wasm")
    }));
}

#[test]
fn the_schema_is_a_json_schema() {
    let output = child::command(place::portcullis())
        .arg("schema")
        .output()
        .unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["connections"].is_object(), "{schema}");
}
