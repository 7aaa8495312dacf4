//! AWS's answers, decoded by the model of the call they answer: outputs and errors of every
//! protocol to the same [`Value`]s, members by their model names and in the answer's order.
//!
//! AWS may be newer than the model, so what the model does not have is left out. What could be read
//! in two ways is not read at all: [`Unreadable`].

mod error;
mod late;
mod rest;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::call::{Call, Value};
use crate::catalog::{Catalog, Member, Operation, Protocol, Service, Shape, Structure};
use crate::codec::json::Members;
use crate::codec::xml::tree::{self, Element};
use crate::codec::{Model, Reading, cbor, json, xml};
use crate::refusal::{Fault, Refusal};

pub use self::error::ServiceError;
pub use self::late::LateError;

/// What is known of an answer before it comes: the call that it answers.
#[derive(Clone, Debug)]
pub struct Expected {
    service: Arc<Service>,
    operation: String,
    protocol: Protocol,
}

/// An answer as it came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The status of its head.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: Body<'a>,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// It passes by and is not looked at.
    Streamed,
    /// All of it.
    Whole(&'a Bytes),
}

/// A decoded answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// AWS's own id of the call: the join with CloudTrail.
    pub request_id: Option<String>,
    /// The operation's output, always a structure, or the error that AWS answered with.
    pub result: Result<Value, ServiceError>,
}

/// An answer that is not what its protocol allows, or that could be read in two ways. The text
/// names members of the model, never what the answer holds.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("AWS's answer cannot be read: {0}")]
pub struct Unreadable(pub(crate) String);

impl From<Refusal> for Unreadable {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Ambiguous(text) | Refusal::InvalidInput(text) | Refusal::Malformed(text) =
            refusal
        {
            return Self(text);
        }
        Self(refusal.to_string())
    }
}

impl Expected {
    /// The answer to a decoded call.
    pub fn of(catalog: &Catalog, call: &Call) -> Option<Self> {
        Self::new(catalog, call.service(), call.operation(), call.protocol())
    }

    /// The answer to an operation that was called in that protocol; `None` if the catalog does not
    /// have it.
    pub fn new(
        catalog: &Catalog,
        service: &str,
        operation: &str,
        protocol: Protocol,
    ) -> Option<Self> {
        let service = catalog.service(service)?;
        service.operation(operation)?;
        Some(Self {
            service,
            operation: operation.to_owned(),
            protocol,
        })
    }

    /// Decodes an answer: an error if its status says so, or if S3 says so in its body.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(&self, received: &Received<'_>) -> Result<Answer, Unreadable> {
        let reader = self.reader()?;
        if received.is_error() {
            let (error, request_id) = error::decode(&reader, received)?;
            return Ok(received.answer(request_id, Err(error)));
        }
        let (output, request_id) = reader.output(received)?;
        Ok(received.answer(request_id, output))
    }

    /// The error that an answer is, as far as it can be made out: nothing but the status where its
    /// body cannot be read. `None` for answers that are none.
    pub fn error(&self, received: &Received<'_>) -> Option<ServiceError> {
        if received.is_error() {
            let read = self.decode(received).ok();
            let error = read.and_then(|answer| answer.result.err());
            return Some(error.unwrap_or_else(|| ServiceError::of_status(received.status)));
        }
        let mut late = self.late_error(received.status)?;
        late.take(&received.bytes());
        late.finish(self, received.status)
    }

    /// Watches a body for an error behind a status of success, where S3 may answer so.
    pub fn late_error(&self, status: StatusCode) -> Option<LateError> {
        let reader = self.reader().ok()?;
        let watched = status.is_success() && reader.is_s3() && !reader.is_opaque();
        watched.then(LateError::default)
    }

    /// Whether the answer's body is an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.reader()
            .is_ok_and(|reader| reader.event_stream().is_some())
    }

    /// Whose fault an error is that ends the answer's event stream: AWS's, unless the model has it
    /// and does not say so.
    pub fn event_fault(&self, code: &str) -> Fault {
        let reader = self.reader().ok();
        let stream = reader.and_then(|reader| reader.event_stream());
        let member = stream.and_then(|(stream, _)| {
            let mut members = stream.members.iter();
            members.find(|member| member.name == code)
        });
        let shape = member.and_then(|member| self.service.structure(member.shape));
        match shape.and_then(|shape| shape.error.as_ref()) {
            Some(error) if error.status.is_none_or(|status| status < 500) => Fault::Downstream,
            Some(_) | None => Fault::Upstream,
        }
    }

    fn operation(&self) -> Option<&Operation> {
        self.service.operation(&self.operation)
    }

    fn reader(&self) -> Result<Reader<'_>, Unreadable> {
        let operation = self.operation().ok_or(Refusal::Internal)?;
        Ok(Reader {
            model: Model::tolerant(&self.service),
            operation,
            protocol: self.protocol,
        })
    }
}

