//! Checks an `aws-chunked` body (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`) while it is passed on; the
//! forms whose chunks are signed are in `signed` and, written anew, in `encode`.
//!
//! The bytes are forwarded exactly as they came, so only one grammar is taken: what the AWS SDKs
//! write, without chunk extensions, leading zeros or blanks. The last chunk and the trailers are
//! held back until length and checksum are known to be right, so a body that fails never becomes
//! a complete request. No chunk is ever buffered.
//!
//! ```text
//! body  = *chunk "0" CRLF [ name ":" base64 CRLF ] CRLF
//! chunk = size CRLF data CRLF        ; size is hexadecimal and does not start with 0
//! ```

use bytes::{Bytes, BytesMut};

mod encode;
mod signed;

pub use encode::{CHUNK, Encoder, encoded_length};
pub use signed::{SignedDecoder, Trailer};

use crate::checksum::{Algorithm, Hasher};
use crate::refusal::Refusal;

/// No `u64` needs more digits; extensions, which could make the line longer, are not taken.
const MAX_SIZE_DIGITS: u32 = 16;
/// The last chunk and the trailers, in bytes.
const MAX_TAIL: usize = 16 * 1024;

/// One body being checked. Feed it with [`Decoder::push`], then ask [`Decoder::finish`].
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of data that `x-amz-decoded-content-length` still promises.
    missing: u64,
    checksum: Option<Hasher>,
    /// The last chunk and the trailers, as received.
    tail: BytesMut,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first digit of a chunk's size.
    ChunkStart,
    /// Inside the size line, after at least one digit.
    Size { so_far: u64, digits: u32 },
    /// After the CR of a size line.
    SizeEnd { size: u64 },
    /// Inside a chunk's data.
    Data { left: u64 },
    /// After the data, before its CR.
    DataEnd,
    /// After the CR that follows the data.
    DataEndCr,
    /// From the `0` of the last chunk on; everything is kept in `tail`.
    Tail,
    /// A byte broke the grammar; nothing may follow.
    Failed,
}

impl Decoder {
    /// A decoder for a body of `decoded_length` bytes of data followed by the announced `trailer`.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] when the trailer is not a checksum this gateway can compute.
    pub fn new(decoded_length: u64, trailer: Option<&str>) -> Result<Self, Refusal> {
        let checksum = trailer.map(announced).transpose()?.map(Hasher::new);
        Ok(Self {
            state: State::ChunkStart,
            missing: decoded_length,
            checksum,
            tail: BytesMut::new(),
        })
    }

