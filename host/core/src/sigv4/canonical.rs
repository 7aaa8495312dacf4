//! The canonical request: the one spelling of a request that its signature covers.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! Every input has at most one canonical form. Where AWS and the SDKs are known to differ, or a
//! second spelling would sign alike, the input is refused.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::malformed;
use crate::head::Head;
use crate::refusal::Refusal;
use crate::s3_name;

/// AWS's `UriEncode`: all but RFC 3986's unreserved characters.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// `UriEncode` for paths, which keeps the slashes.
const PATH: &AsciiSet = &COMPONENT.remove(b'/');

/// How a service canonicalises its paths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathStyle {
    /// Normalised, then encoded again: every service but S3.
    EncodedTwice,
    /// As sent, encoded once: S3, whose keys may hold `..` and `//`.
    EncodedOnce,
}

impl PathStyle {
    pub(super) fn of(service: &str) -> Self {
        if s3_name::is_signing_name(service) {
            Self::EncodedOnce
        } else {
            Self::EncodedTwice
        }
    }
}

/// What the canonical request is written from.
pub(super) struct Request<'a> {
    pub(super) head: &'a Head,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) signed_headers: &'a str,
    pub(super) payload_hash: &'a str,
}

impl Request<'_> {
    /// Writes it out. Header values may hold bytes outside ASCII, so this is not text.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        for line in [self.head.method.as_str(), self.path, self.query] {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        for name in self.signed_headers.split(';') {
            self.write_header(&mut out, name);
        }
        out.push(b'\n');
        out.extend_from_slice(self.signed_headers.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload_hash.as_bytes());
        out
    }

    fn write_header(&self, out: &mut Vec<u8>, name: &str) {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        let mut separator: &[u8] = b"";
        for value in self.head.headers.get_all(name) {
            out.extend_from_slice(separator);
            write_trimmed(out, value.as_bytes());
            separator = b",";
        }
        // HTTP/2 has no `Host` field; its `:authority` is what the client signed under that name,
        // or under its own.
        if is_host(name) && separator.is_empty() {
            out.extend_from_slice(self.head.authority.as_bytes());
        }
        out.push(b'\n');
    }
}

/// AWS's `Trim`: no spaces around a value and single ones inside.
fn write_trimmed(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|&byte| byte == b' ');
    for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// What JS v3 signs instead of `host` over HTTP/2, for the same authority.
const AUTHORITY: &str = ":authority";

fn is_host(name: &str) -> bool {
    matches!(name, "host" | AUTHORITY)
}

/// Checks `SignedHeaders`: lower-case, sorted, without repetition, all of them sent, `host` and
/// every `x-amz-*` header among them.
pub(super) fn check_signed_headers(head: &Head, signed: &str) -> Result<(), Refusal> {
    let mut previous = "";
    for name in signed.split(';') {
        if name <= previous || !(name == AUTHORITY || name.bytes().all(is_lower_token)) {
            return Err(malformed("`SignedHeaders` is not a sorted lower-case list"));
        }
        check_signed_header(head, name)?;
        previous = name;
    }
    check_host(head)?;
    if signed.split(';').filter(|name| is_host(name)).count() != 1 {
        return Err(Refusal::UnsignedHeader("host".to_owned()));
    }
    let unsigned = head
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .find(|name| {
            name.starts_with("x-amz-") && !signed.split(';').any(|signed| signed == *name)
        });
    match unsigned {
        Some(name) => Err(Refusal::UnsignedHeader(name.to_owned())),
        None => Ok(()),
    }
}

fn check_signed_header(head: &Head, name: &str) -> Result<(), Refusal> {
    if !is_host(name) && !head.headers.contains_key(name) {
        return Err(malformed(
            "`SignedHeaders` names a header that was not sent",
        ));
    }
    if name == AUTHORITY {
        return Ok(());
    }
    // SDKs differ on tabs inside a value: some fold them into spaces, some keep them.
    let plain = |value: &HeaderValue| !value.as_bytes().contains(&b'\t');
    if !head.headers.get_all(name).iter().all(plain) {
        return Err(Refusal::Ambiguous("a signed header holds a tab".to_owned()));
    }
    Ok(())
}

