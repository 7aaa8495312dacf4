//! One record as bytes, and the chain that binds it to all records before it.
//!
//! A frame is, with all integers little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `n`, the number of bytes from offset 8 to the frame's end: 41 + payload |
//! | 4 | 4 | CRC-32C (Castagnoli) of the four length bytes and of everything from offset 8 |
//! | 8 | 8 | sequence number, counting from 1 without gaps over the whole log |
//! | 16 | 1 | [`Kind`] in the low seven bits; the high bit marks the first frame of a commit |
//! | 17 | n − 41 | the record: one JSON object in UTF-8 |
//! | … | 32 | chain value |
//!
//! `leaf  = SHA-256(0x00 ‖ kind ‖ payload)`, with the kind's high bit clear;
//! `chain = SHA-256(0x01 ‖ previous chain ‖ sequence ‖ byte 16 ‖ leaf)`.
//! The first frame of a segment follows [`super::segment::Header::chain`].
//!
//! A commit is written only after the one before it is durable. So a frame that opens a commit
//! proves that everything before it had been durable: damage before such a frame is damage, while
//! damage after the last one is an interrupted write.

use crc_fast::{CrcAlgorithm, Digest};

use super::draft::{Draft, sha256};

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 4 * 1024 * 1024;

/// The bytes of a frame that are not payload.
pub const OVERHEAD: usize = PREFIX + FIXED;

/// Length and checksum.
pub const PREFIX: usize = 8;

const FIXED: usize = 8 + 1 + 32;
const OPENS_COMMIT: u8 = 0x80;

/// A chain value: stands for a record and all records before it.
pub type Chain = [u8; 32];

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// Which calls were open when the segment began.
    Carried = 1,
    /// Something outside any one call.
    Event = 2,
    /// A call is about to be sent.
    Intent = 3,
    /// A call's answer is about to be streamed.
    Head = 4,
    /// A call has ended.
    Outcome = 5,
    /// A call was not sent.
    Refused = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Carried,
            Self::Event,
            Self::Intent,
            Self::Head,
            Self::Outcome,
            Self::Refused,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A frame's place within what is written and synced together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The first of its commit.
    Opens,
    /// Any other.
    Within,
}

/// A frame whose checksum holds. Whether it belongs where it lies is for [`Frame::follows`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number.
    pub sequence: u64,
    /// What it is about.
    pub kind: Kind,
    /// Its place in its commit.
    pub place: Place,
    /// The JSON object.
    pub payload: &'a [u8],
    /// The chain value up to and with this frame.
    pub chain: Chain,
    /// All its bytes, prefix included.
    pub length: usize,
}

impl Frame<'_> {
    /// Whether it is the record that comes right after the one with that chain value.
    pub fn follows(&self, previous: &Chain) -> bool {
        let leaf = leaf(self.kind, self.payload);
        chain(previous, self.sequence, mark(self.kind, self.place), &leaf) == self.chain
    }
}

/// What bytes turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// Not a frame, whatever may follow.
    Bad,
    /// The beginning of what may be a frame of that many bytes.
    Incomplete(usize),
    /// A frame.
    Whole(Frame<'a>),
}

/// Reads the frame that `bytes` begins with.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((length_bytes, rest)) = bytes.split_first_chunk::<4>() else {
        return Decoded::Incomplete(PREFIX);
    };
    let length = usize::try_from(u32::from_le_bytes(*length_bytes)).unwrap_or(usize::MAX);
    if !(FIXED..=FIXED + MAX_PAYLOAD).contains(&length) {
        return Decoded::Bad;
    }
    let Some((body, crc)) = rest
        .split_first_chunk::<4>()
        .and_then(|(crc, rest)| Some((rest.get(..length)?, u32::from_le_bytes(*crc))))
    else {
        return Decoded::Incomplete(PREFIX + length);
    };
    // Cheap checks first: while a reader looks for its footing it tries every offset.
    match parse(body) {
        Some(frame) if checksum(length_bytes, body) == crc => Decoded::Whole(frame),
        Some(_) | None => Decoded::Bad,
    }
}

/// Appends `draft` to `out` as the frame that follows `previous`, and returns its chain value.
pub fn encode(
    draft: &Draft,
    sequence: u64,
    place: Place,
    previous: &Chain,
    out: &mut Vec<u8>,
) -> Chain {
    let mark = mark(draft.kind(), place);
    let chain = chain(previous, sequence, mark, draft.leaf());
    let length = u32::try_from(FIXED + draft.size())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    out.reserve(OVERHEAD + draft.size());
    out.extend_from_slice(&length);
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let body_at = out.len();
    out.extend_from_slice(&sequence.to_le_bytes());
    out.push(mark);
    out.extend_from_slice(draft.payload());
    out.extend_from_slice(&chain);
    let crc = checksum(&length, out.get(body_at..).unwrap_or_default());
    if let Some(slot) = out.get_mut(crc_at..body_at) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
    chain
}

pub(super) fn leaf(kind: Kind, payload: &[u8]) -> [u8; 32] {
    sha256(&[&[0x00, kind as u8], payload])
}

fn chain(previous: &Chain, sequence: u64, mark: u8, leaf: &[u8; 32]) -> Chain {
    sha256(&[&[0x01], previous, &sequence.to_le_bytes(), &[mark], leaf])
}

fn mark(kind: Kind, place: Place) -> u8 {
    match place {
        Place::Opens => kind as u8 | OPENS_COMMIT,
        Place::Within => kind as u8,
    }
}

fn parse(body: &[u8]) -> Option<Frame<'_>> {
    let (sequence, rest) = body.split_first_chunk::<8>()?;
    let (mark, rest) = rest.split_first()?;
    let (payload, chain) = rest.split_last_chunk::<32>()?;
    let place = if mark & OPENS_COMMIT == 0 {
        Place::Within
    } else {
        Place::Opens
    };
    Some(Frame {
        sequence: u64::from_le_bytes(*sequence),
        kind: Kind::from_byte(mark & !OPENS_COMMIT)?,
        place,
        payload,
        chain: *chain,
        length: PREFIX + body.len(),
    })
}

fn checksum(length: &[u8; 4], body: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(length);
    digest.update(body);
    u32::try_from(digest.finalize()).unwrap_or(0)
}
