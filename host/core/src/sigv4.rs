//! AWS Signature Version 4, the verifying side: the one place where a request's proof of
//! possession is checked.
//!
//! [`SignedRequest::parse`] reads syntax only; [`SignedRequest::verify`] is the only way to a
//! [`VerifiedRequest`].

use bytes::Bytes;
use time::OffsetDateTime;

use crate::head::Head;
use crate::refusal::Refusal;

/// A request with exactly one well-formed SigV4 signature that nobody has checked yet.
#[derive(Debug)]
pub struct SignedRequest {
    head: Head,
    scope: Scope,
    access_key_id: String,
    session_token: Option<String>,
    payload_mode: PayloadMode,
}

/// SigV4's credential scope: `<date>/<region>/<service>/aws4_request`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// `YYYYMMDD`.
    pub date: String,
    /// e.g. `us-east-1`.
    pub region: String,
    /// The signing name, e.g. `dynamodb`.
    pub service: String,
}

/// How the client bound its body to the signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PayloadMode {
    /// No `x-amz-content-sha256`: the signature covers the digest of the whole body.
    Absent,
    /// A hex digest in `x-amz-content-sha256`.
    Digest([u8; 32]),
    /// `UNSIGNED-PAYLOAD`, S3 over TLS only.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: aws-chunked frames with a checksum trailer.
    UnsignedTrailer {
        /// `x-amz-decoded-content-length`.
        decoded_length: u64,
        /// The announced trailer.
        trailer: Option<String>,
    },
}

/// A body, as far as `admit` has taken it in.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Still on the wire, to be streamed and checked while it is sent.
    Streamed,
    /// Read whole.
    Whole(Bytes),
}

/// The secret a session signs with.
#[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SigningSecret(String);

/// A request whose signature was checked.
#[derive(Debug)]
pub struct VerifiedRequest {
    head: Head,
    scope: Scope,
    payload: Payload,
    payload_mode: PayloadMode,
}
