//! Errors that AWS answers with, in every shape its protocols write them in.

use std::sync::OnceLock;

use http::StatusCode;
use serde::de::IgnoredAny;

use super::{Reader, Received, Unreadable, nothing, rest, xml_request_id};
use crate::call::Value;
use crate::catalog::{Endpoints, Location, Member, Protocol, Service, Shape, ShapeId, Structure};
use crate::codec::json::Members;
use crate::codec::xml::tree::{self, Element};
use crate::codec::{Model, Reading, cbor, json, xml};
use crate::refusal::Fault;

/// Longer than any code of a model.
const MAX_CODE: usize = 128;

/// Codes with which S3 says in an answer of success that the fault is its own.
const S3_FAULTS: [&str; 4] = [
    "InternalError",
    "OperationAborted",
    "ServiceUnavailable",
    "SlowDown",
];

/// An error that AWS answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceError {
    /// What SDKs call the error, e.g. `NoSuchBucket`; the status where AWS says nothing more. Never
    /// longer than 128 plain characters.
    pub code: String,
    /// AWS's own words. They may repeat what the call said.
    pub message: Option<String>,
    /// Whose fault it is: the agent's call or AWS.
    pub fault: Fault,
    /// The model's shape of the error, where it has one.
    pub shape: Option<String>,
    /// The members of that shape: always a structure.
    pub members: Value,
}

impl ServiceError {
    /// The error that nothing but a status tells of, e.g. the answer to a `HEAD`.
    pub(super) fn of_status(status: StatusCode) -> Self {
        Self {
            code: status.as_str().to_owned(),
            message: status.canonical_reason().map(str::to_owned),
            fault: fault_of(status),
            shape: None,
            members: nothing(),
        }
    }
}

/// An error, and the request id that its body holds.
type Failure = (ServiceError, Option<String>);

/// Decodes the error that an answer is. A body that is not of the protocol at all, as a proxy's
/// page of HTML, leaves the status.
///
/// # Errors
/// [`Unreadable`] for a body that can be read in two ways.
pub(super) fn decode(reader: &Reader<'_>, received: &Received<'_>) -> Result<Failure, Unreadable> {
    let bytes = received.bytes();
    match reader.protocol {
        Protocol::Ec2Query | Protocol::Query | Protocol::RestXml => {
            match tree::parse(&bytes, Reading::Tolerant) {
                Ok(root) if error_element(&root).is_some() => {
                    let error = of_xml(reader, received, &root)?;
                    Ok((error, xml_request_id(&root)))
                }
                Ok(_) | Err(_) => bare(reader, received),
            }
        }
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            let is_object = bytes.trim_ascii_start().starts_with(b"{");
            if !is_object || serde_json::from_slice::<IgnoredAny>(&bytes).is_err() {
                return bare(reader, received);
            }
            let read = |model: Model<'_>, shape: ShapeId| {
                json::decode(model, shape, Members::Unbound, &bytes)
            };
            of_fields(reader, received, read)
        }
        Protocol::RpcV2Cbor => {
            let is_map = bytes.first().is_some_and(|first| first >> 5 == 5);
            if !is_map {
                return bare(reader, received);
            }
            let read = |model: Model<'_>, shape: ShapeId| cbor::decode(model, shape, &bytes);
            of_fields(reader, received, read)
        }
    }
}

/// An error without a body that says more.
fn bare(reader: &Reader<'_>, received: &Received<'_>) -> Result<Failure, Unreadable> {
    let known = Known {
        code: header_code(received),
        ..Known::default()
    };
    let error = known.finish(reader, received, |_| Ok(nothing()))?;
    Ok((error, None))
}

/// What was found before the shape is known.
#[derive(Debug, Default)]
struct Known {
    /// The code as this protocol writes it.
    code: Option<String>,
    message: Option<String>,
    sender: Option<bool>,
}

impl Known {
    fn finish(
        self,
        reader: &Reader<'_>,
        received: &Received<'_>,
        members: impl FnOnce(ShapeId) -> Result<Value, Unreadable>,
    ) -> Result<ServiceError, Unreadable> {
        let status = ServiceError::of_status(received.status);
        let (Some(own), code, sender) = self.codes(received) else {
            let message = self.message.filter(|text| !text.is_empty());
            return Ok(ServiceError {
                message: message.or(status.message),
                ..status
            });
        };
        let found = shape_of(reader, &own).or_else(|| shape_of(reader, &code));
        let mut error = ServiceError {
            fault: fault(&code, sender, found, received.status),
            code,
            message: self.message,
            shape: None,
            members: nothing(),
        };
        if let Some((id, structure)) = found {
            let mut entries = rest::heads(reader, structure, received)?;
            if let Value::Structure(read) = members(id)? {
                entries.extend(read);
            }
            error.shape = Some(structure.name.clone());
            error.members = Value::Structure(entries);
        }
        Ok(error)
    }

    /// The protocol's own code, the code that SDKs show, and whether the sender is at fault. A
    /// service that left awsQuery still tells its old codes in a header.
    fn codes(&self, received: &Received<'_>) -> (Option<String>, String, Option<bool>) {
        let own = self.code.as_deref().and_then(plain);
        let query = received.headers.get("x-amzn-query-error");
        let query = query.and_then(|value| value.to_str().ok()?.split_once(';'));
        let old = query.and_then(|(code, kind)| Some((plain(code)?, kind)));
        match (own, old) {
            (Some(own), Some((code, kind))) => (Some(own), code, sender(kind).or(self.sender)),
            (None, Some((code, kind))) => (Some(code.clone()), code, sender(kind)),
            (own, None) => (own.clone(), own.unwrap_or_default(), self.sender),
        }
    }
}

