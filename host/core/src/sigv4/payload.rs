//! How a body is bound to the signature, and checking it against that.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use sha2::{Digest as _, Sha256};

use super::{ChunkChain, EventChain, Payload, PayloadMode, Scope, header, malformed};
use crate::aws_chunked::{self, SignedDecoder};
use crate::event_stream::upload::EventReader;
use crate::head::Head;
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::s3_name;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_CHUNKS_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const SIGNED_EVENTS: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const TRAILER: &str = "x-amz-trailer";
const AWS_CHUNKED: &str = "aws-chunked";

/// What the bytes of a body have to hold to, once the head is believed.
///
/// Whoever passes the body on holds its end back until the check agrees.
#[derive(Debug)]
pub enum BodyCheck {
    /// The signed digest.
    Digest(BodyDigest),
    /// Nothing: either nothing is signed of it, or all of it was signed with the head.
    Nothing,
    /// The signature of each chunk, the length and the checksum.
    SignedChunks(Box<SignedDecoder>),
    /// The signature of each event, and the model.
    SignedEvents(Box<EventReader>),
    /// The length and the checksum.
    Trailer(Box<aws_chunked::Decoder>),
}

/// The same, as long as nobody knows which operation the events are for.
#[derive(Debug)]
pub(super) enum Promise {
    Body(BodyCheck),
    Events(Box<EventChain>),
}

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

/// Reads the `x-amz-content-sha256` of a presigned URL, which S3 takes without one.
pub(super) fn mode_of_url(head: &Head, scope: &Scope) -> Result<PayloadMode, Refusal> {
    let service = scope.service.as_str();
    if s3_name::is_signing_name(service) && header(head, "x-amz-content-sha256")?.is_none() {
        s3_over_tls(head, service, "a presigned URL")?;
        refuse_stray_framing(head)?;
        return Ok(PayloadMode::Unsigned);
    }
    let mode = mode(head, scope)?;
    if mode.is_framed() || mode == PayloadMode::SignedEvents {
        return Err(Refusal::Unsupported(
            "signed streams and aws-chunked bodies are not taken with presigned URLs; send the \
             body as it is"
                .to_owned(),
        ));
    }
    Ok(mode)
}

/// Reads `x-amz-content-sha256` and what goes with it.
pub(super) fn mode(head: &Head, scope: &Scope) -> Result<PayloadMode, Refusal> {
    let service = scope.service.as_str();
    let mode = match header(head, "x-amz-content-sha256")? {
        None if s3_name::is_signing_name(service) => {
            Err(malformed("S3 requires `x-amz-content-sha256`"))
        }
        None => Ok(PayloadMode::Absent),
        Some(UNSIGNED) => s3_over_tls(head, service, UNSIGNED).map(|()| PayloadMode::Unsigned),
        Some(UNSIGNED_TRAILER) => unsigned_trailer(head, service),
        Some(word @ (SIGNED_CHUNKS | SIGNED_CHUNKS_TRAILER)) => match scope.reach {
            Reach::Region(_) => signed_chunks(head, service, word),
            Reach::Set(_) => Err(Refusal::Ambiguous(format!(
                "its head is signed with Signature Version 4A, and `{word}` says that its chunks \
                 are not"
            ))),
        },
        Some(SIGNED_EVENTS) => match scope.reach {
            Reach::Region(_) => Ok(PayloadMode::SignedEvents),
            Reach::Set(_) => Err(Refusal::Ambiguous(format!(
                "its head is signed with Signature Version 4A, and `{SIGNED_EVENTS}` says that its \
                 events are not"
            ))),
        },
        Some(value) if value.starts_with("STREAMING-") => Err(unsupported_streaming(value)),
        Some(value) => lower_hex(value).map(PayloadMode::Digest).ok_or_else(|| {
            malformed("`x-amz-content-sha256` is neither 64 lower-case hex digits nor a known word")
        }),
    }?;
    match &mode {
        PayloadMode::SignedChunks { .. } | PayloadMode::UnsignedTrailer { .. } => {}
        PayloadMode::Absent
        | PayloadMode::Digest(_)
        | PayloadMode::SignedEvents
        | PayloadMode::Unsigned => {
            refuse_stray_framing(head)?;
        }
    }
    Ok(mode)
}

impl PayloadMode {
    /// The word that says so in `x-amz-content-sha256`, of a mode that has one.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Digest(_) => None,
            Self::SignedChunks { trailer: None, .. } => Some(SIGNED_CHUNKS),
            Self::SignedChunks {
                trailer: Some(_), ..
            } => Some(SIGNED_CHUNKS_TRAILER),
            Self::SignedEvents => Some(SIGNED_EVENTS),
            Self::Unsigned => Some(UNSIGNED),
            Self::UnsignedTrailer { .. } => Some(UNSIGNED_TRAILER),
        }
    }

    /// Whether the body is in aws-chunked frames, which are not what the call is about.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        match self {
            Self::SignedChunks { .. } | Self::UnsignedTrailer { .. } => true,
            Self::Absent | Self::Digest(_) | Self::SignedEvents | Self::Unsigned => false,
        }
    }
}

