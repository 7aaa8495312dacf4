//! The key ring file: the secrets that seal session tokens, shared by every gateway that mounts
//! the same state directory.
//!
//! A new key joins every 30 days and starts to seal only after a while, so that every gateway has
//! read it by then; an old one stays until no session it sealed can still be open. Changes are made
//! under a file lock and replace the file atomically, so two gateways never overwrite each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use portcullis_core::token::{KeyRing, RingKey};
use time::{Duration, OffsetDateTime};

mod file;

use file::{KeyDirectory, StoredKey};

/// How often [`KeyRingFile::refresh`] should run: well within [`ACTIVATION`].
pub const REFRESH: std::time::Duration = std::time::Duration::from_secs(60);

/// A key's age at which the next one is made.
const ROTATION: Duration = Duration::days(30);
/// A new key's age at which it starts to seal, unless it is the only one.
const ACTIVATION: Duration = Duration::minutes(10);
/// The longest session, and an hour for clocks and late readers.
const RETENTION: Duration = Duration::hours(13);

/// The key ring of this gateway, kept in step with its file.
#[derive(Debug)]
pub struct KeyRingFile {
    directory: KeyDirectory,
    ring: ArcSwap<KeyRing>,
}

impl KeyRingFile {
    /// Opens `<state_dir>/keys/session-keys.json`, making it if there is none. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood, or when others may read it.
    pub fn open(state_dir: &Path, now: OffsetDateTime) -> Result<Self> {
        let directory = KeyDirectory::open(state_dir)?;
        let keys = up_to_date(&directory, now)?;
        Ok(Self {
            ring: ArcSwap::from_pointee(ring(&keys, now)?),
            directory,
        })
    }

    /// The ring as of the last refresh.
    pub fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// Reads the file again, rotating keys where it is time. Blocks; meant to run every
    /// [`REFRESH`]. On an error the ring stays as it was.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&self, now: OffsetDateTime) -> Result<()> {
        let keys = up_to_date(&self.directory, now)?;
        self.ring.store(Arc::new(ring(&keys, now)?));
        Ok(())
    }

    /// Where the keys are, to print.
    pub fn path(&self) -> PathBuf {
        self.directory.file()
    }
}

/// The stored keys, newest first, after whatever rotation is due.
fn up_to_date(directory: &KeyDirectory, now: OffsetDateTime) -> Result<Vec<StoredKey>> {
    if let Some(keys) = directory.read()?
        && !rotation_is_due(&keys, now)
    {
        return Ok(keys);
    }
    let _lock = directory.lock()?;
    // Another gateway may have done it between the read and the lock.
    let mut keys = directory.read()?.unwrap_or_default();
    if rotation_is_due(&keys, now) {
        keys = rotated(keys, now)?;
        directory.write(&keys)?;
    }
    Ok(keys)
}

fn rotation_is_due(keys: &[StoredKey], now: OffsetDateTime) -> bool {
    needs_a_key(keys, now) || keys.len() != retained(keys, now)
}

fn needs_a_key(keys: &[StoredKey], now: OffsetDateTime) -> bool {
    keys.first()
        .is_none_or(|newest| now - newest.created >= ROTATION)
}

/// How many of the newest keys may still be needed: a key is done for once the next one has been
/// sealing for longer than a session can last.
fn retained(keys: &[StoredKey], now: OffsetDateTime) -> usize {
    keys.iter()
        .position(|key| now - key.created >= ACTIVATION + RETENTION)
        .map_or(keys.len(), |newest_settled| newest_settled + 1)
}

fn rotated(mut keys: Vec<StoredKey>, now: OffsetDateTime) -> Result<Vec<StoredKey>> {
    keys.truncate(retained(&keys, now));
    if needs_a_key(&keys, now) {
        keys.insert(0, StoredKey::generate(now)?);
    }
    Ok(keys)
}

fn ring(keys: &[StoredKey], now: OffsetDateTime) -> Result<KeyRing> {
    let sealing = keys
        .iter()
        .position(|key| now - key.created >= ACTIVATION)
        .unwrap_or(keys.len().saturating_sub(1));
    let mut ring: Vec<RingKey> = keys.iter().map(StoredKey::ring_key).collect();
    anyhow::ensure!(sealing < ring.len(), "the key ring file holds no key");
    let sealing = ring.remove(sealing);
    Ok(KeyRing::new(sealing, ring))
}

/// Fresh random bytes.
///
/// # Errors
/// When the operating system has none to give.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("reading random bytes from the operating system")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
