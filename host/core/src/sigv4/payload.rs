//! How a body is bound to the signature, and checking it against that.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use sha2::{Digest as _, Sha256};

use super::{Payload, PayloadMode, header, malformed};
use crate::aws_chunked;
use crate::head::Head;
use crate::refusal::Refusal;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const TRAILER: &str = "x-amz-trailer";
const AWS_CHUNKED: &str = "aws-chunked";

/// The SHA-256 of a body that is checked while it is streamed on ([`PayloadMode::Digest`]).
///
/// Hold back the last bytes until [`BodyDigest::finish`] agrees, so that a wrong body never
/// becomes a complete request.
#[derive(Debug)]
pub struct BodyDigest {
    expected: [u8; 32],
    hasher: Sha256,
}

impl BodyDigest {
    /// Starts with the empty body; `expected` is what `x-amz-content-sha256` promised.
    #[must_use]
    pub fn new(expected: [u8; 32]) -> Self {
        Self {
            expected,
            hasher: Sha256::new(),
        }
    }

    /// Takes in the next bytes.
    pub fn push(&mut self, bytes: &Bytes) {
        self.hasher.update(bytes);
    }

    /// Checks that the bytes taken in are the ones that were signed.
    ///
    /// # Errors
    /// [`Refusal::PayloadMismatch`].
    pub fn finish(self) -> Result<(), Refusal> {
        let digest: [u8; 32] = self.hasher.finalize().into();
        if digest == self.expected {
            Ok(())
        } else {
            Err(Refusal::PayloadMismatch)
        }
    }
}

/// Reads `x-amz-content-sha256` and what goes with it.
pub(super) fn mode(head: &Head, service: &str) -> Result<PayloadMode, Refusal> {
    let mode = match header(head, "x-amz-content-sha256")? {
        None if service == "s3" => Err(malformed("S3 requires `x-amz-content-sha256`")),
        None => Ok(PayloadMode::Absent),
        Some(UNSIGNED) => s3_over_tls(head, service, UNSIGNED).map(|()| PayloadMode::Unsigned),
        Some(UNSIGNED_TRAILER) => unsigned_trailer(head, service),
        Some(value) if value.starts_with("STREAMING-") => Err(unsupported_streaming(value)),
        Some(value) => lower_hex(value).map(PayloadMode::Digest).ok_or_else(|| {
            malformed("`x-amz-content-sha256` is neither 64 lower-case hex digits nor a known word")
        }),
    }?;
    if !matches!(mode, PayloadMode::UnsignedTrailer { .. }) {
        refuse_stray_framing(head)?;
    }
    Ok(mode)
}

/// The last line of the canonical request.
pub(super) fn signed_hash(
    mode: &PayloadMode,
    payload: &Payload,
) -> Result<Cow<'static, str>, Refusal> {
    match (mode, payload) {
        (PayloadMode::Absent, Payload::Whole(bytes)) => {
            Ok(Cow::Owned(hex::encode(Sha256::digest(bytes))))
        }
        // The signature covers bytes nobody has seen: there is nothing to check it against.
        (PayloadMode::Absent, Payload::Streamed) => Err(Refusal::Internal),
        (PayloadMode::Digest(digest), Payload::Streamed | Payload::Whole(_)) => {
            Ok(Cow::Owned(hex::encode(digest)))
        }
        (PayloadMode::Unsigned, Payload::Streamed | Payload::Whole(_)) => {
            Ok(Cow::Borrowed(UNSIGNED))
        }
        (PayloadMode::UnsignedTrailer { .. }, Payload::Streamed | Payload::Whole(_)) => {
            Ok(Cow::Borrowed(UNSIGNED_TRAILER))
        }
    }
}

/// Checks a body that was read whole against what the signed headers promise of it.
pub(super) fn check_whole(mode: &PayloadMode, payload: &Payload) -> Result<(), Refusal> {
    let Payload::Whole(bytes) = payload else {
        return Ok(());
    };
    match mode {
        PayloadMode::Absent | PayloadMode::Unsigned => Ok(()),
        PayloadMode::Digest(expected) => {
            let mut digest = BodyDigest::new(*expected);
            digest.push(bytes);
            digest.finish()
        }
        PayloadMode::UnsignedTrailer {
            decoded_length,
            trailer,
        } => {
            let mut decoder = aws_chunked::Decoder::new(*decoded_length, trailer.as_deref())?;
            decoder.push(bytes.clone())?;
            decoder.finish().map(drop)
        }
    }
}

/// 32 bytes as 64 lower-case hexadecimal digits: capitals would be a second spelling.
pub(super) fn lower_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Only S3 documents these modes, and only TLS then protects the body on its way here.
fn s3_over_tls(head: &Head, service: &str, what: &str) -> Result<(), Refusal> {
    if service != "s3" {
        return Err(Refusal::Unsupported(format!(
            "`{what}` is only taken for S3; sign the body's SHA-256"
        )));
    }
    if !head.tls {
        return Err(Refusal::Unsupported(format!(
            "`{what}` is only taken over https; use an https endpoint or sign the body's SHA-256"
        )));
    }
    Ok(())
}

fn unsigned_trailer(head: &Head, service: &str) -> Result<PayloadMode, Refusal> {
    s3_over_tls(head, service, UNSIGNED_TRAILER)?;
    if head.method != Method::PUT {
        return Err(Refusal::Unsupported(format!(
            "`{UNSIGNED_TRAILER}` is only taken for uploads with PUT"
        )));
    }
    if content_encoding(head)?.is_some_and(|value| !names_aws_chunked(value)) {
        return Err(malformed(
            "an aws-chunked body whose `content-encoding` does not say so",
        ));
    }
    let decoded_length = header(head, DECODED_LENGTH)?
        .and_then(plain_number)
        .ok_or_else(|| malformed("`x-amz-decoded-content-length` is missing or not a number"))?;
    let trailer = header(head, TRAILER)?.map(str::to_owned);
    trailer.as_deref().map(aws_chunked::announced).transpose()?;
    Ok(PayloadMode::UnsignedTrailer {
        decoded_length,
        trailer,
    })
}

/// Headers that say "this body is framed" on one that is not would be read differently upstream.
fn refuse_stray_framing(head: &Head) -> Result<(), Refusal> {
    let framed = content_encoding(head)?.is_some_and(names_aws_chunked)
        || head.headers.contains_key(DECODED_LENGTH)
        || head.headers.contains_key(TRAILER);
    if framed {
        return Err(Refusal::Ambiguous(format!(
            "it announces an aws-chunked body but `x-amz-content-sha256` is not `{UNSIGNED_TRAILER}`"
        )));
    }
    Ok(())
}

fn content_encoding(head: &Head) -> Result<Option<&str>, Refusal> {
    header(head, "content-encoding")
}

fn names_aws_chunked(value: &str) -> bool {
    value
        .split(',')
        .any(|coding| coding.trim().eq_ignore_ascii_case(AWS_CHUNKED))
}

/// Digits only and no leading zero, so that the number has one spelling.
fn plain_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn unsupported_streaming(value: &str) -> Refusal {
    let advice = if value.contains("EVENTS") {
        "signed event streams are not taken; use an operation without a request stream"
    } else if value.contains("ECDSA") {
        "Signature Version 4A is not taken; call a single region"
    } else if value.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") {
        "uploads with signed chunks are not taken; connect over https, where the SDKs send an \
         unsigned payload with a checksum, or turn chunked signing off in the client"
    } else {
        "this form of `x-amz-content-sha256` is not known; send the body's SHA-256"
    };
    Refusal::Unsupported(advice.to_owned())
}
