//! What the plugin and policy directories say should be running, by content.
//!
//! Times, inodes and event kinds are not believed: a Kubernetes volume swaps a symlink, an editor
//! renames, a copy is half done. Only bytes and their hashes count.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Problem;

const MAX_COMPONENT: u64 = 32 << 20;
const MAX_MANIFEST: u64 = 256 << 10;
const MAX_POLICY: u64 = 1 << 20;
const MAX_POLICIES: usize = 1_000;
const MAX_POLICIES_TOTAL: usize = 8 << 20;
const MAX_PLUGINS: usize = 64;
const MAX_NAME: usize = 64;

/// A SHA-256 digest, in hex.
pub(super) type Hash = String;

/// The desired state, read once: everything later works on these bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Desired {
    /// By name.
    pub(super) plugins: BTreeMap<String, Files>,
    /// Sorted by file name.
    pub(super) policies: Vec<PolicyFile>,
    /// What could not be read.
    pub(super) problems: Vec<Problem>,
    /// Not wrong, but the operator should know.
    pub(super) warnings: Vec<String>,
}

/// One plugin's files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    pub(super) component: Option<Arc<[u8]>>,
    pub(super) component_hash: Hash,
    pub(super) manifest: Option<String>,
    /// Where the component is or should be, for messages.
    pub(super) path: PathBuf,
}

/// One policy file.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct PolicyFile {
    pub(super) file: String,
    pub(super) text: String,
}

impl Desired {
    /// Reads both directories.
    pub(super) fn read(plugins: &Path, policies: &Path) -> Self {
        let mut desired = Self::default();
        desired.read_plugins(plugins);
        desired.read_policies(policies);
        desired
    }

    /// One hash over everything that was read, problems included.
    pub(super) fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        for (name, files) in &self.plugins {
            hasher.update(name);
            hasher.update([0]);
            hasher.update(&files.component_hash);
            hasher.update([0]);
            hasher.update(files.manifest.as_deref().unwrap_or("\0"));
            hasher.update([0]);
        }
        hasher.update(self.policies_hash());
        for problem in &self.problems {
            hasher.update(problem.to_string());
        }
        hex::encode(hasher.finalize())
    }

    /// A hash over the policy files.
    pub(super) fn policies_hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        for policy in &self.policies {
            hasher.update((policy.file.len() as u64).to_le_bytes());
            hasher.update(&policy.file);
            hasher.update((policy.text.len() as u64).to_le_bytes());
            hasher.update(&policy.text);
        }
        hex::encode(hasher.finalize())
    }

    fn read_plugins(&mut self, directory: &Path) {
        for path in self.entries(directory) {
            let Some((name, extension)) = name_and_extension(&path) else {
                continue;
            };
            match extension {
                "wasm" => self.read_component(name, &path),
                "yaml" => self.read_manifest(name, &path),
                _ => {}
            }
        }
        for (name, files) in &mut self.plugins {
            files.path = directory.join(format!("{name}.wasm"));
        }
    }

    fn read_component(&mut self, name: &str, path: &Path) {
        if !is_plugin_name(name) || self.plugins.len() >= MAX_PLUGINS {
            let limits = format!(
                "a plugin's name is 1 to {MAX_NAME} of `a-z0-9-`, and there may be {MAX_PLUGINS}"
            );
            return self.problem(path, limits);
        }
        match self.read_file(path, MAX_COMPONENT) {
            Ok(bytes) => {
                let files = self.plugins.entry(name.to_owned()).or_default();
                files.component_hash = hash(&bytes);
                files.component = Some(bytes.into());
            }
            Err(message) => self.problem(path, message),
        }
    }

    fn read_manifest(&mut self, name: &str, path: &Path) {
        match self.read_text(path, MAX_MANIFEST) {
            Ok(text) => self.plugins.entry(name.to_owned()).or_default().manifest = Some(text),
            Err(message) => self.problem(path, message),
        }
    }

    fn read_policies(&mut self, directory: &Path) {
        let mut total = 0;
        for path in self.entries(directory) {
            let Some((_, "cedar")) = name_and_extension(&path) else {
                continue;
            };
            match self.read_text(&path, MAX_POLICY) {
                Ok(text) => {
                    total += text.len();
                    let file = path.file_name().unwrap_or_default();
                    self.policies.push(PolicyFile {
                        file: file.to_string_lossy().into_owned(),
                        text,
                    });
                }
                Err(message) => self.problem(&path, message),
            }
        }
        if self.policies.len() > MAX_POLICIES || total > MAX_POLICIES_TOTAL {
            self.policies.clear();
            let limits =
                format!("over {MAX_POLICIES} policy files or {MAX_POLICIES_TOTAL} bytes of them");
            self.problem(directory, limits);
        }
    }

    /// A directory's entries by name; hidden ones, `..data` among them, are not plugins.
    fn entries(&mut self, directory: &Path) -> Vec<PathBuf> {
        let listed = fs::read_dir(directory).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        });
        match listed {
            Ok(mut paths) => {
                self.warn_if_open(directory);
                paths.retain(|path| {
                    path.file_name()
                        .and_then(|name| name.to_str())
                        .is_some_and(|name| !name.starts_with('.'))
                });
                paths.sort();
                paths
            }
            Err(error) => {
                self.problem(directory, format!("cannot be listed: {error}"));
                Vec::new()
            }
        }
    }

    fn read_text(&mut self, path: &Path, limit: u64) -> Result<String, String> {
        let bytes = self.read_file(path, limit)?;
        String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))
    }

    fn read_file(&mut self, path: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        // Asked before opening: opening a pipe would wait for its writer.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err("is not a regular file".to_owned());
        }
        let file = fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(format!("is larger than {limit} bytes"));
        }
        self.warn_if_open(path);
        Ok(bytes)
    }

    /// Whoever can write here decides what agents may do.
    fn warn_if_open(&mut self, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let open = fs::metadata(path).is_ok_and(|metadata| {
            let mode = metadata.permissions().mode();
            mode & 0o002 != 0 && mode & 0o1000 == 0
        });
        if open {
            self.warnings.push(format!(
                "{}: everyone on this machine can write it",
                path.display()
            ));
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        self.problems.push(Problem {
            place: path.display().to_string(),
            message,
        });
    }
}

/// SHA-256 in hex.
pub(super) fn hash(bytes: &[u8]) -> Hash {
    hex::encode(Sha256::digest(bytes))
}

fn name_and_extension(path: &Path) -> Option<(&str, &str)> {
    Some((path.file_stem()?.to_str()?, path.extension()?.to_str()?))
}

fn is_plugin_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
