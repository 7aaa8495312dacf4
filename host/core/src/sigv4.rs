//! AWS Signature Version 4 and its asymmetric form 4A, the verifying side: the one place where a
//! request's proof of possession is checked.
//!
//! [`SignedRequest::parse`] reads syntax only; [`SignedRequest::verify`] is the only way to a
//! [`VerifiedRequest`]. The signature is in the `Authorization` header or, of a presigned URL, in
//! the query. There is one canonical form of every request: what does not fit it is refused, never
//! tried a second way.

use std::fmt;

use bytes::Bytes;
use http::HeaderName;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::checksum::Algorithm;
use crate::directory_bucket;
use crate::event_stream::upload::{EventReader, Inputs};
use crate::head::{Head, HeaderError};
use crate::reach::Reach;
use crate::refusal::Refusal;

mod asymmetric;
mod authorization;
mod canonical;
mod chunks;
mod events;
mod key;
pub mod payload;
mod presigned;
mod signing_time;

pub use chunks::ChunkChain;
pub use events::{EventChain, EventSignature};
pub use key::SigningSecret;

pub(crate) use canonical::COMPONENT;
pub(crate) use key::Signature;

use authorization::{Authorization, Form, Proof, TERMINATOR};
use canonical::PathStyle;
use payload::{BodyCheck, Promise};
use presigned::Presigned;
use signing_time::SigningTime;

/// The longest session token taken, in bytes.
const MAX_SESSION_TOKEN: usize = 8 * 1024;
/// Headers of which only one may be sent, because they decide how the rest is read.
const SINGLE: [&str; 10] = [
    "authorization",
    "content-encoding",
    "content-type",
    "date",
    "host",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-region-set",
    directory_bucket::SESSION_TOKEN,
    "x-amz-security-token",
];
/// Headers that some client leaves out of its signature although they mean something to AWS (JS v3
/// `Cache-Control`, s3fs `Range`), and those that concern HTTP itself. Every other header counts
/// only when it is signed.
const TAKEN_UNSIGNED: [&str; 23] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "smithy-protocol",
    "transfer-encoding",
    "user-agent",
];
/// Headers whose value must never appear in a log.
const SENSITIVE: [&str; 3] = [
    "authorization",
    directory_bucket::SESSION_TOKEN,
    "x-amz-security-token",
];

/// A request with exactly one well-formed SigV4 signature that nobody has checked yet.
pub struct SignedRequest {
    head: Head,
    scope: Scope,
    access_key_id: String,
    session_token: Option<String>,
    payload_mode: PayloadMode,
    signing_time: SigningTime,
    /// `SignedHeaders` as sent: lower-case, sorted, joined by `;`.
    signed_headers: String,
    /// Headers that were signed as parameters of a presigned URL.
    hoisted: Vec<HeaderName>,
    signature: Proof,
    canonical_path: String,
    canonical_query: String,
}

