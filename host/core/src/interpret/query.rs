//! Parameters of awsQuery and ec2Query (`Foo.member.1.Bar=…`), decoded by the model. List and map
//! indices run from 1 without gaps or leading zeros, every name is the model's own, nothing is
//! there twice.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::text::{duplicate, quote, scalar, wrong_type};
use crate::call::Value;
use crate::catalog::{Member, Protocol, Service, Shape, ShapeId, Structure, TimestampFormat};
use crate::codec::Model;
use crate::refusal::Refusal;

/// Dots in one name; the deepest models need about twenty.
const MAX_DEPTH: usize = 48;

/// Decodes the parameters of a call, without its `Action` and `Version`.
///
/// # Errors
/// [`Refusal::Ambiguous`] for a parameter that is there twice, [`Refusal::InvalidInput`] for what
/// the model does not have.
pub(super) fn decode(
    model: Model<'_>,
    shape: ShapeId,
    protocol: Protocol,
    parameters: &[(String, String)],
) -> Result<Value, Refusal> {
    let mut root = Node::default();
    for (name, value) in parameters {
        root.insert(name, value)?;
    }
    let service = model.service;
    Decoder {
        model,
        service,
        protocol,
    }
    .value("the body", shape, None, &root)
}

/// Parameters that share the names before them.
#[derive(Default)]
struct Node<'p> {
    value: Option<&'p str>,
    below: BTreeMap<&'p str, Self>,
}

impl<'p> Node<'p> {
    fn insert(&mut self, name: &'p str, value: &'p str) -> Result<(), Refusal> {
        if name.bytes().filter(|byte| *byte == b'.').count() > MAX_DEPTH {
            return Err(Refusal::InvalidInput(
                "a parameter is nested too deeply".into(),
            ));
        }
        let mut node = self;
        for segment in name.split('.') {
            node = node.below.entry(segment).or_default();
        }
        match node.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(duplicate(name)),
        }
    }

    /// What is below, of a node that has no value of its own.
    fn inner(&self, name: &str) -> Result<&BTreeMap<&'p str, Self>, Refusal> {
        match self.value {
            None => Ok(&self.below),
            Some(_) => Err(wrong_type(name, "a structure, not text")),
        }
    }

    /// The one node below, which must have that name.
    fn only(&self, name: &str, wrapper: &str) -> Result<&Self, Refusal> {
        let below = self.inner(name)?;
        match below.get(wrapper) {
            Some(node) if below.len() == 1 => Ok(node),
            Some(_) | None => Err(wrong_type(name, &format!("written as `….{wrapper}.1`"))),
        }
    }

    /// The nodes below `1`, `2`, … in order.
    fn elements(&self, name: &str) -> Result<Vec<&Self>, Refusal> {
        let below = self.inner(name)?;
        (1..=below.len())
            .map(|index| below.get(index.to_string().as_str()))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong_type(name, "numbered from 1 without gaps"))
    }
}

struct Decoder<'a> {
    model: Model<'a>,
    service: &'a Service,
    protocol: Protocol,
}

