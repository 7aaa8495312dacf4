//! Messages of `application/vnd.amazon.eventstream`, checked one by one while a stream passes:
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>. [`Frames`] holds no more than the message
//! that is not complete yet and hands on the very bytes that came; [`events`] reads messages by the
//! model, and [`upload`] takes an agent's signed stream apart and signs it anew.

use bytes::{Buf, Bytes, BytesMut};
use crc_fast::CrcAlgorithm;

pub mod events;
pub mod upload;
pub mod write;

/// Both lengths and their checksum.
const PRELUDE: usize = 12;

/// The checksum at the end.
const CHECKSUM: usize = 4;

/// AWS's own limits: messages of 24 MiB, headers of 128 KiB.
/// <https://github.com/awslabs/aws-c-event-stream>
const MAX_MESSAGE: usize = 24 << 20;
const MAX_HEADERS: usize = 128 << 10;

/// Far above what any event has.
const MAX_COUNT: usize = 256;

/// A stream of messages, fed with bytes as they come.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

/// One message whose checksums hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// All its bytes as they came.
    pub raw: Bytes,
    /// In their order, names unique.
    pub headers: Vec<(String, HeaderValue)>,
    /// What the headers are about.
    pub payload: Bytes,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// A truth value.
    Boolean(bool),
    /// At most 65,535 bytes.
    Bytes(Bytes),
    /// Any of the four widths.
    Integer(i64),
    /// UTF-8, at most 65,535 bytes.
    String(String),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// A UUID.
    Uuid([u8; 16]),
}

/// Why a stream cannot go on. What came before is whole; nothing behind it can be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Corrupt {
    /// A checksum does not hold.
    #[error("a checksum of the event stream does not match")]
    Checksum,
    /// The stream ends inside a message.
    #[error("the event stream ends inside a message")]
    Cut,
    /// A header is there twice.
    #[error("a message of the event stream has a header twice")]
    Duplicate,
    /// Headers that are not headers.
    #[error("the headers of a message of the event stream cannot be read")]
    Headers,
    /// A length that contradicts itself or is over AWS's own limits.
    #[error("a message of the event stream has an impossible length")]
    Length,
}

impl Frames {
    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more bytes come. A prelude is judged as soon as it is
    /// there, so that a wrong length is never waited for.
    ///
    /// # Errors
    /// [`Corrupt`]; the stream must end there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Corrupt> {
        let Some(prelude) = self.buffer.first_chunk::<PRELUDE>() else {
            return Ok(None);
        };
        let (length, headers) = lengths(prelude)?;
        if self.buffer.len() < length {
            return Ok(None);
        }
        read(self.buffer.split_to(length).freeze(), headers).map(Some)
    }

    /// How many bytes more tell what is next: the length of a message, or the message. Never none.
    ///
    /// # Errors
    /// [`Corrupt`], as [`Self::next_frame`].
    fn missing(&self) -> Result<usize, Corrupt> {
        let held = self.buffer.len();
        let wanted = match self.buffer.first_chunk::<PRELUDE>() {
            Some(prelude) => lengths(prelude)?.0,
            None => PRELUDE,
        };
        Ok(wanted.saturating_sub(held).max(1))
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// [`Corrupt::Cut`].
    pub fn finish(&self) -> Result<(), Corrupt> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Corrupt::Cut)
    }
}

impl Frame {
    /// Reads bytes that are one message and nothing else.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn parse(bytes: Bytes) -> Result<Self, Corrupt> {
        let prelude = bytes.first_chunk::<PRELUDE>().ok_or(Corrupt::Cut)?;
        let (length, headers) = lengths(prelude)?;
        if bytes.len() != length {
            return Err(Corrupt::Length);
        }
        read(bytes, headers)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value)
    }

    /// The value of a header that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.header(name)? {
            HeaderValue::String(text) => Some(text),
            HeaderValue::Boolean(_)
            | HeaderValue::Bytes(_)
            | HeaderValue::Integer(_)
            | HeaderValue::Timestamp(_)
            | HeaderValue::Uuid(_) => None,
        }
    }
}

/// A client's signed message: it wraps another one, or nothing at the end of the stream.
/// <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html>
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Milliseconds since the epoch.
    pub date: i64,
    /// The signature, which covers the one before it.
    pub signature: Bytes,
    /// What is signed; `None` ends the stream.
    pub message: Option<Frame>,
}