/// `Host` is signed as sent, so it must be the authority that everything else goes by.
fn check_host(head: &Head) -> Result<(), Refusal> {
    let same = match super::header(head, "host")? {
        Some(host) => host.trim_matches(' ').eq_ignore_ascii_case(&head.authority),
        None => !head.authority.is_empty(),
    };
    if same {
        Ok(())
    } else {
        Err(Refusal::Ambiguous(
            "`Host` is not the authority the request was sent to".to_owned(),
        ))
    }
}

/// RFC 9110 §5.6.2 token characters, without capitals.
fn is_lower_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The canonical path of a path that [`normalised`] has been through.
pub(super) fn path(path: &str, style: PathStyle) -> Result<String, Refusal> {
    if !path.starts_with('/') {
        return Err(malformed("the path is not absolute"));
    }
    let decoded = decode(path)?;
    match style {
        PathStyle::EncodedOnce => {
            let once = utf8_percent_encode(&decoded, PATH).to_string();
            if once == path {
                return Ok(once);
            }
            Err(malformed(
                "the path is not encoded as S3 signs it: every byte but `A-Z a-z 0-9 - . _ ~ /` \
                 as `%XX` with capital digits",
            ))
        }
        PathStyle::EncodedTwice => {
            refuse_escaped_dots(path)?;
            Ok(utf8_percent_encode(path, PATH).to_string())
        }
    }
}

/// The path without dot segments (RFC 3986 §5.2.4) and empty segments, where the service signs it
/// so and it may have some.
pub(super) fn normalised(path: &str, style: PathStyle) -> Option<String> {
    if style == PathStyle::EncodedOnce || !(path.contains("//") || path.contains("/.")) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    let end = if directory && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{end}", kept.join("/")))
}

/// `%2E%2E` is a dot segment to some readers and a name to the signature.
fn refuse_escaped_dots(path: &str) -> Result<(), Refusal> {
    let dots = |segment| {
        let decoded: Cow<'_, [u8]> = percent_decode_str(segment).into();
        matches!(&*decoded, b"." | b"..")
    };
    if path.split('/').any(dots) {
        return Err(Refusal::Ambiguous(
            "its path holds an escaped dot segment".to_owned(),
        ));
    }
    Ok(())
}

/// The canonical query: names and values encoded, then sorted.
///
/// An escape must be spelled as AWS spells it, and `+` is refused: it is a space to some readers
/// and a plus sign to others, and no SDK writes it.
pub(super) fn query(query: &str) -> Result<String, Refusal> {
    if query.is_empty() {
        return Ok(String::new());
    }
    let mut pairs = query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((component(name)?, component(value)?))
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err(malformed("a query parameter has no name"));
    }
    pairs.sort_unstable();
    let mut out = String::with_capacity(query.len());
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.extend([name, "=", value]);
    }
    Ok(out)
}

fn component(text: &str) -> Result<String, Refusal> {
    if text.contains('+') {
        return Err(Refusal::Ambiguous(
            "its query holds `+`; write `%20` for a space or `%2B` for a plus sign".to_owned(),
        ));
    }
    let decoded = decode(text)?;
    if !escapes(text).all(is_canonical_escape) {
        return Err(malformed(
            "its query holds an escape that AWS spells otherwise: capital digits, and only for \
             bytes other than `A-Z a-z 0-9 - . _ ~`",
        ));
    }
    Ok(utf8_percent_encode(&decoded, COMPONENT).to_string())
}

/// Percent-decodes text that has one reading only.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !escapes(text).all(|digits| escaped_byte(digits).is_some()) {
        return Err(malformed("a `%` is not followed by two hexadecimal digits"));
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| malformed("the path or query is not UTF-8"))?;
    if decoded.contains('\0') || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(malformed("the path or query holds a control character"));
    }
    Ok(decoded)
}

/// What follows each `%`, two bytes if there are as many.
fn escapes(text: &str) -> impl Iterator<Item = &[u8]> {
    let pieces = text.as_bytes().split(|&byte| byte == b'%').skip(1);
    pieces.map(|piece| piece.get(..2).unwrap_or(piece))
}

fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    let [byte] = byte;
    Some(byte)
}

/// Whether `UriEncode` would have written this escape.
fn is_canonical_escape(digits: &[u8]) -> bool {
    let reserved = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte);
    escaped_byte(digits).is_some_and(reserved) && !digits.iter().any(u8::is_ascii_lowercase)
}
