//! Messages of an event stream as the model's events: outputs as AWS sends them, inputs as agents
//! do.

use bytes::Bytes;

use super::{Frame, HeaderValue};
use crate::answer::Unreadable;
use crate::call::Value;
use crate::catalog::{Member, Operation, Protocol, Service, Shape, ShapeId, Structure};
use crate::codec::json::Members;
use crate::codec::xml::tree;
use crate::codec::{Model, Reading, cbor, json, xml};
use crate::refusal::Refusal;

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the agent: read exactly.
    Input,
    /// From AWS: read tolerantly.
    Output,
}

/// What one message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An error that the model does not have.
    Error {
        /// AWS's code.
        code: String,
        /// AWS's own words.
        message: Option<String>,
    },
    /// An event of the model.
    Event {
        /// The stream's member.
        name: String,
        /// Always a structure.
        value: Value,
    },
    /// An error of the model, which ends the stream.
    Exception {
        /// The stream's member.
        name: String,
        /// Always a structure.
        value: Value,
    },
    /// The other members of the input or output, in protocols without headers for them.
    Initial(Value),
    /// An event or exception that is newer than the model.
    Unknown {
        /// Its name.
        name: String,
    },
}

impl Event {
    /// The code, where it is an error of whatever kind.
    pub fn error_code(frame: &Frame) -> Option<&str> {
        match frame.text(":message-type")? {
            "error" => frame.text(":error-code"),
            "exception" => frame.text(":exception-type"),
            _ => None,
        }
    }
}

/// The model of one operation's stream in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    model: Model<'a>,
    holder: ShapeId,
    stream: &'a Structure,
    protocol: Protocol,
}

impl<'a> Events<'a> {
    /// `None` if the operation has no stream that way.
    pub fn new(
        service: &'a Service,
        operation: &Operation,
        protocol: Protocol,
        direction: Direction,
    ) -> Option<Self> {
        let (holder, model) = match direction {
            Direction::Input => (operation.input?, Model::exact(service)),
            Direction::Output => (operation.output?, Model::tolerant(service)),
        };
        let structure = service.structure(holder)?;
        let (stream, _) = crate::answer::event_stream(service, structure)?;
        Some(Self {
            model,
            holder,
            stream,
            protocol,
        })
    }

    /// Reads one message.
    ///
    /// # Errors
    /// [`Unreadable`] for a message that the protocol does not allow or the model does not fit.
    pub fn decode(&self, frame: &Frame) -> Result<Event, Unreadable> {
        let named = |name| {
            let text = frame.text(name).map(str::to_owned);
            text.ok_or_else(|| Unreadable(format!("a message of the stream has no `{name}`")))
        };
        match frame.text(":message-type") {
            Some("event") => self.event(named(":event-type")?, frame),
            Some("exception") => self.exception(named(":exception-type")?, frame),
            Some("error") => Ok(Event::Error {
                code: named(":error-code")?,
                message: frame.text(":error-message").map(str::to_owned),
            }),
            Some(_) | None => Err(Unreadable(
                "a message of the stream is of no known type".to_owned(),
            )),
        }
    }

