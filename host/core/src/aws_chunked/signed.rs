//! Takes a body of signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD` and `…-TRAILER`) apart and
//! checks the chain of signatures through it.
//!
//! The data of a chunk passes before its signature is known to be right, so that chunks of any
//! size need no memory. Whoever passes it on must therefore not complete the object before
//! [`SignedDecoder::finish`] agrees.
//!
//! ```text
//! body  = *chunk "0" sig CRLF [ name ":" base64 [ LF ] CRLF "x-amz-trailer-signature:" hex CRLF ] CRLF
//! chunk = size sig CRLF data CRLF    ; size is hexadecimal and does not start with 0
//! sig   = ";chunk-signature=" hex
//! ```

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::{MAX_SIZE_DIGITS, MAX_TAIL, malformed, split_at_most};
use crate::checksum::{Algorithm, Hasher};
use crate::refusal::Refusal;
use crate::sigv4::{ChunkChain, Signature};

const SIGNATURE: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";
/// The longest line before a chunk: size, signature and CRLF.
const MAX_LINE: usize = MAX_SIZE_DIGITS as usize + SIGNATURE.len() + 64 + 2;

/// One body being taken apart. Feed it with [`SignedDecoder::pull`], then ask
/// [`SignedDecoder::finish`].
#[derive(Debug)]
pub struct SignedDecoder {
    state: State,
    chain: ChunkChain,
    /// Bytes of data that `x-amz-decoded-content-length` still promises.
    missing: u64,
    /// Over the data of the current chunk.
    digest: Sha256,
    checksum: Option<Hasher>,
    /// The line before a chunk, or what follows the last one, as far as it is there.
    text: BytesMut,
}

#[derive(Debug)]
enum State {
    /// Inside the line before a chunk.
    Line,
    /// Inside a chunk's data; its signature is already there.
    Data { left: u64, signature: Signature },
    /// After the data, `left` bytes of its CRLF still to come.
    DataEnd { left: &'static [u8] },
    /// After the line of the last chunk.
    Tail,
    /// Something was wrong; nothing may follow.
    Failed,
}

impl SignedDecoder {
    /// A decoder for a body of `decoded_length` bytes of data followed by the announced trailer.
    #[must_use]
    pub fn new(chain: ChunkChain, decoded_length: u64, trailer: Option<Algorithm>) -> Self {
        Self {
            state: State::Line,
            chain,
            missing: decoded_length,
            digest: Sha256::new(),
            checksum: trailer.map(Hasher::new),
            text: BytesMut::new(),
        }
    }

    /// Takes bytes off the front of `wire` until there is data to pass on; empty data says that
    /// `wire` is used up.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::SignatureMismatch`]; the body must then be cut off
    /// upstream, never completed.
    pub fn pull(&mut self, wire: &mut Bytes) -> Result<Bytes, Refusal> {
        while !wire.is_empty() {
            let pulled = self.step(wire).inspect_err(|_| {
                self.state = State::Failed;
            })?;
            if !pulled.is_empty() {
                return Ok(pulled);
            }
        }
        Ok(Bytes::new())
    }

    /// Checks the end of the body and returns its trailer, if one was announced.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when the body is incomplete, shorter than announced, or its trailers
    /// are not exactly the announced one; [`Refusal::SignatureMismatch`];
    /// [`Refusal::ChecksumMismatch`].
    pub fn finish(mut self) -> Result<Option<Trailer>, Refusal> {
        if !matches!(self.state, State::Tail) {
            return Err(malformed("the body ends before its last chunk"));
        }
        let tail = std::str::from_utf8(&self.text).map_err(|_| bad_trailer())?;
        let Some(checksum) = self.checksum else {
            return match tail {
                "\r\n" => Ok(None),
                _ => Err(malformed("the last chunk is not the end of the body")),
            };
        };
        let algorithm = checksum.algorithm();
        let (line, signature) = tail
            .strip_suffix("\r\n\r\n")
            .and_then(|tail| tail.split_once("\r\n"))
            .ok_or_else(bad_trailer)?;
        // AWS's own example ends the line once more before its CRLF, and some clients follow it.
        let line = line.strip_suffix('\n').unwrap_or(line);
        let value = line
            .strip_prefix(&*algorithm.header_name())
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or_else(bad_trailer)?;
        let signature = signature
            .strip_prefix(TRAILER_SIGNATURE)
            .and_then(Signature::parse)
            .ok_or_else(bad_trailer)?;
        self.chain.check_trailer(line, &signature)?;
        let computed = checksum.finish();
        if value != computed {
            return Err(Refusal::ChecksumMismatch(algorithm.name().to_owned()));
        }
        Ok(Some(Trailer {
            algorithm,
            value: computed,
        }))
    }