fn sender(kind: &str) -> Option<bool> {
    match kind {
        "Sender" => Some(true),
        "Receiver" | "Server" => Some(false),
        _ => None,
    }
}

fn fault(
    code: &str,
    sender: Option<bool>,
    shape: Option<(ShapeId, &Structure)>,
    status: StatusCode,
) -> Fault {
    if status.as_u16() >= 400 {
        return fault_of(status);
    }
    let modelled = shape.and_then(|(_, structure)| structure.error.as_ref()?.status);
    match (sender, modelled) {
        (Some(true), _) => Fault::Downstream,
        (Some(false), _) => Fault::Upstream,
        (None, Some(status)) if status >= 500 => Fault::Upstream,
        (None, _) if S3_FAULTS.contains(&code) => Fault::Upstream,
        (None, _) => Fault::Downstream,
    }
}

fn fault_of(status: StatusCode) -> Fault {
    if status.is_server_error() {
        Fault::Upstream
    } else {
        Fault::Downstream
    }
}

/// `Code`, `Code:http://…` or `namespace#Code`.
fn plain(code: &str) -> Option<String> {
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    let fits =
        (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| code.to_owned())
}

fn header_code(received: &Received<'_>) -> Option<String> {
    let code = received.headers.get("x-amzn-errortype")?;
    code.to_str().ok().map(str::to_owned)
}

/// The operation's error of that code, or another of the service's.
fn shape_of<'a>(reader: &Reader<'a>, code: &str) -> Option<(ShapeId, &'a Structure)> {
    let own = reader.operation.errors.iter().copied();
    let count = u32::try_from(reader.model.service.shapes.len()).ok()?;
    own.chain((0..count).map(ShapeId)).find_map(|id| {
        let structure = reader.model.service.structure(id)?;
        let error = structure.error.as_ref()?;
        let named = error.code.as_deref() == Some(code) || structure.name == code;
        named.then_some((id, structure))
    })
}

/// An error that is a JSON object or a CBOR map.
fn of_fields(
    reader: &Reader<'_>,
    received: &Received<'_>,
    read: impl Fn(Model<'_>, ShapeId) -> Result<Value, crate::refusal::Refusal>,
) -> Result<Failure, Unreadable> {
    let members = read(Model::tolerant(fields()), ShapeId(0))?.into_members();
    let Some(fields) = members.map(Value::Structure) else {
        return bare(reader, received);
    };
    let text = |names: [&str; 2]| {
        let found = names
            .into_iter()
            .find_map(|name| fields.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let rest = reader.protocol == Protocol::RestJson;
    let (first, second) = (text(["code", "Code"]), text(["__type", "__type"]));
    let (first, second) = if rest {
        (first, second)
    } else {
        (second, first)
    };
    let known = Known {
        code: header_code(received).or(first).or(second),
        message: text(["message", "Message"]),
        sender: None,
    };
    let error = known.finish(reader, received, |id| Ok(read(reader.model, id)?))?;
    Ok((error, None))
}

/// What every JSON or CBOR error has, as a model of its own.
fn fields() -> &'static Service {
    static FIELDS: OnceLock<Service> = OnceLock::new();
    FIELDS.get_or_init(|| Service {
        name: String::new(),
        operations: Vec::new(),
        shapes: vec![
            Shape::Structure(Structure {
                name: "error".to_owned(),
                members: ["__type", "code", "Code", "message", "Message"]
                    .map(field)
                    .into(),
                payload: None,
                union: false,
                event_stream: false,
                sensitive: false,
                error: None,
            }),
            Shape::String { sensitive: false },
        ],
        endpoints: Endpoints {
            defaults: Vec::new(),
            exceptions: Vec::new(),
        },
    })
}

fn field(name: &str) -> Member {
    Member {
        name: name.to_owned(),
        shape: ShapeId(1),
        location: Location::Body,
        location_name: None,
        query_name: None,
        required: false,
        flattened: false,
        xml_attribute: false,
        json_value: false,
        sensitive: false,
        host_label: false,
        event_payload: false,
        event_header: false,
        streaming: false,
        timestamp: None,
    }
}

/// An error in XML: `<Error>` alone, in `<ErrorResponse>` or in `<Response><Errors>`.
///
/// # Errors
/// [`Unreadable`] for a code or message that is there twice.
pub(super) fn of_xml(
    reader: &Reader<'_>,
    received: &Received<'_>,
    root: &Element,
) -> Result<ServiceError, Unreadable> {
    let element = error_element(root).unwrap_or(root);
    let text = |name: &str| -> Result<Option<String>, Unreadable> {
        let found = element.one(name)?;
        Ok(found.and_then(|found| Some(found.loose_text().ok()?.to_owned())))
    };
    let message = text("Message")?;
    let known = Known {
        code: text("Code")?.or_else(|| header_code(received)),
        message: message.or(text("message")?),
        sender: text("Type")?.as_deref().and_then(sender),
    };
    known.finish(reader, received, |id| {
        Ok(xml::element(reader.model, id, element)?)
    })
}

fn error_element(root: &Element) -> Option<&Element> {
    if root.name == "Error" {
        return Some(root);
    }
    root.child("Error")
        .or_else(|| root.child("Errors")?.named("Error").next())
}
