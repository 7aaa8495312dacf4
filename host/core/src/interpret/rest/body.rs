//! The body of a REST request: one payload member, the members that nothing else carries, or
//! nothing at all.

use bytes::Bytes;

use super::{shape_of, wire_name, wrong_body};
use crate::call::Value;
use crate::catalog::{Location, Member, Protocol, Shape, Structure};
use crate::codec::json::{self, Members};
use crate::codec::xml;
use crate::interpret::claim::{header, is_form, media_type};
use crate::interpret::{Input, route, transport};
use crate::refusal::Refusal;
use crate::sigv4::Payload;

/// Adds what the body holds to `entries`.
///
/// # Errors
/// [`Refusal::InvalidInput`], [`Refusal::Ambiguous`], [`Refusal::Malformed`] or
/// [`Refusal::Unsupported`].
pub(super) fn decode(
    input: &Input<'_>,
    structure: Option<&Structure>,
    entries: &mut Vec<(String, Value)>,
) -> Result<(), Refusal> {
    let Some(structure) = structure else {
        return empty(input);
    };
    refuse_form(input, structure)?;
    if let Some(member) = structure.payload_member() {
        let value = payload(input, member)?;
        entries.extend(value.map(|value| (member.name.clone(), value)));
        return Ok(());
    }
    let unbound = |member: &Member| member.location == Location::Body;
    if !structure.members.iter().any(unbound) {
        return empty(input);
    }
    let shape = input.operation.input.ok_or(Refusal::Internal)?;
    let bytes = &content(input)?;
    if bytes.is_empty() {
        return Ok(());
    }
    media(input)?;
    let body = if input.protocol == Protocol::RestXml {
        let name = input.operation.input_location_name.as_deref();
        xml::decode(input.model, shape, name.unwrap_or(&structure.name), bytes)?
    } else {
        json::decode(input.model, shape, Members::Unbound, bytes)?
    };
    let members = body.into_members();
    entries.extend(members.ok_or_else(|| wrong_body("one object"))?);
    Ok(())
}

fn payload(input: &Input<'_>, member: &Member) -> Result<Option<Value>, Refusal> {
    let shape = shape_of(input.service, member)?;
    if matches!(shape, Shape::Blob { .. } | Shape::String { .. }) {
        opaque(input)?;
    }
    match shape {
        Shape::Blob { streaming, .. } => match input.payload {
            Payload::Streamed if *streaming || member.streaming => Ok(Some(Value::Stream)),
            Payload::Events | Payload::Streamed => Err(Input::not_streamed()),
            Payload::Whole(bytes) => Ok(Some(Value::Blob(bytes.clone()))),
        },
        Shape::String { .. } => text(input.whole()?).map(Some),
        Shape::Structure(structure) if structure.event_stream => events(input).map(Some),
        Shape::Document | Shape::List { .. } | Shape::Map { .. } | Shape::Structure(_) => {
            modelled(input, member)
        }
        Shape::Boolean | Shape::Float | Shape::Integer | Shape::Timestamp(_) => {
            Err(Refusal::Internal)
        }
    }
}

/// A stream of events, which is read while it passes.
fn events(input: &Input<'_>) -> Result<Value, Refusal> {
    opaque(input)?;
    if !matches!(input.payload, Payload::Events) {
        return Err(Refusal::Unsupported(
            "the events of a request must be signed; send `x-amz-content-sha256: \
             STREAMING-AWS4-HMAC-SHA256-EVENTS`"
                .to_owned(),
        ));
    }
    match media_type(header(input.head, "content-type")?).as_deref() {
        None | Some("application/vnd.amazon.eventstream") => Ok(Value::Stream),
        Some(_) => Err(Refusal::Ambiguous(
            "the content type is not that of an event stream".to_owned(),
        )),
    }
}

fn text(bytes: &Bytes) -> Result<Value, Refusal> {
    String::from_utf8(bytes.to_vec())
        .map(Value::String)
        .map_err(|_| wrong_body("UTF-8 text"))
}

/// A structured body, without the compression around it.
fn content(input: &Input<'_>) -> Result<Bytes, Refusal> {
    if has_member(input, "content-encoding") {
        return input.whole().cloned();
    }
    transport::content(input.head, input.whole()?)
}

/// A body that is not looked into is what it seems only if nothing is wrapped around it, or if the
/// model has the wrapping as a member.
fn opaque(input: &Input<'_>) -> Result<(), Refusal> {
    if has_member(input, "content-encoding") {
        return Ok(());
    }
    transport::plain(input.head)
}

/// Whether the header is a member of the operation's input.
fn has_member(input: &Input<'_>, header: &str) -> bool {
    route::input(input.service, input.operation)
        .is_some_and(|own| super::headers::modelled(&own.members, header))
}

fn modelled(input: &Input<'_>, member: &Member) -> Result<Option<Value>, Refusal> {
    let bytes = &content(input)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    media(input)?;
    if input.protocol == Protocol::RestXml {
        let name = wire_name(member);
        return xml::decode(input.model, member.shape, name, bytes).map(Some);
    }
    json::decode(input.model, member.shape, Members::All, bytes).map(Some)
}

/// An operation without a body has none, or the empty object that some clients send.
fn empty(input: &Input<'_>) -> Result<(), Refusal> {
    opaque(input)?;
    let bytes = input.whole()?;
    if bytes.is_empty() || (input.protocol == Protocol::RestJson && &**bytes == b"{}") {
        return Ok(());
    }
    Err(wrong_body("empty: the operation has none"))
}

/// A structured body must not claim to be something else.
fn media(input: &Input<'_>) -> Result<(), Refusal> {
    let Some(content_type) = header(input.head, "content-type")? else {
        return Ok(());
    };
    if has_member(input, "content-type") {
        return Ok(());
    }
    let media = media_type(Some(content_type));
    let fits = match (input.protocol, media.as_deref()) {
        (Protocol::RestXml, Some("application/xml" | "text/xml")) => true,
        (Protocol::RestXml, _) => false,
        (_, media) => media == Some("application/json"),
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::Ambiguous(
        "the content type is not that of the service's protocol".to_owned(),
    ))
}

/// A form is another protocol's body, except where the model has the content type as a member:
/// there it is the object's own.
fn refuse_form(input: &Input<'_>, structure: &Structure) -> Result<(), Refusal> {
    let content_type = header(input.head, "content-type")?;
    if is_form(media_type(content_type).as_deref())
        && !super::headers::modelled(&structure.members, "content-type")
    {
        return Err(Refusal::Ambiguous(
            "a form content type on a service that does not read forms".to_owned(),
        ));
    }
    Ok(())
}
