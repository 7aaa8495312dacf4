//! Headers that belong to the way a request is sent rather than to the call.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::GzDecoder;

use super::claim::header;
use super::text::quote;
use crate::head::Head;
use crate::refusal::Refusal;

/// `x-amz-*` headers that SDKs add to any call.
const KNOWN: [&str; 15] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-region-set",
    "x-amz-s3session-token",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-target",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amzn-query-mode",
    "x-amzn-trace-id",
    "x-amz-glacier-version",
    "x-amz-sha256-tree-hash",
];

/// The most that a compressed body may become: a fixed part for small bodies, which compress best,
/// and a multiple of its own length.
const MAX_INFLATED: u64 = 1 << 20;
const MAX_RATIO: u64 = 32;

/// Refuses every `x-amz-*` header that SDKs do not add to any call: the RPC protocols have no
/// members there.
///
/// # Errors
/// [`Refusal::InvalidInput`].
pub(super) fn check(head: &Head) -> Result<(), Refusal> {
    match unknown(head, |_| false).next() {
        Some(name) => Err(not_of_the_operation(name)),
        None => Ok(()),
    }
}

/// The `x-amz-*` headers that are neither known nor modelled.
pub(super) fn unknown(head: &Head, modelled: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let names = head.headers.keys().map(http::HeaderName::as_str);
    names.filter(move |name| {
        let amazon = name.starts_with("x-amz-") || name.starts_with("x-amzn-");
        let known = KNOWN.contains(name) || name.starts_with("x-amz-checksum-");
        amazon && !known && !modelled(name)
    })
}

/// The refusal for a header that AWS may read although nobody here did.
pub(super) fn not_of_the_operation(name: &str) -> Refusal {
    Refusal::InvalidInput(format!(
        "header `{}` is not one of this operation",
        quote(name)
    ))
}

/// Forms that AWS reads compressed: the `requestCompression` traits of the models whose services
/// speak the query protocol.
const COMPRESSED_FORMS: [(&str, &str); 1] = [("cloudwatch", "PutMetricData")];

/// What a body says, without the gzip around it. AWS is sent the bytes as they came. A service that
/// ignores the encoding sees no second reading: no JSON, CBOR or XML starts like gzip (RFC 1952
/// §2.3.1). A form is held to [`form`] too.
///
/// # Errors
/// [`Refusal::Unsupported`] for another encoding, [`Refusal::Malformed`] for what is not one whole
/// gzip member, [`Refusal::InvalidInput`] for one that grows too much.
pub(super) fn content(head: &Head, bytes: &Bytes) -> Result<Bytes, Refusal> {
    match header(head, "content-encoding")? {
        Some("gzip") if !bytes.is_empty() => gunzip(bytes),
        _ => plain(head).map(|()| bytes.clone()),
    }
}

/// Refuses compressed forms of calls that AWS does not read so: the raw bytes could be another form,
/// hidden in gzip's own comment field.
///
/// # Errors
/// [`Refusal::Unsupported`].
pub(super) fn form(head: &Head, service: &str, operation: &str) -> Result<(), Refusal> {
    if COMPRESSED_FORMS.contains(&(service, operation)) {
        return Ok(());
    }
    plain(head)
}

/// Refuses compression where the body is looked at as it came: an opaque blob stays opaque.
///
/// # Errors
/// [`Refusal::Unsupported`].
pub(super) fn plain(head: &Head) -> Result<(), Refusal> {
    match header(head, "content-encoding")? {
        None | Some("aws-chunked") => Ok(()),
        Some(_) => Err(Refusal::Unsupported(
            "this operation's body may not be compressed, and elsewhere only gzip is read; set \
             AWS_DISABLE_REQUEST_COMPRESSION=true"
                .to_owned(),
        )),
    }
}

fn gunzip(bytes: &Bytes) -> Result<Bytes, Refusal> {
    let limit = (bytes.len() as u64)
        .saturating_mul(MAX_RATIO)
        .max(MAX_INFLATED);
    let mut inflated = Vec::new();
    let mut decoder = GzDecoder::new(&**bytes);
    let read = decoder.by_ref().take(limit + 1).read_to_end(&mut inflated);
    if inflated.len() as u64 > limit {
        return Err(Refusal::InvalidInput(
            "the compressed body becomes too large".to_owned(),
        ));
    }
    if read.is_err() || !decoder.into_inner().is_empty() {
        return Err(Refusal::Malformed(
            "the body is not one whole gzip member".to_owned(),
        ));
    }
    Ok(inflated.into())
}

/// The object's own content encoding: what is left without `aws-chunked`, which says only how a
/// streaming body was sent.
pub(super) fn object_encoding<'h>(head: &Head, text: &'h str) -> Option<&'h str> {
    let streaming = head
        .headers
        .get("x-amz-content-sha256")
        .is_some_and(|mode| mode.as_bytes().starts_with(b"STREAMING-"));
    if !streaming {
        return Some(text);
    }
    let rest = match text.strip_prefix("aws-chunked") {
        Some(rest) => rest.trim_start_matches([',', ' ']),
        None => text
            .strip_suffix("aws-chunked")
            .map_or(text, |rest| rest.trim_end_matches([',', ' '])),
    };
    (!rest.is_empty()).then_some(rest)
}
