//! The first bytes of a segment file.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `PCAUDIT` and a line feed |
//! | 8 | 4 | format version, 1 |
//! | 12 | 16 | origin: random, the same in every segment of one log |
//! | 28 | 8 | sequence number of the first frame |
//! | 36 | 32 | chain value of the last frame of the segment before, zeros in a log's first segment |
//! | 68 | 8 | when it was made, milliseconds since 1970 |
//! | 76 | 4 | CRC-32C of the 76 bytes before |
//!
//! Frames follow without padding. The chain of a segment starts at `SHA-256(0x02 ‖ the first 76
//! bytes)`, so a changed header breaks the first frame too.

use crc_fast::{CrcAlgorithm, checksum};

use super::draft::sha256;
use super::frame::Chain;

/// The bytes of a header.
pub const HEADER_BYTES: usize = 80;

const SUMMED: usize = 76;
const MAGIC: &[u8; 8] = b"PCAUDIT\n";
const VERSION: u32 = 1;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Which log it belongs to.
    pub origin: [u8; 16],
    /// The number of its first frame.
    pub first_sequence: u64,
    /// The last chain value of the segment before it; zeros if there is none.
    pub previous: Chain,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
}

impl Header {
    /// The bytes a segment begins with.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.summed();
        bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if it is not one of this version or is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (summed, rest) = bytes.split_at_checked(SUMMED)?;
        if rest.first_chunk::<4>()? != &crc(summed).to_le_bytes() {
            return None;
        }
        let rest = summed.strip_prefix(MAGIC)?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*version) != VERSION {
            return None;
        }
        let (origin, rest) = rest.split_first_chunk::<16>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        let created = rest.first_chunk::<8>()?;
        Some(Self {
            origin: *origin,
            first_sequence: u64::from_le_bytes(*first),
            previous: *previous,
            created_ms: u64::from_le_bytes(*created),
        })
    }

    /// What the segment's first frame follows.
    pub fn chain(&self) -> Chain {
        sha256(&[&[0x02], &self.summed()])
    }

    fn summed(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.origin);
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&self.created_ms.to_le_bytes());
        bytes
    }
}

fn crc(bytes: &[u8]) -> u32 {
    u32::try_from(checksum(CrcAlgorithm::Crc32Iscsi, bytes)).unwrap_or(0)
}