/// SigV4's credential scope, `<date>/<region>/<service>/aws4_request`, or SigV4a's, which has no
/// region but a signed set of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// `YYYYMMDD`.
    pub date: String,
    /// The region, or the set of them.
    pub reach: Reach,
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
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD` and, with a trailer, `…-TRAILER`: aws-chunked frames,
    /// each with a signature of its own. S3 only.
    SignedChunks {
        /// `x-amz-decoded-content-length`.
        decoded_length: u64,
        /// The announced trailer.
        trailer: Option<Algorithm>,
    },
    /// `STREAMING-AWS4-HMAC-SHA256-EVENTS`: a stream of events, each with a signature of its own.
    SignedEvents,
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
    /// Signed events, still on the wire, to be checked one by one while they are sent.
    Events,
    /// Still on the wire, to be streamed and checked while it is sent.
    Streamed,
    /// Read whole.
    Whole(Bytes),
}

/// A request whose signature was checked.
pub struct VerifiedRequest {
    head: Head,
    scope: Scope,
    payload: Payload,
    payload_mode: PayloadMode,
    access_key_id: String,
    session_token: Option<String>,
    /// What a body that is still on the wire has to hold to.
    promise: Option<Promise>,
}

/// A request whose signature was checked, taken apart.
#[derive(Debug)]
pub struct VerifiedParts {
    /// The head.
    pub head: Head,
    /// The body.
    pub payload: Payload,
    /// How the body is bound to the signature.
    pub payload_mode: PayloadMode,
    /// What the bytes to come have to hold to, unless the payload is [`Payload::Whole`].
    pub check: Option<BodyCheck>,
}

impl SignedRequest {
    /// Reads the signature of a request and everything it covers, without believing any of it.
    ///
    /// For services other than S3 the head's path becomes the normalised one (RFC 3986 §5.2.4),
    /// because that is the path the signature covers; S3 signs its path as sent.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`], [`Refusal::Unsupported`] for other ways of signing,
    /// [`Refusal::UnsignedHeader`], [`Refusal::Ambiguous`] or [`Refusal::Malformed`].
    pub fn parse(mut head: Head) -> Result<Self, Refusal> {
        for name in SENSITIVE {
            conceal(&mut head, name);
        }
        let claims = match Form::of(&head)? {
            Form::Header(authorization) => Claims::in_header(&head, authorization)?,
            Form::Query => Claims::in_query(&mut head)?,
        };
        for name in SINGLE {
            header(&head, name)?;
        }
        let authorization = claims.authorization;
        claims.signing_time.check_day(&authorization.scope)?;
        let style = PathStyle::of(&authorization.scope.service);
        if let Some(normalised) = canonical::normalised(&head.path, style) {
            head.path = normalised;
        }
        let canonical_path = canonical::path(&head.path, style)?;
        Ok(Self {
            session_token: claims.session_token,
            head,
            scope: authorization.scope,
            access_key_id: authorization.access_key_id,
            payload_mode: claims.payload_mode,
            signing_time: claims.signing_time,
            signed_headers: authorization.signed_headers,
            hoisted: claims.hoisted,
            signature: authorization.signature,
            canonical_path,
            canonical_query: claims.canonical_query,
        })
    }

    /// The head, unbelieved.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The credential scope, unbelieved.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The access key the request claims.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token, which is always signed.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// How the body is bound to the signature.
    #[must_use]
    pub fn payload_mode(&self) -> &PayloadMode {
        &self.payload_mode
    }

    /// Checks the signature made with `secret`, its age at `now`, and a body that was read whole.
    ///
    /// A streamed body is checked by the shell while it is sent, with the [`BodyCheck`] among the
    /// [`VerifiedParts`].
    ///
    /// # Errors
    /// [`Refusal::ClockSkew`], [`Refusal::SignatureMismatch`], [`Refusal::PayloadMismatch`],
    /// [`Refusal::ChecksumMismatch`], or [`Refusal::Internal`] when the body of a request that
    /// signs its whole digest was not read whole.
    pub fn verify(
        self,
        secret: &SigningSecret,
        payload: Payload,
        now: OffsetDateTime,
    ) -> Result<VerifiedRequest, Refusal> {
        self.signing_time.check_age(&self.scope.service, now)?;
        let payload_hash = payload::signed_hash(&self.payload_mode, &payload)?;
        self.check(secret, &payload_hash)?;
        let promise = self.promise(secret)?;
        let promise = match (&payload, promise) {
            (Payload::Whole(bytes), Promise::Body(check)) => {
                check.check_whole(bytes).map(|()| None)?
            }
            (Payload::Streamed, promise @ Promise::Body(_))
            | (Payload::Events, promise @ Promise::Events(_)) => Some(promise),
            // Events are never taken in as anything else.
            (Payload::Events, Promise::Body(_))
            | (Payload::Streamed | Payload::Whole(_), Promise::Events(_)) => {
                return Err(Refusal::Internal);
            }
        };
        let mut head = self.head;
        drop_unsigned(&mut head, &self.signed_headers, &self.hoisted);
        Ok(VerifiedRequest {
            head,
            scope: self.scope,
            payload,
            payload_mode: self.payload_mode,
            access_key_id: self.access_key_id,
            session_token: self.session_token,
            promise,
        })
    }

    /// What the body has to hold to, the signature being right.
    fn promise(&self, secret: &SigningSecret) -> Result<Promise, Refusal> {
        let scope = &self.scope;
        if self.payload_mode == PayloadMode::SignedEvents {
            let signed_at = self.signing_time.instant();
            let chain = EventChain::after(secret, scope, signed_at, self.seed()?)?;
            return Ok(Promise::Events(Box::new(chain)));
        }
        let time = self.signing_time.text();
        let chain = || ChunkChain::after(secret, scope, time, self.seed()?);
        BodyCheck::of(&self.payload_mode, chain).map(Promise::Body)
    }

    /// What a chain of signatures begins with.
    fn seed(&self) -> Result<&Signature, Refusal> {
        match &self.signature {
            Proof::Hmac(seed) => Ok(seed),
            Proof::Ecdsa(_) => Err(Refusal::Internal),
        }
    }

    fn check(&self, secret: &SigningSecret, payload_hash: &str) -> Result<(), Refusal> {
        let algorithm = self.signature.algorithm();
        let (time, scope) = (self.signing_time.text(), &self.scope);
        let digest = hex::encode(Sha256::digest(self.canonical_request(payload_hash)));
        let string_to_sign = format!("{algorithm}\n{time}\n{scope}\n{digest}");
        match &self.signature {
            Proof::Ecdsa(signature) => {
                signature.check(secret, &self.access_key_id, &string_to_sign)
            }
            Proof::Hmac(signature) => secret.check(signature, scope, &string_to_sign),
        }
    }

    fn canonical_request(&self, payload_hash: &str) -> Vec<u8> {
        canonical::Request {
            head: &self.head,
            path: &self.canonical_path,
            query: &self.canonical_query,
            signed_headers: &self.signed_headers,
            payload_hash,
        }
        .to_bytes()
    }
}