impl Envelope {
    /// Opens a signed message. The signature is not verified here.
    ///
    /// # Errors
    /// [`Corrupt::Headers`] unless it has a `:date`, a `:chunk-signature` and no other header, or
    /// what is wrong with the message inside.
    pub fn open(frame: &Frame) -> Result<Self, Corrupt> {
        let (Some(HeaderValue::Timestamp(date)), Some(HeaderValue::Bytes(signature)), 2) = (
            frame.header(":date"),
            frame.header(":chunk-signature"),
            frame.headers.len(),
        ) else {
            return Err(Corrupt::Headers);
        };
        let inside = (!frame.payload.is_empty()).then(|| Frame::parse(frame.payload.clone()));
        Ok(Self {
            date: *date,
            signature: signature.clone(),
            message: inside.transpose()?,
        })
    }
}

/// The length of a message and of its headers.
fn lengths(prelude: &[u8; PRELUDE]) -> Result<(usize, usize), Corrupt> {
    let (mut lengths, mut checksum) = prelude.split_at(PRELUDE - CHECKSUM);
    if crc32(lengths) != checksum.get_u32() {
        return Err(Corrupt::Checksum);
    }
    let mut length = || usize::try_from(lengths.get_u32()).map_err(|_| Corrupt::Length);
    let (total, headers) = (length()?, length()?);
    let least = headers.saturating_add(PRELUDE + CHECKSUM);
    if headers > MAX_HEADERS || total > MAX_MESSAGE || total < least {
        return Err(Corrupt::Length);
    }
    Ok((total, headers))
}

/// Reads a message that is as long as its prelude says.
fn read(raw: Bytes, headers: usize) -> Result<Frame, Corrupt> {
    let end = raw.len().checked_sub(CHECKSUM).ok_or(Corrupt::Length)?;
    let mut checksum = raw.get(end..).unwrap_or_default();
    if crc32(raw.get(..end).unwrap_or_default()) != checksum.get_u32() {
        return Err(Corrupt::Checksum);
    }
    Ok(Frame {
        headers: read_headers(raw.slice(PRELUDE..PRELUDE + headers))?,
        payload: raw.slice(PRELUDE + headers..end),
        raw,
    })
}

fn read_headers(mut block: Bytes) -> Result<Vec<(String, HeaderValue)>, Corrupt> {
    let mut headers: Vec<(String, HeaderValue)> = Vec::new();
    while !block.is_empty() {
        let length = block.get_u8().into();
        let name = text(take(&mut block, length)?)?;
        if name.is_empty() || headers.len() == MAX_COUNT {
            return Err(Corrupt::Headers);
        }
        if headers.iter().any(|(other, _)| *other == name) {
            return Err(Corrupt::Duplicate);
        }
        headers.push((name, value(&mut block)?));
    }
    Ok(headers)
}

fn value(block: &mut Bytes) -> Result<HeaderValue, Corrupt> {
    let kind = take(block, 1)?.get_u8();
    Ok(match kind {
        0 => HeaderValue::Boolean(true),
        1 => HeaderValue::Boolean(false),
        2 => HeaderValue::Integer(take(block, 1)?.get_i8().into()),
        3 => HeaderValue::Integer(take(block, 2)?.get_i16().into()),
        4 => HeaderValue::Integer(take(block, 4)?.get_i32().into()),
        5 => HeaderValue::Integer(take(block, 8)?.get_i64()),
        6 => HeaderValue::Bytes(sized(block)?),
        7 => HeaderValue::String(text(sized(block)?)?),
        8 => HeaderValue::Timestamp(take(block, 8)?.get_i64()),
        9 => {
            let bytes = take(block, 16)?;
            let bytes = bytes.first_chunk().ok_or(Corrupt::Headers)?;
            HeaderValue::Uuid(*bytes)
        }
        _ => return Err(Corrupt::Headers),
    })
}

fn sized(block: &mut Bytes) -> Result<Bytes, Corrupt> {
    let length = take(block, 2)?.get_u16();
    take(block, length.into())
}

fn take(block: &mut Bytes, length: usize) -> Result<Bytes, Corrupt> {
    if block.len() < length {
        return Err(Corrupt::Headers);
    }
    Ok(block.split_to(length))
}

fn text(bytes: Bytes) -> Result<String, Corrupt> {
    String::from_utf8(bytes.into()).map_err(|_| Corrupt::Headers)
}

fn crc32(bytes: &[u8]) -> u32 {
    let checksum = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes);
    u32::try_from(checksum).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
