//! The key ring's bytes on disk: JSON, readable by its owner only, replaced atomically.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::token::{KeyId, RingKey};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::{Zeroize, Zeroizing};

use super::random;

const VERSION: u32 = 1;
const FILE: &str = "session-keys.json";
/// More than a year of keys; whatever is larger is no key ring.
const MAX_BYTES: u64 = 64 * 1024;

/// One key as stored.
pub(super) struct StoredKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
    pub(super) created: OffsetDateTime,
}

impl StoredKey {
    pub(super) fn generate(now: OffsetDateTime) -> Result<Self> {
        let id = KeyId::parse(&hex::encode(random::<8>()?)).context("making a key id")?;
        Ok(Self {
            id,
            secret: Zeroizing::new(random()?),
            created: now.truncate_to_second(),
        })
    }

    pub(super) fn ring_key(&self) -> RingKey {
        RingKey::new(self.id.clone(), &self.secret)
    }
}

/// The directory that holds the key ring file and its lock.
#[derive(Debug)]
pub(super) struct KeyDirectory(PathBuf);

impl KeyDirectory {
    pub(super) fn open(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join("keys");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making directory `{}`", path.display()))?;
        let metadata =
            fs::metadata(&path).with_context(|| format!("reading `{}`", path.display()))?;
        private(&path, metadata.mode())?;
        Ok(Self(path))
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// Waits until no other gateway changes the keys; dropping the file lets the next one in.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.0.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("locking `{}`", path.display()))?;
        Ok(file)
    }

    /// The keys, newest first; `None` when there is no file yet.
    pub(super) fn read(&self) -> Result<Option<Vec<StoredKey>>> {
        let path = self.file();
        match File::open(&path) {
            Ok(file) => read_keys(&path, file)
                .with_context(|| format!("reading the key ring `{}`", path.display()))
                .map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("opening `{}`", path.display())),
        }
    }

    /// Only under the [`lock`](Self::lock): the temporary name is always the same.
    pub(super) fn write(&self, keys: &[StoredKey]) -> Result<()> {
        let json = encode(keys)?;
        let temporary = self.0.join(format!("{FILE}.new"));
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("removing `{}`", temporary.display()));
        }
        self.replace(&temporary, &json)
            .with_context(|| format!("writing the key ring `{}`", self.file().display()))
    }

    fn replace(&self, temporary: &Path, json: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(temporary)?;
        file.write_all(json)?;
        file.sync_all()?;
        fs::rename(temporary, self.file())?;
        File::open(&self.0)?.sync_all()
    }
}

fn read_keys(path: &Path, file: File) -> Result<Vec<StoredKey>> {
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "it is not a regular file");
    private(path, metadata.mode())?;
    let mut json = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut json)?;
    ensure!(json.len() as u64 <= MAX_BYTES, "it is too large");
    decode(&json)
}

fn private(path: &Path, mode: u32) -> Result<()> {
    if mode & 0o077 != 0 {
        bail!(
            "`{path}` can be reached by other users (mode {mode:03o}): whoever reads it can make sessions; run `chmod go= {path}`",
            path = path.display(),
            mode = mode & 0o777,
        );
    }
    Ok(())
}

/// The file as JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    keys: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    secret: String,
    created: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

fn decode(json: &[u8]) -> Result<Vec<StoredKey>> {
    let document: Document = serde_json::from_slice(json)?;
    ensure!(document.version == VERSION, "its version is not {VERSION}");
    let keys: Result<Vec<StoredKey>> = document.keys.iter().map(stored).collect();
    let mut keys = keys?;
    ensure!(!keys.is_empty(), "it holds no key");
    keys.sort_by_key(|key| std::cmp::Reverse(key.created));
    let mut ids: Vec<&KeyId> = keys.iter().map(|key| &key.id).collect();
    ids.sort();
    ids.dedup();
    ensure!(ids.len() == keys.len(), "it holds two keys of one id");
    Ok(keys)
}

fn stored(entry: &Entry) -> Result<StoredKey> {
    let mut secret = Zeroizing::new([0; 32]);
    let length = STANDARD.decode_slice(&entry.secret, &mut secret[..]);
    ensure!(length == Ok(32), "a secret is not 32 bytes of base64");
    Ok(StoredKey {
        id: KeyId::parse(&entry.id).context("a key id is malformed")?,
        secret,
        created: OffsetDateTime::parse(&entry.created, &Rfc3339)
            .context("a key's `created` is not a time")?,
    })
}

fn encode(keys: &[StoredKey]) -> Result<Zeroizing<Vec<u8>>> {
    let entry = |key: &StoredKey| -> Result<Entry> {
        Ok(Entry {
            id: key.id.as_str().to_owned(),
            secret: STANDARD.encode(&key.secret[..]),
            created: key.created.format(&Rfc3339)?,
        })
    };
    let document = Document {
        version: VERSION,
        keys: keys.iter().map(entry).collect::<Result<_>>()?,
    };
    Ok(Zeroizing::new(serde_json::to_vec_pretty(&document)?))
}
