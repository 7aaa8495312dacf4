//! Inputs of the REST protocols: URI labels, query parameters, headers and the body, put together
//! by the model. Query parameters and `x-amz-*` headers that the operation does not have are
//! refused, because AWS may read them although nobody here did.

mod body;
mod headers;

use super::Input;
use super::form::Parameter;
use super::route::{self, Target};
use super::text::{duplicate, quote, scalar, wrong_type};
use crate::call::Value;
use crate::catalog::{Location, Member, Operation, Service, Shape, Structure, TimestampFormat};
use crate::refusal::Refusal;
use crate::sigv4::Payload;

/// A REST call's target as matched by [`Target::fit`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Matched<'a> {
    pub(super) target: &'a Target,
    pub(super) labels: &'a [(String, String)],
}

/// Parameters of SigV4 in a query string; they are of the signature, not of the call.
const SIGNATURE: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Decodes the whole input.
///
/// # Errors
/// [`Refusal::InvalidInput`], [`Refusal::Ambiguous`] or [`Refusal::Malformed`].
pub(super) fn decode(input: &Input<'_>, matched: Matched<'_>) -> Result<Value, Refusal> {
    let structure = route::input(input.service, input.operation);
    let mut decoder = Decoder {
        input,
        entries: Vec::new(),
    };
    decoder.query(structure, matched.target)?;
    decoder.labels(structure, matched.labels)?;
    headers::decode(input, structure, &mut decoder.entries)?;
    body::decode(input, structure, &mut decoder.entries)?;
    if let Some(name) = input.model.repeated(&decoder.entries) {
        return Err(duplicate(name));
    }
    Ok(Value::Structure(decoder.entries))
}

struct Decoder<'a> {
    input: &'a Input<'a>,
    entries: Vec<(String, Value)>,
}

impl Decoder<'_> {
    fn labels(
        &mut self,
        structure: Option<&Structure>,
        labels: &[(String, String)],
    ) -> Result<(), Refusal> {
        let members = structure.map_or(&[][..], |structure| &structure.members);
        for (name, text) in labels {
            let member = members
                .iter()
                .find(|member| member.location == Location::Uri && wire_name(member) == name)
                .ok_or(Refusal::Internal)?;
            let value = self.scalar(member, text.clone())?;
            self.entries.push((member.name.clone(), value));
        }
        Ok(())
    }

    fn query(&mut self, structure: Option<&Structure>, target: &Target) -> Result<(), Refusal> {
        let members = structure.map_or(&[][..], |structure| &structure.members);
        let mut rest = self.unmodelled(members, target)?;
        for member in members {
            if member.location != Location::Querystring {
                continue;
            }
            let shape = shape_of(self.input.service, member)?;
            if let Shape::Map { value, .. } = shape {
                let lists = matches!(self.input.service.shape(*value), Some(Shape::List { .. }));
                self.map(member, std::mem::take(&mut rest), lists.into())?;
                continue;
            }
            let given = target
                .query
                .iter()
                .filter(|parameter| parameter.name == wire_name(member))
                .filter(|parameter| !fixed(self.input.operation, parameter));
            let texts: Vec<String> = given.map(text_of).collect();
            self.parameter(member, shape, texts)?;
        }
        for (name, text) in rest {
            if !structure.is_some_and(|own| self.input.model.keeps(own, &name)) {
                return Err(Refusal::InvalidInput(format!(
                    "`{}` is not a query parameter of `{}`; names are case-sensitive",
                    quote(&name),
                    self.input.operation.name
                )));
            }
            self.entries.push((name, Value::String(text)));
        }
        Ok(())
    }

    fn parameter(
        &mut self,
        member: &Member,
        shape: &Shape,
        mut texts: Vec<String>,
    ) -> Result<(), Refusal> {
        let value = match (shape, texts.len()) {
            (_, 0) => return Ok(()),
            (
                Shape::List {
                    member: element, ..
                },
                _,
            ) => {
                let shape = self
                    .input
                    .service
                    .shape(*element)
                    .ok_or(Refusal::Internal)?;
                texts
                    .into_iter()
                    .map(|text| query_scalar(&member.name, shape, text, member.timestamp))
                    .collect::<Result<_, _>>()
                    .map(Value::List)?
            }
            (_, 1) => self.scalar(member, texts.pop().unwrap_or_default())?,
            _ => return Err(duplicate(wire_name(member))),
        };
        self.entries.push((member.name.clone(), value));
        Ok(())
    }

    /// Parameters that no member names: left for a map of all others, or refused.
    fn unmodelled(
        &self,
        members: &[Member],
        target: &Target,
    ) -> Result<Vec<(String, String)>, Refusal> {
        let presigned = !self.input.head.headers.contains_key("authorization");
        let mut rest = Vec::new();
        for parameter in &target.query {
            let name = parameter.name.as_str();
            let same = |other: &&Parameter| other.name == name;
            let own = fixed(self.input.operation, parameter) || name == "x-id";
            if own && target.query.iter().filter(same).count() > 1 {
                return Err(duplicate(name));
            }
            let known = fixed(self.input.operation, parameter)
                || (presigned && SIGNATURE.contains(&name))
                || members.iter().any(|member| {
                    member.location == Location::Querystring
                        && wire_name(member) == name
                        && !self.is_map(member)
                });
            if known {
                continue;
            }
            // SDKs name the operation here so that S3's look-alikes can be told apart in logs.
            if name == "x-id" && parameter.value.as_deref() == Some(&self.input.operation.name) {
                continue;
            }
            if ["action", "version"].contains(&name.to_ascii_lowercase().as_str()) {
                let text = format!("query parameter `{}` of another protocol", quote(name));
                return Err(Refusal::Ambiguous(text));
            }
            rest.push((name.to_owned(), text_of(parameter)));
        }
        Ok(rest)
    }

    fn map(
        &mut self,
        member: &Member,
        given: Vec<(String, String)>,
        values: MapValues,
    ) -> Result<(), Refusal> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        for (name, text) in given {
            let known = entries.iter_mut().find(|(known, _)| *known == name);
            match (known, values) {
                (None, MapValues::Lists) => {
                    entries.push((name, Value::List(vec![Value::String(text)])));
                }
                (None, MapValues::Texts) => entries.push((name, Value::String(text))),
                (Some((_, Value::List(texts))), MapValues::Lists) => {
                    texts.push(Value::String(text));
                }
                (Some(_), MapValues::Lists | MapValues::Texts) => return Err(duplicate(&name)),
            }
        }
        if !entries.is_empty() {
            self.entries
                .push((member.name.clone(), Value::Map(entries)));
        }
        Ok(())
    }

    fn scalar(&self, member: &Member, text: String) -> Result<Value, Refusal> {
        let shape = shape_of(self.input.service, member)?;
        query_scalar(&member.name, shape, text, member.timestamp)
    }

    fn is_map(&self, member: &Member) -> bool {
        matches!(shape_of(self.input.service, member), Ok(Shape::Map { .. }))
    }
}

