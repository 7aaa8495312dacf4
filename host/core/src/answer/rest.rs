//! Outputs of the REST protocols: status, headers and body, put together by the model.

use bytes::Bytes;

use super::error::{self, ServiceError};
use super::{Output, Reader, Received, Unreadable, nothing};
use crate::call::Value;
use crate::catalog::{Location, Member, Protocol, Shape, Structure, TimestampFormat};
use crate::codec::header::{split, suffix};
use crate::codec::json::Members;
use crate::codec::text::{self, loose_blob};
use crate::codec::xml::tree::{self, Element};
use crate::codec::{Reading, json, xml};
use crate::refusal::Refusal;

/// Decodes a whole output.
///
/// # Errors
/// [`Unreadable`].
pub(super) fn decode(reader: &Reader<'_>, received: &Received<'_>) -> Result<Output, Unreadable> {
    let Some(structure) = reader.output_structure() else {
        let failed = late_error(reader, received)?;
        return Ok((failed.map_or_else(|| Ok(nothing()), Err), None));
    };
    let mut entries = heads(reader, structure, received)?;
    if let Some(error) = body(reader, structure, received, &mut entries)? {
        return Ok((Err(error), None));
    }
    Ok((Ok(Value::Structure(entries)), None))
}

/// The members that the head carries.
///
/// # Errors
/// [`Unreadable`] for a header that is there twice.
pub(super) fn heads(
    reader: &Reader<'_>,
    structure: &Structure,
    received: &Received<'_>,
) -> Result<Vec<(String, Value)>, Unreadable> {
    let mut entries = Vec::new();
    for member in &structure.members {
        let value = match member.location {
            Location::Header => one(reader, received, member)?,
            Location::Headers => Some(prefixed(received, wire_name(member))?),
            Location::StatusCode => Some(Value::Integer(received.status.as_u16().into())),
            Location::Body | Location::Querystring | Location::Uri => None,
        };
        entries.extend(value.map(|value| (member.name.clone(), value)));
    }
    Ok(entries)
}

fn one(
    reader: &Reader<'_>,
    received: &Received<'_>,
    member: &Member,
) -> Result<Option<Value>, Unreadable> {
    let Some(text) = header(received, wire_name(member))? else {
        return Ok(None);
    };
    let shape = reader.model.shape(member.shape)?;
    let value = match shape {
        Shape::List {
            member: element, ..
        } => {
            let element = reader.model.shape(*element)?;
            let parts = split(&text).unwrap_or_else(|| vec![text.clone()]);
            let values = parts.into_iter().map(|part| scalar(member, element, part));
            Value::List(values.collect())
        }
        Shape::String { .. } if member.json_value => json_value(text),
        Shape::Blob { .. }
        | Shape::Boolean
        | Shape::Document
        | Shape::Float
        | Shape::Integer
        | Shape::Map { .. }
        | Shape::String { .. }
        | Shape::Structure(_)
        | Shape::Timestamp(_) => scalar(member, shape, text),
    };
    Ok(Some(value))
}

fn scalar(member: &Member, shape: &Shape, text: String) -> Value {
    let format = text::format_of(shape, member.timestamp, TimestampFormat::HttpDate);
    text::tolerant(shape, text, format)
}

/// A string that is base64 of JSON: kept as the JSON's text.
fn json_value(text: String) -> Value {
    let decoded = loose_blob(&text)
        .filter(|bytes| json::document(bytes).is_ok())
        .and_then(|bytes| String::from_utf8(bytes.into()).ok());
    Value::String(decoded.unwrap_or(text))
}

fn prefixed(received: &Received<'_>, prefix: &str) -> Result<Value, Unreadable> {
    let mut entries = Vec::new();
    for name in received.headers.keys() {
        let Some(key) = suffix(name.as_str(), prefix) else {
            continue;
        };
        let text = header(received, name.as_str())?.unwrap_or_default();
        entries.push((key.to_owned(), Value::String(text)));
    }
    Ok(Value::Map(entries))
}

/// A header's text. Objects carry names and metadata that are not ASCII.
fn header(received: &Received<'_>, name: &str) -> Result<Option<String>, Unreadable> {
    let mut values = received.headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Unreadable(format!("header `{name}` is there twice")));
    }
    let text = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    };
    Ok(Some(text))
}