impl Decoder<'_> {
    fn value(
        &self,
        name: &str,
        shape: ShapeId,
        member: Option<&Member>,
        node: &Node<'_>,
    ) -> Result<Value, Refusal> {
        let shape = self.service.shape(shape).ok_or(Refusal::Internal)?;
        match shape {
            Shape::Structure(structure) => self.structure(name, structure, node),
            Shape::List { .. } => self.list(name, shape, member, node),
            Shape::Map { .. } => self.map(name, shape, member, node),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::String { .. }
            | Shape::Timestamp(_) => {
                let format = member.and_then(|member| member.timestamp);
                leaf(name, shape, format, node)
            }
        }
    }

    fn structure(
        &self,
        name: &str,
        structure: &Structure,
        node: &Node<'_>,
    ) -> Result<Value, Refusal> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        for (wire, below) in node.inner(name)? {
            let found = self.member(structure, wire, below);
            if found.is_err() && self.model.keeps(structure, wire) {
                entries.push(((*wire).to_owned(), plain(wire, below)?));
                continue;
            }
            let member = found?;
            if entries.iter().any(|(known, _)| *known == member.name) {
                return Err(duplicate(&member.name));
            }
            let value = self.value(&member.name, member.shape, Some(member), below)?;
            entries.push((member.name.clone(), value));
        }
        if structure.union && entries.len() != 1 {
            return Err(wrong_type(name, "a structure with exactly one member"));
        }
        Ok(Value::Structure(entries))
    }

    fn member<'s>(
        &self,
        structure: &'s Structure,
        wire: &str,
        node: &Node<'_>,
    ) -> Result<&'s Member, Refusal> {
        // botocore writes an empty flattened list under the member's own name, not its element's.
        let empty = node.value == Some("") && node.below.is_empty();
        structure
            .members
            .iter()
            .find(|member| self.wire_name(member) == wire)
            .or_else(|| {
                let own = |member: &&Member| {
                    self.is_list(member)
                        && member.location_name.as_ref().unwrap_or(&member.name) == wire
                };
                structure.members.iter().find(own).filter(|_| empty)
            })
            .ok_or_else(|| {
                Refusal::InvalidInput(format!(
                    "`{}` is not a parameter of `{}`; names are case-sensitive",
                    quote(wire),
                    structure.name
                ))
            })
    }

    fn is_list(&self, member: &Member) -> bool {
        matches!(self.service.shape(member.shape), Some(Shape::List { .. }))
    }

    /// The member's name in a parameter. ec2Query has its own names or capitalises the others;
    /// in awsQuery a flattened list goes by the name of its elements.
    fn wire_name<'s>(&'s self, member: &'s Member) -> Cow<'s, str> {
        let name = member.location_name.as_ref();
        if self.protocol == Protocol::Ec2Query {
            return match (&member.query_name, name) {
                (Some(own), _) => own.into(),
                (None, Some(name)) => capitalised(name),
                (None, None) => (&member.name).into(),
            };
        }
        let element = match self.service.shape(member.shape) {
            Some(Shape::List {
                location_name,
                flattened,
                ..
            }) if *flattened || member.flattened => location_name.as_ref(),
            Some(_) | None => None,
        };
        element.or(name).unwrap_or(&member.name).into()
    }

    fn list(
        &self,
        name: &str,
        shape: &Shape,
        holder: Option<&Member>,
        node: &Node<'_>,
    ) -> Result<Value, Refusal> {
        let Shape::List {
            member,
            location_name,
            flattened,
        } = shape
        else {
            return Err(Refusal::Internal);
        };
        if node.value == Some("") && node.below.is_empty() {
            return Ok(Value::List(Vec::new()));
        }
        let flat = *flattened
            || holder.is_some_and(|holder| holder.flattened)
            || self.protocol == Protocol::Ec2Query;
        let elements = if flat {
            node.elements(name)?
        } else {
            let wrapper = location_name.as_deref().unwrap_or("member");
            node.only(name, wrapper)?.elements(name)?
        };
        elements
            .into_iter()
            .map(|element| self.value(name, *member, None, element))
            .collect::<Result<_, _>>()
            .map(Value::List)
    }

    fn map(
        &self,
        name: &str,
        shape: &Shape,
        holder: Option<&Member>,
        node: &Node<'_>,
    ) -> Result<Value, Refusal> {
        let Shape::Map {
            key,
            value,
            key_name,
            value_name,
            flattened,
        } = shape
        else {
            return Err(Refusal::Internal);
        };
        let flat = *flattened || holder.is_some_and(|holder| holder.flattened);
        let nodes = if flat {
            node.elements(name)?
        } else {
            node.only(name, "entry")?.elements(name)?
        };
        let key_name = key_name.as_deref().unwrap_or("key");
        let value_name = value_name.as_deref().unwrap_or("value");
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        for entry in nodes {
            let parts = entry.inner(name)?;
            let (Some(entry_key), Some(entry_value), 2) =
                (parts.get(key_name), parts.get(value_name), parts.len())
            else {
                return Err(wrong_type(name, "pairs of a key and a value"));
            };
            let Value::String(entry_key) = self.value(name, *key, None, entry_key)? else {
                return Err(Refusal::Internal);
            };
            let entry_value = self.value(name, *value, None, entry_value)?;
            if entries.insert(entry_key, entry_value).is_some() {
                return Err(duplicate(name));
            }
        }
        Ok(Value::Map(entries.into_iter().collect()))
    }
}

/// Parameters that no model has: text, or what is below a name.
fn plain(name: &str, node: &Node<'_>) -> Result<Value, Refusal> {
    if let Some(text) = node.value.filter(|_| node.below.is_empty()) {
        return Ok(Value::String(text.to_owned()));
    }
    let below = node.inner(name)?.iter();
    below
        .map(|(name, node)| Ok(((*name).to_owned(), plain(name, node)?)))
        .collect::<Result<_, _>>()
        .map(Value::Structure)
}

fn leaf(
    name: &str,
    shape: &Shape,
    format: Option<TimestampFormat>,
    node: &Node<'_>,
) -> Result<Value, Refusal> {
    let Some(text) = node.value.filter(|_| node.below.is_empty()) else {
        return Err(wrong_type(name, "one value"));
    };
    scalar(
        name,
        shape,
        text.to_owned(),
        format,
        TimestampFormat::Iso8601,
    )
}

fn capitalised(name: &str) -> Cow<'_, str> {
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return name.into();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect::<String>().into()
}