/// What a map of query parameters holds.
#[derive(Clone, Copy, Debug)]
enum MapValues {
    Lists,
    Texts,
}

impl From<bool> for MapValues {
    fn from(lists: bool) -> Self {
        if lists { Self::Lists } else { Self::Texts }
    }
}

/// A member's name where HTTP carries it.
fn wire_name(member: &Member) -> &str {
    member.location_name.as_ref().unwrap_or(&member.name)
}

fn text_of(parameter: &Parameter) -> String {
    parameter.value.clone().unwrap_or_default()
}

fn fixed(operation: &Operation, parameter: &Parameter) -> bool {
    let (_, query) = route::split_template(&operation.uri);
    query
        .split('&')
        .any(|literal| route::is(parameter, literal))
}

fn query_scalar(
    name: &str,
    shape: &Shape,
    text: String,
    own: Option<TimestampFormat>,
) -> Result<Value, Refusal> {
    scalar(name, shape, text, own, TimestampFormat::Iso8601)
}

/// Whether the body of such an input is a stream of that kind.
pub(super) fn streams(service: &Service, structure: &Structure, payload: &Payload) -> bool {
    let member = structure.payload_member();
    let shape = member.and_then(|member| Some((member, service.shape(member.shape)?)));
    match (payload, shape) {
        (Payload::Events, Some((_, Shape::Structure(own)))) => own.event_stream,
        (Payload::Streamed, Some((member, Shape::Blob { streaming, .. }))) => {
            *streaming || member.streaming
        }
        (Payload::Events | Payload::Streamed | Payload::Whole(_), _) => false,
    }
}

/// A member's shape.
fn shape_of<'s>(service: &'s Service, member: &Member) -> Result<&'s Shape, Refusal> {
    service.shape(member.shape).ok_or(Refusal::Internal)
}

/// The refusal for a body where the operation has none, or of the wrong kind.
fn wrong_body(expected: &str) -> Refusal {
    wrong_type("the body", expected)
}
