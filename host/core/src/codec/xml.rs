//! XML bodies (restXml), decoded by the model. The document is read into a small tree first: no
//! DTD, no processing instruction, no comment, no CDATA, no entity but XML's five, no attribute or
//! namespace that the model does not have; then the tree is read as a [`Value`].

mod tree;

use self::tree::Element;
use super::text::{duplicate, quote, repeated, scalar, wrong_type};
use crate::call::Value;
use crate::catalog::{Location, Member, Service, Shape, ShapeId, Structure, TimestampFormat};
use crate::refusal::Refusal;

/// Decodes a body whose root element stands for a structure.
///
/// # Errors
/// [`Refusal::Malformed`] for bytes that are not plain XML, [`Refusal::Ambiguous`] for an element
/// that is there twice, [`Refusal::InvalidInput`] for what the model does not have.
pub(super) fn decode(
    service: &Service,
    shape: ShapeId,
    root_name: &str,
    bytes: &[u8],
) -> Result<Value, Refusal> {
    let root = tree::parse(bytes)?;
    if root.name != root_name {
        return Err(Refusal::InvalidInput(format!(
            "the root element must be `{root_name}`, not `{}`",
            quote(&root.name)
        )));
    }
    Decoder { service }.value(shape, None, &root)
}

struct Decoder<'a> {
    service: &'a Service,
}

impl Decoder<'_> {
    fn value(
        &self,
        shape: ShapeId,
        member: Option<&Member>,
        element: &Element,
    ) -> Result<Value, Refusal> {
        let shape = self.service.shape(shape).ok_or(Refusal::Internal)?;
        match shape {
            Shape::Structure(structure) => self.structure(structure, element),
            Shape::List {
                member,
                location_name,
                ..
            } => {
                let name = location_name.as_deref().unwrap_or("member");
                self.list(*member, element, name)
            }
            Shape::Map { .. } => self.map(shape, element.container()?, "entry"),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::String { .. }
            | Shape::Timestamp(_) => scalar(
                &element.name,
                shape,
                element.text()?,
                member.and_then(|member| member.timestamp),
                TimestampFormat::Iso8601,
            ),
        }
    }

    fn structure(&self, structure: &Structure, element: &Element) -> Result<Value, Refusal> {
        let mut entries = self.attributes(structure, element)?;
        let mut done: Vec<&str> = Vec::new();
        for child in element.children()? {
            if done.contains(&child.name.as_str()) {
                continue;
            }
            done.push(&child.name);
            let member = find(structure, &child.name, Kind::Element)?;
            let same: Vec<&Element> = element.named(&child.name).collect();
            let value = self.member(member, &same)?;
            entries.push((member.name.clone(), value));
        }
        if structure.union && entries.len() != 1 {
            return Err(wrong_type(
                &element.name,
                "an element with exactly one member",
            ));
        }
        Ok(Value::Structure(entries))
    }

    fn attributes(
        &self,
        structure: &Structure,
        element: &Element,
    ) -> Result<Vec<(String, Value)>, Refusal> {
        let mut entries = Vec::new();
        for (name, text) in &element.attributes {
            let member = find(structure, name, Kind::Attribute)?;
            let shape = self.service.shape(member.shape).ok_or(Refusal::Internal)?;
            let usual = TimestampFormat::Iso8601;
            let value = scalar(name, shape, text.clone(), member.timestamp, usual)?;
            entries.push((member.name.clone(), value));
        }
        Ok(entries)
    }

    /// All elements of one name are one member: the elements of a flattened list or map, or one.
    fn member(&self, member: &Member, elements: &[&Element]) -> Result<Value, Refusal> {
        let shape = self.service.shape(member.shape).ok_or(Refusal::Internal)?;
        match shape {
            Shape::List {
                member: element,
                flattened,
                ..
            } if *flattened || member.flattened => elements
                .iter()
                .map(|each| self.value(*element, None, each))
                .collect::<Result<_, _>>()
                .map(Value::List),
            Shape::Map { flattened, .. } if *flattened || member.flattened => {
                self.entries(shape, elements)
            }
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Structure(_)
            | Shape::Timestamp(_) => match elements {
                [one] => self.value(member.shape, Some(member), one),
                _ => Err(duplicate(&member.name)),
            },
        }
    }

    fn list(&self, member: ShapeId, list: &Element, name: &str) -> Result<Value, Refusal> {
        let mut values = Vec::new();
        for element in list.container()?.children()? {
            if element.name != name {
                return Err(unknown(&element.name, &list.name));
            }
            values.push(self.value(member, None, element)?);
        }
        Ok(Value::List(values))
    }

    fn map(&self, shape: &Shape, map: &Element, entry: &str) -> Result<Value, Refusal> {
        let entries: Vec<&Element> = map.named(entry).collect();
        if entries.len() != map.children()?.len() {
            return Err(wrong_type(&map.name, "a map of `entry` elements"));
        }
        self.entries(shape, &entries)
    }

    fn entries(&self, shape: &Shape, elements: &[&Element]) -> Result<Value, Refusal> {
        let Shape::Map {
            key,
            value,
            key_name,
            value_name,
            ..
        } = shape
        else {
            return Err(Refusal::Internal);
        };
        let mut entries: Vec<(String, Value)> = Vec::new();
        for element in elements {
            let [first, second] = element.container()?.children()? else {
                return Err(wrong_type(&element.name, "a pair of a key and a value"));
            };
            let named = first.name == key_name.as_deref().unwrap_or("key")
                && second.name == value_name.as_deref().unwrap_or("value");
            let Value::String(text) = self.value(*key, None, first)? else {
                return Err(Refusal::Internal);
            };
            if !named {
                return Err(wrong_type(&element.name, "a pair of a key and a value"));
            }
            entries.push((text, self.value(*value, None, second)?));
        }
        if let Some(key) = repeated(&entries) {
            return Err(duplicate(key));
        }
        Ok(Value::Map(entries))
    }
}

/// Whether a member is written as an element or as an attribute.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Attribute,
    Element,
}

fn find<'s>(structure: &'s Structure, name: &str, kind: Kind) -> Result<&'s Member, Refusal> {
    structure
        .members
        .iter()
        .find(|member| {
            let own = member.location_name.as_ref().unwrap_or(&member.name);
            own == name
                && member.location == Location::Body
                && member.xml_attribute == (kind == Kind::Attribute)
        })
        .ok_or_else(|| unknown(name, &structure.name))
}

fn unknown(name: &str, holder: &str) -> Refusal {
    Refusal::InvalidInput(format!(
        "`{}` is not a member of `{}`; names are case-sensitive",
        quote(name),
        quote(holder)
    ))
}
