//! How a caller reads errors, guessed from the head alone so that even a refused request gets an
//! answer its SDK understands. Never fails and never decides anything else.

use super::claim::{is_form, media_type, names_action};
use crate::call::Call;
use crate::catalog::{Catalog, Entry, Protocol};
use crate::directory_bucket;
use crate::head::Head;
use crate::refusal::wire::Dialect;

/// The best guess for a request that may be anything.
pub fn dialect(catalog: &Catalog, head: &Head) -> Dialect {
    let service = scope_service(head);
    let entries = service.map_or(&[][..], |service| catalog.by_signing_name(service));
    let media = media_type(text(head, "content-type"));
    if head.headers.contains_key("smithy-protocol") {
        return Dialect::Cbor;
    }
    match media.as_deref() {
        Some("application/x-amz-json-1.0") => return Dialect::Json10,
        Some("application/x-amz-json-1.1") => return Dialect::Json11,
        Some(_) | None => {}
    }
    if head.headers.contains_key("x-amz-target") {
        return Dialect::Json11;
    }
    if matches!(service, Some("s3" | directory_bucket::SIGNING_NAME)) {
        return s3(head);
    }
    let query = head.query.as_deref().unwrap_or_default();
    let form = is_form(media.as_deref()) || names_action(query);
    let fitting = |protocol: &&Protocol| match protocol {
        Protocol::Ec2Query | Protocol::Query => form,
        Protocol::Json10 | Protocol::Json11 => !form && head.path == "/",
        Protocol::RestJson | Protocol::RestXml => !form,
        // It would have said so.
        Protocol::RpcV2Cbor => false,
    };
    let own = entries.iter().flat_map(|entry: &Entry| &entry.protocols);
    match own.clone().find(fitting).or_else(|| own.clone().next()) {
        Some(protocol) => of(*protocol),
        None if form => Dialect::Query,
        None => unsigned(head, media.as_deref()),
    }
}

/// How the caller of a decoded call reads errors.
pub fn call_dialect(call: &Call) -> Dialect {
    if call.service() == "s3" {
        return Dialect::S3;
    }
    of(call.protocol())
}

fn of(protocol: Protocol) -> Dialect {
    match protocol {
        Protocol::Ec2Query => Dialect::Ec2,
        Protocol::Json10 => Dialect::Json10,
        Protocol::Json11 => Dialect::Json11,
        Protocol::Query => Dialect::Query,
        Protocol::RestJson => Dialect::RestJson,
        Protocol::RestXml => Dialect::RestXml,
        Protocol::RpcV2Cbor => Dialect::Cbor,
    }
}

/// S3 Control's paths start with its API version; no other restXml service signs as `s3`.
fn s3(head: &Head) -> Dialect {
    if head.path.starts_with("/v20180820/") {
        return Dialect::RestXml;
    }
    Dialect::S3
}

/// A caller whose service is not known.
fn unsigned(head: &Head, media: Option<&str>) -> Dialect {
    let query = head.query.as_deref().unwrap_or_default();
    let in_header = text(head, "authorization").is_some_and(|value| value.starts_with("AWS "));
    let in_query = query
        .split('&')
        .any(|pair| pair.starts_with("AWSAccessKeyId="));
    if in_header || in_query {
        // Signature Version 2, which names no service; in these forms it was S3's alone.
        return Dialect::S3;
    }
    match media {
        Some("application/xml" | "text/xml") => Dialect::RestXml,
        Some(_) | None => Dialect::RestJson,
    }
}

/// The service of the credential scope, wherever the signature is and however broken the rest.
fn scope_service(head: &Head) -> Option<&str> {
    let credential = match text(head, "authorization") {
        Some(header) => {
            let (_, rest) = header.split_once("Credential=")?;
            rest.split([',', ' ']).next()?
        }
        None => {
            let query = head.query.as_deref()?;
            let (_, rest) = query.split_once("X-Amz-Credential=")?;
            rest.split('&').next()?
        }
    };
    let parts: Vec<&str> = if credential.contains('/') {
        credential.split("/").collect()
    } else {
        credential.split("%2F").collect()
    };
    match parts.as_slice() {
        // Signed for a set of regions.
        [_, _, service, "aws4_request"] => Some(service),
        parts => parts.get(3).copied(),
    }
}

fn text<'h>(head: &'h Head, name: &str) -> Option<&'h str> {
    head.headers.get(name)?.to_str().ok()
}