/// Adds what the body holds; an error that S3 wrote there is handed back.
fn body(
    reader: &Reader<'_>,
    structure: &Structure,
    received: &Received<'_>,
    entries: &mut Vec<(String, Value)>,
) -> Result<Option<ServiceError>, Unreadable> {
    let Some(member) = structure.payload_member() else {
        return unbound(reader, structure, received, entries);
    };
    let streamed = matches!(received.body, super::Body::Streamed);
    let bytes = received.bytes();
    let value = match reader.model.shape(member.shape)? {
        Shape::Structure(stream) if stream.event_stream => Value::Stream,
        Shape::Blob { .. } if streamed => Value::Stream,
        Shape::Blob { .. } => Value::Blob(bytes),
        Shape::String { .. } => utf8(&bytes)?,
        Shape::Structure(_) if bytes.is_empty() => nothing(),
        Shape::Boolean
        | Shape::Document
        | Shape::Float
        | Shape::Integer
        | Shape::List { .. }
        | Shape::Map { .. }
        | Shape::Structure(_)
        | Shape::Timestamp(_) => {
            if bytes.is_empty() {
                return Ok(None);
            }
            if reader.protocol == Protocol::RestJson {
                json::decode(reader.model, member.shape, Members::All, &bytes)?
            } else {
                let root = tree::parse(&bytes, Reading::Tolerant)?;
                if let Some(error) = failed(reader, received, &root)? {
                    return Ok(Some(error));
                }
                xml::element(reader.model, member.shape, &root)?
            }
        }
    };
    if value != Value::Null {
        entries.push((member.name.clone(), value));
    }
    Ok(None)
}

fn utf8(bytes: &Bytes) -> Result<Value, Unreadable> {
    String::from_utf8(bytes.to_vec())
        .map(Value::String)
        .map_err(|_| Unreadable("the body is not UTF-8".to_owned()))
}

/// The members that nothing but the body carries.
fn unbound(
    reader: &Reader<'_>,
    structure: &Structure,
    received: &Received<'_>,
    entries: &mut Vec<(String, Value)>,
) -> Result<Option<ServiceError>, Unreadable> {
    let mut members = structure.members.iter();
    if !members.any(|member| member.location == Location::Body) {
        return late_error(reader, received);
    }
    let bytes = received.bytes();
    if bytes.is_empty() {
        return Ok(None);
    }
    let shape = reader.operation.output.ok_or(Refusal::Internal)?;
    let value = if reader.protocol == Protocol::RestJson {
        json::decode(reader.model, shape, Members::Unbound, &bytes)?
    } else {
        let root = tree::parse(&bytes, Reading::Tolerant)?;
        if let Some(error) = failed(reader, received, &root)? {
            return Ok(Some(error));
        }
        match unwrapped(reader, structure, &root) {
            Some(location) => location?,
            None => xml::element(reader.model, shape, &root)?,
        }
    };
    if let Value::Structure(members) = value {
        entries.extend(members);
    }
    Ok(None)
}

/// S3's `GetBucketLocation` has its one member as the root element: `<LocationConstraint>eu-west-1`.
fn unwrapped(
    reader: &Reader<'_>,
    structure: &Structure,
    root: &Element,
) -> Option<Result<Value, Unreadable>> {
    let [member] = structure.members.as_slice() else {
        return None;
    };
    if !reader.is_s3() || root.name != wire_name(member) || root.child(&root.name).is_some() {
        return None;
    }
    let value = xml::element(reader.model, member.shape, root);
    Some(
        value
            .map_err(Unreadable::from)
            .map(|value| Value::Structure(vec![(member.name.clone(), value)])),
    )
}

/// S3 answers 200 before it knows how a copy or a multipart upload ends, and says so in the body.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
fn failed(
    reader: &Reader<'_>,
    received: &Received<'_>,
    root: &Element,
) -> Result<Option<ServiceError>, Unreadable> {
    if !reader.is_s3() || root.name != "Error" {
        return Ok(None);
    }
    error::of_xml(reader, received, root).map(Some)
}

/// The same, of an operation whose output has nothing in its body.
fn late_error(
    reader: &Reader<'_>,
    received: &Received<'_>,
) -> Result<Option<ServiceError>, Unreadable> {
    let bytes = received.bytes();
    if !reader.is_s3() || bytes.is_empty() {
        return Ok(None);
    }
    match tree::parse(&bytes, Reading::Tolerant) {
        Ok(root) => failed(reader, received, &root),
        Err(_) => Ok(None),
    }
}

fn wire_name(member: &Member) -> &str {
    member.location_name.as_ref().unwrap_or(&member.name)
}