    /// Checks an agent's event: nothing but what the model has, in its one form.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(super) fn check(&self, frame: &Frame) -> Result<(), Unreadable> {
        let event = self.decode(frame)?;
        let Event::Event { name, .. } = &event else {
            let text = "the stream takes events of its operation only";
            return Err(Unreadable(text.to_owned()));
        };
        let member = self.member(name).ok_or(Refusal::Internal)?;
        let Shape::Structure(structure) = self.model.shape(member.shape)? else {
            return Err(Refusal::Internal.into());
        };
        self.check_headers(structure, frame)
    }

    fn check_headers(&self, event: &Structure, frame: &Frame) -> Result<(), Unreadable> {
        let modelled = |name: &str| {
            let mut members = event.members.iter();
            members.any(|member| member.event_header && member.name == name)
        };
        let known = [":content-type", ":event-type", ":message-type"];
        let mut names = frame.headers.iter().map(|(name, _)| name.as_str());
        if !names.all(|name| known.contains(&name) || modelled(name)) {
            let text = "an event of the stream has a header that the model does not have";
            return Err(Unreadable(text.to_owned()));
        }
        match frame.header(":content-type") {
            None => Ok(()),
            Some(HeaderValue::String(media)) if self.media(event)?.contains(&media.as_str()) => {
                Ok(())
            }
            Some(_) => Err(Unreadable(
                "an event of the stream is of another content type".to_owned(),
            )),
        }
    }

    /// What an event's payload may call itself.
    fn media(&self, event: &Structure) -> Result<&'static [&'static str], Unreadable> {
        let payload = event.members.iter().find(|member| member.event_payload);
        let shape = payload.map(|member| self.model.shape(member.shape));
        let shape = shape.transpose()?;
        if matches!(shape, Some(Shape::Blob { .. })) {
            return Ok(&["application/octet-stream"]);
        }
        if matches!(shape, Some(Shape::String { .. })) {
            return Ok(&["text/plain"]);
        }
        Ok(self.document())
    }

    fn document(&self) -> &'static [&'static str] {
        match self.protocol {
            Protocol::Json10 => &["application/x-amz-json-1.0"],
            Protocol::Json11 => &["application/x-amz-json-1.1"],
            Protocol::RestJson => &["application/json"],
            Protocol::RpcV2Cbor => &["application/cbor"],
            Protocol::Ec2Query | Protocol::Query | Protocol::RestXml => {
                &["application/xml", "text/xml"]
            }
        }
    }

    fn event(&self, name: String, frame: &Frame) -> Result<Event, Unreadable> {
        if matches!(name.as_str(), "initial-request" | "initial-response") {
            let value = self.body(self.holder, &frame.payload)?;
            return Ok(Event::Initial(value));
        }
        Ok(match self.member(&name) {
            Some(member) => Event::Event {
                value: self.value(member, frame)?,
                name,
            },
            None => self.unknown(name)?,
        })
    }

    fn exception(&self, name: String, frame: &Frame) -> Result<Event, Unreadable> {
        Ok(match self.member(&name) {
            Some(member) => Event::Exception {
                value: self.value(member, frame)?,
                name,
            },
            None => self.unknown(name)?,
        })
    }

    fn unknown(&self, name: String) -> Result<Event, Unreadable> {
        if self.model.is_tolerant() {
            return Ok(Event::Unknown { name });
        }
        Err(Unreadable(
            "the stream has no event of that name".to_owned(),
        ))
    }

    fn member(&self, name: &str) -> Option<&'a Member> {
        self.stream
            .members
            .iter()
            .find(|member| member.name == name)
    }

    fn value(&self, member: &Member, frame: &Frame) -> Result<Value, Unreadable> {
        let Shape::Structure(event) = self.model.shape(member.shape)? else {
            return Err(Refusal::Internal.into());
        };
        let mut entries = self.heads(event, frame)?;
        match event.members.iter().find(|member| member.event_payload) {
            Some(payload) => {
                let value = self.payload(payload, &frame.payload)?;
                entries.push((payload.name.clone(), value));
            }
            None => {
                if let Value::Structure(members) = self.body(member.shape, &frame.payload)? {
                    entries.extend(members);
                }
            }
        }
        match crate::codec::text::repeated(&entries) {
            Some(name) => Err(Unreadable(format!("`{name}` is there twice"))),
            None => Ok(Value::Structure(entries)),
        }
    }

    fn heads(&self, event: &Structure, frame: &Frame) -> Result<Vec<(String, Value)>, Unreadable> {
        let mut entries = Vec::new();
        for member in event.members.iter().filter(|member| member.event_header) {
            let Some(header) = frame.header(&member.name) else {
                continue;
            };
            let value = head(header);
            if !self.model.is_tolerant() && !fits(self.model.shape(member.shape)?, &value) {
                let text = format!("header `{}` is of another type", member.name);
                return Err(Unreadable(text));
            }
            entries.push((member.name.clone(), value));
        }
        Ok(entries)
    }

    /// The member that is the whole payload.
    fn payload(&self, member: &Member, bytes: &Bytes) -> Result<Value, Unreadable> {
        match self.model.shape(member.shape)? {
            Shape::Blob { .. } => Ok(Value::Blob(bytes.clone())),
            Shape::String { .. } => String::from_utf8(bytes.to_vec())
                .map(Value::String)
                .map_err(|_| Unreadable("an event is not UTF-8".to_owned())),
            Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::Structure(_)
            | Shape::Timestamp(_) => self.body(member.shape, bytes),
        }
    }

    fn body(&self, shape: ShapeId, bytes: &Bytes) -> Result<Value, Unreadable> {
        if bytes.is_empty() {
            return Ok(Value::Structure(Vec::new()));
        }
        Ok(match self.protocol {
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
                json::decode(self.model, shape, Members::All, bytes)?
            }
            Protocol::RpcV2Cbor => cbor::decode(self.model, shape, bytes)?,
            Protocol::Ec2Query | Protocol::Query | Protocol::RestXml => {
                let reading = if self.model.is_tolerant() {
                    Reading::Tolerant
                } else {
                    Reading::Exact
                };
                let root = tree::parse(bytes, reading)?;
                xml::element(self.model, shape, &root)?
            }
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of any real date fit in a double"
)]
fn head(header: &HeaderValue) -> Value {
    match header {
        HeaderValue::Boolean(value) => Value::Boolean(*value),
        HeaderValue::Bytes(bytes) => Value::Blob(bytes.clone()),
        HeaderValue::Integer(number) => Value::Integer(*number),
        HeaderValue::String(text) => Value::String(text.clone()),
        HeaderValue::Timestamp(millis) => Value::Timestamp(*millis as f64 / 1000.0),
        HeaderValue::Uuid(bytes) => Value::Blob(Bytes::copy_from_slice(bytes)),
    }
}

fn fits(shape: &Shape, value: &Value) -> bool {
    matches!(
        (shape, value),
        (Shape::Blob { .. }, Value::Blob(_))
            | (Shape::Boolean, Value::Boolean(_))
            | (Shape::Integer, Value::Integer(_))
            | (Shape::String { .. }, Value::String(_))
            | (Shape::Timestamp(_), Value::Timestamp(_))
    )
}