    /// Takes the next bytes off the wire and returns those of them, a prefix, that may be
    /// forwarded now.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] at the first byte that no longer fits; the body must then be cut
    /// off upstream, never completed.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<Bytes, Refusal> {
        let forward = self.advance(&bytes).inspect_err(|_| {
            self.state = State::Failed;
        })?;
        let kept = bytes.split_off(forward);
        if self.tail.len() + kept.len() > MAX_TAIL {
            self.state = State::Failed;
            return Err(malformed("the trailers are too long"));
        }
        self.tail.extend_from_slice(&kept);
        Ok(bytes)
    }

    /// Checks the end of the body and returns what was held back, to be forwarded last.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when the body is incomplete, shorter than announced, or its trailers
    /// are not exactly the announced one; [`Refusal::ChecksumMismatch`] when the value is wrong.
    pub fn finish(self) -> Result<Bytes, Refusal> {
        if !matches!(self.state, State::Tail) {
            return Err(malformed("the body ends before its last chunk"));
        }
        if self.missing != 0 {
            return Err(malformed(
                "the body is shorter than `x-amz-decoded-content-length`",
            ));
        }
        check_tail(&self.tail, self.checksum)?;
        Ok(self.tail.freeze())
    }

    /// Runs the state machine over `bytes`; returns how many of them come before the tail.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            self.state = match self.state {
                State::Tail => break,
                State::Data { left } => {
                    let (data, behind) = split_at_most(rest, left);
                    rest = behind;
                    self.take_data(data, left)
                }
                State::ChunkStart if byte == b'0' => State::Tail,
                State::ChunkStart
                | State::Size { .. }
                | State::SizeEnd { .. }
                | State::DataEnd
                | State::DataEndCr
                | State::Failed => {
                    rest = after;
                    self.framing(byte)?
                }
            };
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_data(&mut self, data: &[u8], left: u64) -> State {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(data);
        }
        match left - data.len() as u64 {
            0 => State::DataEnd,
            left => State::Data { left },
        }
    }

    /// One byte of the frame around the data.
    fn framing(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::ChunkStart, _) => size_digit(0, 0, byte),
            (State::Size { so_far, .. }, b'\r') => Ok(State::SizeEnd { size: so_far }),
            (State::Size { so_far, digits }, _) => size_digit(so_far, digits, byte),
            (State::SizeEnd { size }, b'\n') => self.begin_chunk(size),
            (State::DataEnd, b'\r') => Ok(State::DataEndCr),
            (State::DataEndCr, b'\n') => Ok(State::ChunkStart),
            (
                State::SizeEnd { .. }
                | State::Data { .. }
                | State::DataEnd
                | State::DataEndCr
                | State::Tail
                | State::Failed,
                _,
            ) => Err(malformed("a chunk is not framed by CRLF")),
        }
    }

    fn begin_chunk(&mut self, size: u64) -> Result<State, Refusal> {
        let Some(missing) = self.missing.checked_sub(size) else {
            return Err(malformed(
                "the body is longer than `x-amz-decoded-content-length`",
            ));
        };
        self.missing = missing;
        Ok(State::Data { left: size })
    }
}

/// The checksum a trailer announcement names.
///
/// # Errors
/// [`Refusal::Unsupported`] when it is none this gateway can compute.
pub(crate) fn announced(trailer: &str) -> Result<Algorithm, Refusal> {
    Algorithm::from_header_name(trailer).ok_or_else(|| {
        Refusal::Unsupported(
            "`x-amz-trailer` names something other than a checksum this gateway knows; \
             use crc32, crc32c, crc64nvme, sha1 or sha256"
                .to_owned(),
        )
    })
}

fn size_digit(so_far: u64, digits: u32, byte: u8) -> Result<State, Refusal> {
    let digit = char::from(byte).to_digit(16).map(u64::from);
    match digit {
        Some(digit) if digits < MAX_SIZE_DIGITS => Ok(State::Size {
            so_far: so_far << 4 | digit,
            digits: digits + 1,
        }),
        Some(_) | None => Err(malformed(
            "a chunk's size is not a plain hexadecimal number",
        )),
    }
}

/// Splits off at most `limit` bytes.
fn split_at_most(bytes: &[u8], limit: u64) -> (&[u8], &[u8]) {
    usize::try_from(limit)
        .ok()
        .and_then(|limit| bytes.split_at_checked(limit))
        .unwrap_or((bytes, &[]))
}

fn check_tail(tail: &[u8], checksum: Option<Hasher>) -> Result<(), Refusal> {
    let trailer = tail
        .strip_prefix(b"0\r\n")
        .and_then(|rest| rest.strip_suffix(b"\r\n"))
        .ok_or_else(|| malformed("the last chunk is not framed by CRLF"))?;
    let Some(checksum) = checksum else {
        return if trailer.is_empty() {
            Ok(())
        } else {
            Err(malformed("the body has a trailer that was not announced"))
        };
    };
    let algorithm = checksum.algorithm();
    let value = trailer
        .strip_suffix(b"\r\n")
        .and_then(|line| line.strip_prefix(algorithm.header_name().as_bytes()))
        .and_then(|line| line.strip_prefix(b":"))
        .filter(|value| !value.contains(&b'\r') && !value.contains(&b'\n'))
        .ok_or_else(|| malformed("the trailers are not exactly the announced one"))?;
    if value == checksum.finish().as_bytes() {
        Ok(())
    } else {
        Err(Refusal::ChecksumMismatch(algorithm.name().to_owned()))
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(format!("aws-chunked body: {what}"))
}

#[cfg(test)]
mod tests;