/// The last line of the canonical request.
pub(super) fn signed_hash(
    mode: &PayloadMode,
    payload: &Payload,
) -> Result<Cow<'static, str>, Refusal> {
    match (mode, mode.word(), payload) {
        (_, Some(word), _) => Ok(Cow::Borrowed(word)),
        (PayloadMode::Digest(digest), None, Payload::Streamed | Payload::Whole(_)) => {
            Ok(Cow::Owned(hex::encode(digest)))
        }
        (_, None, Payload::Whole(bytes)) => Ok(Cow::Owned(hex::encode(Sha256::digest(bytes)))),
        // The signature covers bytes nobody has seen: there is nothing to check it against.
        (_, None, Payload::Events | Payload::Streamed) => Err(Refusal::Internal),
    }
}

impl BodyCheck {
    /// What `mode` promises; the `chain` starts with the signature of the head.
    pub(super) fn of(
        mode: &PayloadMode,
        chain: impl FnOnce() -> Result<ChunkChain, Refusal>,
    ) -> Result<Self, Refusal> {
        Ok(match mode {
            PayloadMode::Absent | PayloadMode::Unsigned => Self::Nothing,
            PayloadMode::Digest(expected) => Self::Digest(BodyDigest::new(*expected)),
            PayloadMode::SignedChunks {
                decoded_length,
                trailer,
            } => {
                let decoder = SignedDecoder::new(chain()?, *decoded_length, *trailer);
                Self::SignedChunks(Box::new(decoder))
            }
            PayloadMode::SignedEvents => return Err(Refusal::Internal),
            PayloadMode::UnsignedTrailer {
                decoded_length,
                trailer,
            } => {
                let decoder = aws_chunked::Decoder::new(*decoded_length, trailer.as_deref())?;
                Self::Trailer(Box::new(decoder))
            }
        })
    }

    /// Checks a body that was read whole.
    pub(super) fn check_whole(self, bytes: &Bytes) -> Result<(), Refusal> {
        match self {
            Self::Nothing => Ok(()),
            Self::Digest(mut digest) => {
                digest.push(bytes);
                digest.finish()
            }
            Self::SignedChunks(mut decoder) => {
                let mut wire = bytes.clone();
                while !decoder.pull(&mut wire)?.is_empty() {}
                decoder.finish().map(drop)
            }
            // Events are looked at one by one, each when it arrives.
            Self::SignedEvents(_) => Err(Refusal::Internal),
            Self::Trailer(mut decoder) => {
                decoder.push(bytes.clone())?;
                decoder.finish().map(drop)
            }
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
    if !s3_name::is_signing_name(service) {
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
    let decoded_length = decoded_length(head, UNSIGNED_TRAILER)?;
    let trailer = header(head, TRAILER)?.map(str::to_owned);
    trailer.as_deref().map(aws_chunked::announced).transpose()?;
    Ok(PayloadMode::UnsignedTrailer {
        decoded_length,
        trailer,
    })
}

fn signed_chunks(head: &Head, service: &str, word: &str) -> Result<PayloadMode, Refusal> {
    if !s3_name::is_signing_name(service) {
        return Err(Refusal::Unsupported(format!(
            "`{word}` is only taken for S3; sign the body's SHA-256"
        )));
    }
    let decoded_length = decoded_length(head, word)?;
    let trailer = header(head, TRAILER)?
        .map(aws_chunked::announced)
        .transpose()?;
    if trailer.is_some() != (word == SIGNED_CHUNKS_TRAILER) {
        return Err(malformed(
            "`x-amz-trailer` and `x-amz-content-sha256` disagree about a trailer",
        ));
    }
    Ok(PayloadMode::SignedChunks {
        decoded_length,
        trailer,
    })
}

/// What every aws-chunked body has to say of itself.
fn decoded_length(head: &Head, word: &str) -> Result<u64, Refusal> {
    if head.method != Method::PUT {
        return Err(Refusal::Unsupported(format!(
            "`{word}` is only taken for uploads with PUT"
        )));
    }
    if content_encoding(head)?.is_some_and(|value| !names_aws_chunked(value)) {
        return Err(malformed(
            "an aws-chunked body whose `content-encoding` does not say so",
        ));
    }
    header(head, DECODED_LENGTH)?
        .and_then(plain_number)
        .ok_or_else(|| malformed("`x-amz-decoded-content-length` is missing or not a number"))
}

/// Headers that say "this body is framed" on one that is not would be read differently upstream.
fn refuse_stray_framing(head: &Head) -> Result<(), Refusal> {
    let framed = content_encoding(head)?.is_some_and(names_aws_chunked)
        || head.headers.contains_key(DECODED_LENGTH)
        || head.headers.contains_key(TRAILER);
    if framed {
        return Err(Refusal::Ambiguous(format!(
            "it announces an aws-chunked body but `x-amz-content-sha256` is none of \
             `{UNSIGNED_TRAILER}`, `{SIGNED_CHUNKS}` and `{SIGNED_CHUNKS_TRAILER}`"
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
pub(super) fn plain_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn unsupported_streaming(value: &str) -> Refusal {
    let advice = if value.contains("ECDSA") {
        "chunks signed with Signature Version 4A are not taken; send the body over https with \
         `STREAMING-UNSIGNED-PAYLOAD-TRAILER` or `UNSIGNED-PAYLOAD` (what AWS's SDKs do by \
         themselves), or with its SHA-256"
    } else {
        "this form of `x-amz-content-sha256` is not known; send the body's SHA-256"
    };
    Refusal::Unsupported(advice.to_owned())
}
