//! Reads the packed catalog: sixteen bytes of head, the index, then one compressed model a service.
//! The index is opened at once and a service's model on its first use; what was opened is kept.
//! Nothing here panics on a damaged catalog: what cannot be read is not there, so its calls are
//! refused.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ruzstd::decoding::FrameDecoder;
use serde::de::DeserializeOwned;

use super::{Entry, Index, Service};
use crate::aws_host::AwsHosts;

/// The first bytes of a catalog; the digit is the format's version.
pub const MAGIC: &[u8; 8] = b"PCATLOG1";

/// What `cargo xtask catalog` made for this build.
static EMBEDDED: &[u8] = include_bytes!("../../catalog/catalog.bin");

/// Far above the largest model (EC2's), far below what would hurt.
const MAX_UNPACKED: u64 = 64 << 20;

/// The catalog of AWS services.
#[derive(Debug)]
pub struct Catalog {
    index: Index,
    models: &'static [u8],
    opened: Vec<OnceLock<Result<Arc<Service>, CatalogError>>>,
    names: HashMap<String, usize>,
    signing_names: HashMap<String, Vec<Entry>>,
    hosts: OnceLock<AwsHosts>,
}

impl Catalog {
    /// The catalog of this build. A build with a damaged one would know no service at all; a test
    /// keeps such a build from passing.
    pub fn embedded() -> &'static Self {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(|| Self::parse(EMBEDDED).unwrap_or_else(|_| Self::new(nothing(), &[])))
    }

    /// Opens a packed catalog.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the head or the index cannot be read.
    pub fn parse(bytes: &'static [u8]) -> Result<Self, CatalogError> {
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(damaged("the magic number"))?;
        let (length, rest) = rest.split_first_chunk().ok_or(damaged("the head"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (index, models) = rest.split_at_checked(length).ok_or(damaged("the index"))?;
        Ok(Self::new(unpack(index, "the index")?, models))
    }

    fn new(index: Index, models: &'static [u8]) -> Self {
        let mut names = HashMap::new();
        let mut signing_names: HashMap<String, Vec<Entry>> = HashMap::new();
        for (position, entry) in index.services.iter().enumerate() {
            names.insert(entry.name.clone(), position);
            signing_names
                .entry(entry.signing_name.clone())
                .or_default()
                .push(entry.clone());
        }
        Self {
            opened: index.services.iter().map(|_| OnceLock::new()).collect(),
            index,
            models,
            names,
            signing_names,
            hosts: OnceLock::new(),
        }
    }

    /// What is known of every service without opening its model.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The index line of the service that botocore calls `name`.
    pub fn by_name(&self, name: &str) -> Option<&Entry> {
        self.index.services.get(*self.names.get(name)?)
    }

    /// Every service that signs as `signing_name`, sorted by name; empty if there is none.
    pub fn by_signing_name(&self, signing_name: &str) -> &[Entry] {
        self.signing_names
            .get(signing_name)
            .map_or(&[], Vec::as_slice)
    }

    /// The model of the service that botocore calls `name`, if the catalog has it whole.
    pub fn service(&self, name: &str) -> Option<Arc<Service>> {
        self.open(name).ok()
    }

    /// As [`Self::service`], saying what is wrong.
    ///
    /// # Errors
    /// [`CatalogError`] if there is no such service or its model is damaged.
    pub fn open(&self, name: &str) -> Result<Arc<Service>, CatalogError> {
        let unknown = || CatalogError::UnknownService(name.to_owned());
        let position = *self.names.get(name).ok_or_else(unknown)?;
        let entry = self.index.services.get(position).ok_or_else(unknown)?;
        let cell = self.opened.get(position).ok_or_else(unknown)?;
        cell.get_or_init(|| self.read(entry).map(Arc::new)).clone()
    }

    /// AWS's host names. Made on first use, for which every model is read once.
    pub fn hosts(&self) -> &AwsHosts {
        self.hosts.get_or_init(|| {
            let services = self.index.services.iter();
            let models = services.filter_map(|entry| Some((entry, self.read(entry).ok()?)));
            AwsHosts::new(&self.index, models)
        })
    }

    fn read(&self, entry: &Entry) -> Result<Service, CatalogError> {
        let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(entry.length).unwrap_or(usize::MAX);
        let packed = self
            .models
            .get(start..start.saturating_add(length))
            .ok_or(damaged(&entry.name))?;
        unpack(packed, &entry.name)
    }
}

/// Why a part of the catalog cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CatalogError {
    /// Bytes that the generator did not write.
    #[error("the service catalog is damaged at {0}")]
    Damaged(String),
    /// Not in the catalog.
    #[error("the service catalog has no service `{0}`")]
    UnknownService(String),
}

fn damaged(place: &str) -> CatalogError {
    CatalogError::Damaged(place.to_owned())
}

fn unpack<T: DeserializeOwned>(packed: &[u8], place: &str) -> Result<T, CatalogError> {
    let bytes = decompress(packed).ok_or(damaged(place))?;
    postcard::from_bytes(&bytes).map_err(|_| damaged(place))
}

fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = FrameDecoder::new();
    decoder.init(packed).ok()?;
    let size = decoder.content_size();
    if size > MAX_UNPACKED {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
    decoder.decode_all_to_vec(packed, &mut bytes).ok()?;
    Some(bytes)
}

fn nothing() -> Index {
    Index {
        versions: super::Versions {
            botocore: String::new(),
            iam_data: String::new(),
            transcribe_client: String::new(),
        },
        partitions: Vec::new(),
        services: Vec::new(),
    }
}
