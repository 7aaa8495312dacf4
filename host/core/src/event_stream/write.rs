//! Messages that the gateway writes itself: the envelope around an agent's event, and the error
//! that ends an answer.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{CHECKSUM, Corrupt, PRELUDE, crc32};
use crate::sigv4::EventSignature;

/// The longest text in a header.
const MAX_TEXT: usize = 1024;

/// A signed message around another one; around nothing it ends the stream.
///
/// # Errors
/// [`Corrupt::Length`] for what does not fit in a message.
pub(super) fn envelope(signed: &EventSignature, message: &[u8]) -> Result<Bytes, Corrupt> {
    let mut headers = BytesMut::new();
    name(&mut headers, ":chunk-signature", 6)?;
    sized(&mut headers, &signed.signature)?;
    name(&mut headers, ":date", 8)?;
    headers.put_i64(signed.date);
    sealed(&headers, message)
}

/// An error that the model does not have, which ends a stream of events. The text is cut where it
/// is too long for a header.
///
/// # Errors
/// [`Corrupt::Length`] for what does not fit in a message.
pub fn error(code: &str, message: &str) -> Result<Bytes, Corrupt> {
    let mut headers = BytesMut::new();
    let end = message.floor_char_boundary(MAX_TEXT);
    let texts = [
        (":message-type", "error"),
        (":error-code", code),
        (":error-message", message.get(..end).unwrap_or_default()),
    ];
    for (header, text) in texts {
        name(&mut headers, header, 7)?;
        sized(&mut headers, text.as_bytes())?;
    }
    sealed(&headers, b"")
}

fn name(headers: &mut BytesMut, name: &str, kind: u8) -> Result<(), Corrupt> {
    headers.put_u8(u8::try_from(name.len()).map_err(|_| Corrupt::Length)?);
    headers.put_slice(name.as_bytes());
    headers.put_u8(kind);
    Ok(())
}

fn sized(headers: &mut BytesMut, bytes: &[u8]) -> Result<(), Corrupt> {
    headers.put_u16(u16::try_from(bytes.len()).map_err(|_| Corrupt::Length)?);
    headers.put_slice(bytes);
    Ok(())
}

/// Puts lengths and checksums around headers and payload.
fn sealed(headers: &[u8], payload: &[u8]) -> Result<Bytes, Corrupt> {
    let total = PRELUDE + headers.len() + payload.len() + CHECKSUM;
    let length = |length: usize| u32::try_from(length).map_err(|_| Corrupt::Length);
    let mut message = BytesMut::with_capacity(total);
    message.put_u32(length(total)?);
    message.put_u32(length(headers.len())?);
    message.put_u32(crc32(&message));
    message.put_slice(headers);
    message.put_slice(payload);
    message.put_u32(crc32(&message));
    Ok(message.freeze())
}