    fn step(&mut self, wire: &mut Bytes) -> Result<Bytes, Refusal> {
        match &mut self.state {
            State::Line => self.line(wire).map(|()| Bytes::new()),
            State::Data { left, .. } => {
                let (data, _) = split_at_most(wire, *left);
                let data = wire.split_to(data.len());
                *left -= data.len() as u64;
                let whole = *left == 0;
                self.digest.update(&data);
                if let Some(checksum) = &mut self.checksum {
                    checksum.update(&data);
                }
                if whole {
                    self.end_chunk()?;
                }
                Ok(data)
            }
            State::DataEnd { left } => {
                let (byte, rest) = (wire.get_u8(), *left);
                self.state = match rest.split_first() {
                    Some((wanted, [])) if *wanted == byte => State::Line,
                    Some((wanted, left)) if *wanted == byte => State::DataEnd { left },
                    Some(_) | None => return Err(malformed("a chunk is not framed by CRLF")),
                };
                Ok(Bytes::new())
            }
            State::Tail => {
                self.gather(wire.len(), wire, MAX_TAIL)?;
                Ok(Bytes::new())
            }
            State::Failed => Err(malformed("it was refused before")),
        }
    }

    /// Takes in the line before a chunk, and acts on it once it is whole.
    fn line(&mut self, wire: &mut Bytes) -> Result<(), Refusal> {
        let end = wire.iter().position(|&byte| byte == b'\n');
        self.gather(end.map_or(wire.len(), |end| end + 1), wire, MAX_LINE)?;
        if end.is_none() {
            return Ok(());
        }
        let line = self.text.split();
        let (size, signature) = std::str::from_utf8(&line)
            .ok()
            .and_then(parse_line)
            .ok_or_else(|| malformed("a chunk does not begin with its size and signature"))?;
        self.missing = self
            .missing
            .checked_sub(size)
            .ok_or_else(|| malformed("the body is longer than `x-amz-decoded-content-length`"))?;
        self.state = State::Data {
            left: size,
            signature,
        };
        if size > 0 {
            return Ok(());
        }
        if self.missing != 0 {
            return Err(malformed(
                "the body is shorter than `x-amz-decoded-content-length`",
            ));
        }
        self.end_chunk()?;
        self.state = State::Tail;
        Ok(())
    }

    /// Checks the chunk that is complete.
    fn end_chunk(&mut self) -> Result<(), Refusal> {
        let state = std::mem::replace(&mut self.state, State::DataEnd { left: b"\r\n" });
        let State::Data { signature, .. } = state else {
            return Err(Refusal::Internal);
        };
        let digest: [u8; 32] = std::mem::take(&mut self.digest).finalize().into();
        self.chain.check_chunk(&digest, &signature)
    }

    /// Moves bytes to `text`, which may become `limit` bytes long.
    fn gather(&mut self, count: usize, wire: &mut Bytes, limit: usize) -> Result<(), Refusal> {
        if self.text.len() + count > limit {
            return Err(malformed("a line is too long"));
        }
        self.text.extend_from_slice(&wire.split_to(count));
        Ok(())
    }
}

/// A checksum behind a body that was found to be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// Which checksum.
    pub algorithm: Algorithm,
    /// Its value in base64.
    pub value: String,
}

/// `size;chunk-signature=hex CRLF`, the size in its one spelling.
fn parse_line(line: &str) -> Option<(u64, Signature)> {
    let (size, signature) = line.strip_suffix("\r\n")?.split_once(SIGNATURE)?;
    let plain = (1..=MAX_SIZE_DIGITS as usize).contains(&size.len())
        && size.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (size == "0" || !size.starts_with('0'));
    let size = plain
        .then(|| u64::from_str_radix(size, 16).ok())
        .flatten()?;
    Some((size, Signature::parse(signature)?))
}

fn bad_trailer() -> Refusal {
    malformed("the trailers are not exactly the announced one and its signature")
}

#[cfg(test)]
mod tests;