impl VerifiedRequest {
    /// The head: what was signed, and the few headers that clients leave out of their signatures.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The credential scope that was proved.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The body: checked if it is whole, promised by [`Self::payload_mode`] if it is streamed.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How the body is bound to the signature.
    #[must_use]
    pub fn payload_mode(&self) -> &PayloadMode {
        &self.payload_mode
    }

    /// Whether another request claims the same session.
    #[must_use]
    pub fn is_by(&self, other: &SignedRequest) -> bool {
        self.access_key_id == other.access_key_id && self.session_token == other.session_token
    }

    /// Takes the request apart, to send it on; `inputs` are the events that its operation takes.
    ///
    /// # Errors
    /// [`Refusal::Internal`] for events to an operation that takes none.
    pub fn into_parts(self, inputs: Option<Inputs>) -> Result<VerifiedParts, Refusal> {
        let check = match self.promise {
            Some(Promise::Body(check)) => Some(check),
            Some(Promise::Events(chain)) => {
                let reader = EventReader::new(*chain, inputs.ok_or(Refusal::Internal)?);
                Some(BodyCheck::SignedEvents(Box::new(reader)))
            }
            None => None,
        };
        Ok(VerifiedParts {
            head: self.head,
            payload: self.payload,
            payload_mode: self.payload_mode,
            check,
        })
    }
}

/// What a string to sign has of it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            date,
            reach,
            service,
        } = self;
        match reach {
            Reach::Region(region) => write!(f, "{date}/{region}/{service}/{TERMINATOR}"),
            Reach::Set(_) => write!(f, "{date}/{service}/{TERMINATOR}"),
        }
    }
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.access_key_id)
            .field("scope", &self.scope)
            .field("method", &self.head.method)
            .field("path", &self.head.path)
            .field("payload_mode", &self.payload_mode)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedRequest")
            .field("scope", &self.scope)
            .field("method", &self.head.method)
            .field("path", &self.head.path)
            .field("payload_mode", &self.payload_mode)
            .finish_non_exhaustive()
    }
}

/// A signature and what it says of the request around it.
struct Claims {
    authorization: Authorization,
    canonical_query: String,
    signing_time: SigningTime,
    payload_mode: PayloadMode,
    session_token: Option<String>,
    hoisted: Vec<HeaderName>,
}

