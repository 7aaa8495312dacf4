//! Members that travel as headers, and the check that no other `x-amz-*` header does.

use super::{shape_of, wire_name};
use crate::call::Value;
use crate::catalog::{Location, Member, Service, Shape, Structure, TimestampFormat};
use crate::codec::header::{split, suffix};
use crate::codec::json;
use crate::codec::text::{blob, scalar, wrong_type};
use crate::head::Head;
use crate::interpret::Input;
use crate::interpret::claim::header;
use crate::interpret::transport;
use crate::refusal::Refusal;

/// Adds every member that is a header to `entries`.
///
/// # Errors
/// [`Refusal::InvalidInput`], [`Refusal::Ambiguous`] or [`Refusal::Malformed`].
pub(super) fn decode(
    input: &Input<'_>,
    structure: Option<&Structure>,
    entries: &mut Vec<(String, Value)>,
) -> Result<(), Refusal> {
    let members = structure.map_or(&[][..], |structure| &structure.members);
    for member in members {
        let value = match member.location {
            Location::Header => one(input.service, input.head, member)?,
            Location::Headers => prefixed(input.head, wire_name(member))?,
            Location::Body | Location::Querystring | Location::StatusCode | Location::Uri => None,
        };
        if let Some(value) = value {
            entries.push((member.name.clone(), value));
        }
    }
    for name in transport::unknown(input.head, |name| modelled(members, name)) {
        if !structure.is_some_and(|own| input.model.keeps(own, name)) {
            return Err(transport::not_of_the_operation(name));
        }
        let text = header(input.head, name)?.unwrap_or_default();
        entries.push((name.to_owned(), Value::String(text.to_owned())));
    }
    Ok(())
}

/// Whether some member is carried by that header.
pub(super) fn modelled(members: &[Member], name: &str) -> bool {
    members.iter().any(|member| {
        let own = wire_name(member);
        match member.location {
            Location::Header => own.eq_ignore_ascii_case(name),
            Location::Headers => suffix(name, own).is_some(),
            Location::Body | Location::Querystring | Location::StatusCode | Location::Uri => false,
        }
    })
}

fn one(service: &Service, head: &Head, member: &Member) -> Result<Option<Value>, Refusal> {
    let name = wire_name(member);
    let Some(text) = header(head, name)? else {
        return Ok(None);
    };
    let text = if name.eq_ignore_ascii_case("content-encoding") {
        match transport::object_encoding(head, text) {
            Some(text) => text,
            None => return Ok(None),
        }
    } else {
        text
    };
    let shape = shape_of(service, member)?;
    let value = match shape {
        Shape::List {
            member: element, ..
        } => {
            let element = service.shape(*element).ok_or(Refusal::Internal)?;
            return list(member, element, text).map(Some);
        }
        Shape::String { .. } | Shape::Document if member.json_value => json_value(member, text)?,
        Shape::Blob { .. }
        | Shape::Boolean
        | Shape::Document
        | Shape::Float
        | Shape::Integer
        | Shape::Map { .. }
        | Shape::String { .. }
        | Shape::Structure(_)
        | Shape::Timestamp(_) => header_scalar(member, shape, text.to_owned())?,
    };
    Ok(Some(value))
}

fn header_scalar(member: &Member, shape: &Shape, text: String) -> Result<Value, Refusal> {
    let usual = TimestampFormat::HttpDate;
    scalar(&member.name, shape, text, member.timestamp, usual)
}

/// A string that is base64 of JSON: checked to be one JSON value, kept as its text.
fn json_value(member: &Member, text: &str) -> Result<Value, Refusal> {
    let bytes = blob(text).ok_or_else(|| wrong_type(&member.name, "base64 of a JSON text"))?;
    json::document(&bytes)?;
    String::from_utf8(bytes.into())
        .map(Value::String)
        .map_err(|_| wrong_type(&member.name, "base64 of a JSON text"))
}

/// Comma-separated elements; one with a comma or a quotation mark is quoted (RFC 9110 §5.6.4).
fn list(member: &Member, element: &Shape, text: &str) -> Result<Value, Refusal> {
    let mut values = Vec::new();
    for part in split(text).ok_or_else(|| wrong_type(&member.name, "a list of header values"))? {
        values.push(header_scalar(member, element, part)?);
    }
    Ok(Value::List(values))
}

fn prefixed(head: &Head, prefix: &str) -> Result<Option<Value>, Refusal> {
    let mut entries = Vec::new();
    for name in head.headers.keys() {
        let Some(key) = suffix(name.as_str(), prefix) else {
            continue;
        };
        let text = header(head, name.as_str())?.unwrap_or_default();
        entries.push((key.to_owned(), Value::String(text.to_owned())));
    }
    Ok((!entries.is_empty()).then_some(Value::Map(entries)))
}
