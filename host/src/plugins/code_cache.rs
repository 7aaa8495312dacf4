//! Compiled plugins on disk, so that a restart does not compile them again.
//!
//! Compiled code is native code: a file is only loaded if its authentication code, made with a
//! key that never leaves this directory, is right. Anything else is compiled anew.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const MAX_BYTES: u64 = 256 << 20;

/// A directory of compiled components.
#[derive(Debug)]
pub(super) struct CodeCache {
    directory: PathBuf,
    key: [u8; KEY_BYTES],
}

impl CodeCache {
    /// Opens the directory, creating it and its key where they do not exist.
    ///
    /// # Errors
    /// When the directory or the key cannot be created or read.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let key_file = directory.join("key");
        if !key_file.exists() {
            let mut key = [0; KEY_BYTES];
            getrandom::fill(&mut key).map_err(io::Error::other)?;
            publish(&key_file, &[&key])?;
        }
        let key = fs::read(&key_file)?
            .try_into()
            .map_err(|_| io::Error::other("the key has the wrong length"))?;
        Ok(Self {
            directory: directory.to_owned(),
            key,
        })
    }

    /// The component that was stored under that name by this very engine, if it is intact.
    pub(super) fn get(&self, engine: &Engine, name: &str) -> Option<Component> {
        let bytes = fs::read(self.path(name)).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
        self.mac(name, code)?.verify_slice(tag).ok()?;
        #[expect(
            unsafe_code,
            reason = "the bytes are what `put` wrote: `serialize`'s output, authenticated above"
        )]
        // SAFETY: `deserialize` wants bytes that `Component::serialize` produced. The tag was made
        // over exactly these bytes with a key only this directory has.
        let component = unsafe { Component::deserialize(engine, code) };
        component.ok()
    }

    /// Stores a component. Failing only costs the next start some time.
    pub(super) fn put(&self, name: &str, component: &Component) {
        if let Err(error) = self.try_put(name, component) {
            tracing::info!(%error, "a compiled plugin was not kept");
        }
    }

    fn try_put(&self, name: &str, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        let mac = self
            .mac(name, &code)
            .ok_or_else(|| io::Error::other("no authentication code"))?;
        publish(&self.path(name), &[&mac.finalize().into_bytes(), &code])?;
        self.prune()
    }

    fn mac(&self, name: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        Some(mac)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.cwasm"))
    }

    /// Keeps the files that were written last.
    fn prune(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.directory)?
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "cwasm"))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total = 0;
        for (_, length, path) in files.iter().rev() {
            total += length;
            if total > MAX_BYTES {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Writes a file so that a reader sees all of it or none.
fn publish(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{}.tmp", hex::encode(random)));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()
        });
    written
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}