impl Claims {
    fn in_header(head: &Head, authorization: Authorization) -> Result<Self, Refusal> {
        canonical::check_signed_headers(head, &authorization.signed_headers)?;
        Ok(Self {
            canonical_query: canonical::query(head.query.as_deref().unwrap_or(""))?,
            signing_time: SigningTime::of(head, &authorization.signed_headers)?,
            payload_mode: payload::mode(head, &authorization.scope)?,
            session_token: session_token(token_header(head, &authorization.scope)?)?,
            hoisted: Vec::new(),
            authorization,
        })
    }

    fn in_query(head: &mut Head) -> Result<Self, Refusal> {
        let mut url = Presigned::take(head)?;
        canonical::check_signed_headers(head, &url.authorization.signed_headers)?;
        let stray = [
            "x-amz-region-set",
            directory_bucket::SESSION_TOKEN,
            "x-amz-security-token",
        ];
        if let Some(name) = stray.iter().find(|name| head.headers.contains_key(**name)) {
            return Err(Refusal::Ambiguous(format!(
                "`{name}` of a presigned URL is not in its query alone"
            )));
        }
        let hoisted = url.lower(head)?;
        Ok(Self {
            canonical_query: url.canonical_query,
            payload_mode: payload::mode_of_url(head, &url.authorization.scope)?,
            session_token: session_token(url.session_token.as_deref())?,
            signing_time: url.signing_time,
            hoisted,
            authorization: url.authorization,
        })
    }
}

/// The one value of a header, refusing what has two readings.
fn header<'a>(head: &'a Head, name: &str) -> Result<Option<&'a str>, Refusal> {
    head.header(name).map_err(|error| match error {
        HeaderError::NotText(_) => Refusal::Malformed(error.to_string()),
        HeaderError::Repeated(_) => Refusal::Ambiguous(error.to_string()),
    })
}

/// Sessions of directory buckets have a header of their own.
fn token_header<'h>(head: &'h Head, scope: &Scope) -> Result<Option<&'h str>, Refusal> {
    let usual = header(head, "x-amz-security-token")?;
    let express = header(head, directory_bucket::SESSION_TOKEN)?;
    one_token(usual, express, scope)
}

fn one_token<'t>(
    usual: Option<&'t str>,
    express: Option<&'t str>,
    scope: &Scope,
) -> Result<Option<&'t str>, Refusal> {
    match (usual, express) {
        (usual, None) => Ok(usual),
        (None, express) if scope.service == directory_bucket::SIGNING_NAME => Ok(express),
        (_, Some(_)) => Err(Refusal::Ambiguous(format!(
            "`{}` beside another session token, or not on a directory bucket",
            directory_bucket::SESSION_TOKEN
        ))),
    }
}

fn session_token(token: Option<&str>) -> Result<Option<String>, Refusal> {
    if token.is_some_and(|token| token.is_empty() || token.len() > MAX_SESSION_TOKEN) {
        return Err(Refusal::SessionInvalid);
    }
    Ok(token.map(str::to_owned))
}

/// Makes `Debug` of the header map print a placeholder.
fn conceal(head: &mut Head, name: &'static str) {
    if let http::header::Entry::Occupied(mut entry) = head.headers.entry(name) {
        for value in entry.iter_mut() {
            value.set_sensitive(true);
        }
    }
}

/// Leaves only headers that the client vouches for, or that are known to be left unsigned.
fn drop_unsigned(head: &mut Head, signed_headers: &str, hoisted: &[HeaderName]) {
    let is_vouched = |name: &str| {
        TAKEN_UNSIGNED.binary_search(&name).is_ok()
            || hoisted.iter().any(|hoisted| hoisted == name)
            || signed_headers.split(';').any(|signed| signed == name)
    };
    let names = head.headers.keys();
    let unsigned: Vec<_> = names
        .filter(|name| !is_vouched(name.as_str()))
        .cloned()
        .collect();
    for name in unsigned {
        head.headers.remove(name);
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(what.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
