//! Headers that belong to the way a request is sent rather than to the call.

use super::claim::header;
use super::text::quote;
use crate::head::Head;
use crate::refusal::Refusal;

/// `x-amz-*` headers that SDKs add to any call.
const KNOWN: [&str; 13] = [
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
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

/// Refuses every `x-amz-*` header that is neither known nor modelled, and compressed bodies.
///
/// # Errors
/// [`Refusal::InvalidInput`], [`Refusal::Ambiguous`] or [`Refusal::Unsupported`].
pub(super) fn check(head: &Head, modelled: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    for name in head.headers.keys().map(http::HeaderName::as_str) {
        let amazon = name.starts_with("x-amz-") || name.starts_with("x-amzn-");
        let known = KNOWN.contains(&name) || name.starts_with("x-amz-checksum-");
        if amazon && !known && !modelled(name) {
            return Err(Refusal::InvalidInput(format!(
                "header `{}` is not one of this operation",
                quote(name)
            )));
        }
    }
    match header(head, "content-encoding")? {
        Some(coding) if !modelled("content-encoding") && coding != "aws-chunked" => {
            Err(Refusal::Unsupported(
                "compressed request bodies are not supported; set \
                 AWS_DISABLE_REQUEST_COMPRESSION=true"
                    .to_owned(),
            ))
        }
        Some(_) | None => Ok(()),
    }
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
