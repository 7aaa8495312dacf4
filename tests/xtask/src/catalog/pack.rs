//! The catalog's bytes: a fixed head, the index, then one zstd frame a service. The same input
//! always gives the same bytes.

use portcullis_core::catalog::{Index, MAGIC, Service};

/// zstd's strongest level short of the ones that need a larger window to decompress.
const LEVEL: i32 = 19;

/// Packs the catalog, filling in where each service lies.
///
/// `services` are in the index's order.
pub(crate) fn pack(mut index: Index, services: &[Service]) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(index.services.len() == services.len());
    let mut models = Vec::new();
    for (entry, service) in index.services.iter_mut().zip(services) {
        let packed = compress(service)?;
        entry.offset = u64::try_from(models.len())?;
        entry.length = u64::try_from(packed.len())?;
        models.extend(packed);
    }
    let index = compress(&index)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u64::try_from(index.len())?.to_le_bytes());
    bytes.extend(index);
    bytes.extend(models);
    Ok(bytes)
}

fn compress(value: &impl serde::Serialize) -> anyhow::Result<Vec<u8>> {
    Ok(zstd::bulk::compress(&postcard::to_allocvec(value)?, LEVEL)?)
}
