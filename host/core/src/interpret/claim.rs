//! Which protocol a request claims to speak. The claim comes from the head alone, every protocol's
//! markers exclude the others', and whether the service speaks it is checked afterwards: a marker
//! never chooses the service or overrides the model.

use http::Method;

use super::text::quote;
use crate::head::{Head, HeaderError};
use crate::refusal::Refusal;

/// A protocol and what its markers name.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Claim<'h> {
    /// Smithy RPC v2 with CBOR: both names are in the path.
    Cbor {
        /// The name before `/operation/`.
        service: &'h str,
        /// The name after it.
        operation: &'h str,
    },
    /// awsQuery or ec2Query: the operation is in these parameters of the URL, or in the body.
    Form(Option<&'h str>),
    /// awsJson.
    Json {
        /// `X-Amz-Target` before its last dot.
        prefix: &'h str,
        /// `X-Amz-Target` after it.
        operation: &'h str,
        /// The version in the content type.
        version: JsonVersion,
    },
    /// restJson or restXml: the operation is method, path and query.
    Rest,
}

/// The two versions of awsJson.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum JsonVersion {
    /// `application/x-amz-json-1.0`
    V10,
    /// `application/x-amz-json-1.1`
    V11,
}

/// Headers with which some frameworks replace the method; no AWS client sends them.
const OVERRIDES: [&str; 4] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
];

/// Reads the claim.
///
/// # Errors
/// [`Refusal::Ambiguous`] for markers of two protocols, or for one that is there twice.
pub(super) fn claim(head: &Head) -> Result<Claim<'_>, Refusal> {
    if let Some(name) = OVERRIDES
        .iter()
        .find(|name| head.headers.contains_key(**name))
    {
        return Err(ambiguous(&format!("header `{name}` replaces the method")));
    }
    let target = header(head, "x-amz-target")?;
    let smithy = header(head, "smithy-protocol")?;
    let media = media_type(header(head, "content-type")?);
    let at_root = head.method == Method::POST && head.path == "/";
    match (smithy, target) {
        (Some(_), Some(_)) => Err(ambiguous("`X-Amz-Target` beside `Smithy-Protocol`")),
        (Some(protocol), None) => cbor(head, protocol, media.as_deref()),
        (None, Some(target)) if at_root => json(head, target, media.as_deref()),
        (None, Some(_)) => Err(ambiguous("`X-Amz-Target` on something else than `POST /`")),
        (None, None) if at_root && is_form(media.as_deref()) => {
            no_query(head)?;
            Ok(Claim::Form(None))
        }
        (None, None) if media.is_none() && head.method == Method::GET && head.path == "/" => {
            let query = head.query.as_deref().filter(|query| names_action(query));
            Ok(query.map_or(Claim::Rest, |query| Claim::Form(Some(query))))
        }
        (None, None) => Ok(Claim::Rest),
    }
}

/// A header that may be there once.
///
/// # Errors
/// As the [`HeaderError`] says.
pub(super) fn header<'h>(head: &'h Head, name: &str) -> Result<Option<&'h str>, Refusal> {
    head.header(name).map_err(|error| match error {
        HeaderError::Repeated(_) => Refusal::Ambiguous(error.to_string()),
        HeaderError::NotText(_) => Refusal::Malformed(error.to_string()),
    })
}

/// The media type of a content type, lower-case, if its only parameter is UTF-8 as character set.
pub(super) fn media_type(content_type: Option<&str>) -> Option<String> {
    let (media, parameter) = match content_type?.split_once(';') {
        Some((media, parameter)) => (media, Some(parameter)),
        None => (content_type?, None),
    };
    let plain = parameter.is_none_or(|text| text.trim().eq_ignore_ascii_case("charset=utf-8"));
    plain.then(|| media.trim().to_ascii_lowercase())
}

/// Whether a query string is that of a call, as the query protocols write it into a URL.
pub(super) fn names_action(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("Action="))
}

/// Whether a media type is that of a form.
pub(super) fn is_form(media: Option<&str>) -> bool {
    media == Some("application/x-www-form-urlencoded")
}

fn json<'h>(head: &Head, target: &'h str, media: Option<&str>) -> Result<Claim<'h>, Refusal> {
    let version = match media {
        Some("application/x-amz-json-1.0") => JsonVersion::V10,
        Some("application/x-amz-json-1.1") => JsonVersion::V11,
        Some(_) | None => {
            return Err(ambiguous(
                "`X-Amz-Target` without the content type `application/x-amz-json-1.0` or `-1.1`",
            ));
        }
    };
    no_query(head)?;
    let (prefix, operation) = target.rsplit_once('.').ok_or_else(|| {
        Refusal::Malformed(format!(
            "`X-Amz-Target: {}` names no operation",
            quote(target)
        ))
    })?;
    Ok(Claim::Json {
        prefix,
        operation,
        version,
    })
}

fn cbor<'h>(head: &'h Head, protocol: &str, media: Option<&str>) -> Result<Claim<'h>, Refusal> {
    if protocol != "rpc-v2-cbor" {
        return Err(Refusal::Unsupported(format!(
            "protocol `{}` is not one this gateway reads; use the SDK's default",
            quote(protocol)
        )));
    }
    if media.is_some_and(|media| media != "application/cbor") {
        return Err(ambiguous("`Smithy-Protocol` with another content type"));
    }
    no_query(head)?;
    let names = head
        .path
        .strip_prefix("/service/")
        .and_then(|rest| rest.split_once("/operation/"))
        .filter(|_| head.method == Method::POST);
    match names {
        Some((service, operation)) => Ok(Claim::Cbor { service, operation }),
        None => Err(ambiguous("`Smithy-Protocol` on a path of another protocol")),
    }
}

/// In the RPC protocols everything is in the body, so a query string would be a second reading.
fn no_query(head: &Head) -> Result<(), Refusal> {
    match head.query.as_deref() {
        None | Some("") => Ok(()),
        Some(_) => Err(ambiguous("parameters in the URL beside those in the body")),
    }
}

fn ambiguous(what: &str) -> Refusal {
    Refusal::Ambiguous(what.to_owned())
}