impl Received<'_> {
    fn is_error(&self) -> bool {
        self.status.as_u16() >= 300
    }

    /// The body, where it was read; a streamed one counts as empty.
    fn bytes(&self) -> Bytes {
        match self.body {
            Body::Streamed => Bytes::new(),
            Body::Whole(bytes) => bytes.clone(),
        }
    }

    fn answer(&self, inside: Option<String>, result: Result<Value, ServiceError>) -> Answer {
        Answer {
            request_id: request_id(self.headers).map(str::to_owned).or(inside),
            result,
        }
    }
}

/// AWS's own id of a call, under the names its services give it.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"]
        .into_iter()
        .find_map(|name| headers.get(name))
        .and_then(|value| value.to_str().ok())
}

/// What a decoder looks at.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    model: Model<'a>,
    operation: &'a Operation,
    protocol: Protocol,
}

/// An output, or the error in its place, and the request id that the body holds.
type Output = (Result<Value, ServiceError>, Option<String>);

impl<'a> Reader<'a> {
    fn output(&self, received: &Received<'_>) -> Result<Output, Unreadable> {
        match self.protocol {
            Protocol::RestJson | Protocol::RestXml => return rest::decode(self, received),
            Protocol::Ec2Query
            | Protocol::Json10
            | Protocol::Json11
            | Protocol::Query
            | Protocol::RpcV2Cbor => {}
        }
        if let Some((_, member)) = self.event_stream() {
            let stream = vec![(member.name.clone(), Value::Stream)];
            return Ok((Ok(Value::Structure(stream)), None));
        }
        let bytes = received.bytes();
        if bytes.is_empty() {
            return Ok((Ok(nothing()), None));
        }
        if matches!(self.protocol, Protocol::Ec2Query | Protocol::Query) {
            return self.query(&bytes);
        }
        let Some(shape) = self.operation.output else {
            return Ok((Ok(nothing()), None));
        };
        let value = if self.protocol == Protocol::RpcV2Cbor {
            cbor::decode(self.model, shape, &bytes)?
        } else {
            json::decode(self.model, shape, Members::All, &bytes)?
        };
        Ok((Ok(structure_or_nothing(value)), None))
    }

    /// `<XResponse><XResult>…</XResult>…</XResponse>`, and EC2 without the wrapper.
    fn query(&self, bytes: &Bytes) -> Result<Output, Unreadable> {
        let root = tree::parse(bytes, Reading::Tolerant)?;
        let request_id = xml_request_id(&root);
        let Some(shape) = self.operation.output else {
            return Ok((Ok(nothing()), request_id));
        };
        let wrapper = self.operation.result_wrapper.as_deref();
        let result = match wrapper.and_then(|wrapper| root.one(wrapper).transpose()) {
            Some(result) => result?,
            None => &root,
        };
        let value = xml::element(self.model, shape, result)?;
        Ok((Ok(structure_or_nothing(value)), request_id))
    }

    fn output_structure(&self) -> Option<&'a Structure> {
        self.model.service.structure(self.operation.output?)
    }

    /// The output's event stream and the member that is it.
    fn event_stream(&self) -> Option<(&'a Structure, &'a Member)> {
        event_stream(self.model.service, self.output_structure()?)
    }

    fn is_s3(&self) -> bool {
        self.model.service.name == "s3"
    }

    /// Whether the body is something else than modelled XML or JSON: an object, a text, events.
    fn is_opaque(&self) -> bool {
        let payload = self.output_structure().and_then(Structure::payload_member);
        payload.is_some_and(|member| match self.model.service.shape(member.shape) {
            Some(Shape::Blob { .. } | Shape::String { .. }) => true,
            Some(Shape::Structure(structure)) => structure.event_stream,
            Some(_) | None => false,
        })
    }
}

/// The event stream among a structure's members.
pub(crate) fn event_stream<'s>(
    service: &'s Service,
    holder: &'s Structure,
) -> Option<(&'s Structure, &'s Member)> {
    holder.members.iter().find_map(|member| {
        let stream = service.structure(member.shape)?;
        stream.event_stream.then_some((stream, member))
    })
}

fn nothing() -> Value {
    Value::Structure(Vec::new())
}

/// A JSON `null` or an empty element in the place of an output.
fn structure_or_nothing(value: Value) -> Value {
    Value::Structure(value.into_members().unwrap_or_default())
}

/// The request id in an XML answer, under its three spellings and in both places.
fn xml_request_id(root: &Element) -> Option<String> {
    let metadata = root.child("ResponseMetadata");
    [Some(root), metadata]
        .into_iter()
        .flatten()
        .flat_map(|holder| ["RequestId", "RequestID", "requestId"].map(|name| holder.child(name)))
        .flatten()
        .find_map(|element| element.loose_text().ok())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
