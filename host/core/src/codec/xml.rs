//! XML bodies, decoded by the model. The document is read into a small tree first, in an exact
//! reading without DTD, processing instruction, comment, CDATA, entity but XML's five, attribute or
//! namespace that the model does not have; then the tree is read as a [`Value`].

pub(crate) mod tree;

use self::tree::Element;
use super::Model;
use super::text::{self, duplicate, quote, repeated, scalar, wrong_type};
use crate::call::Value;
use crate::catalog::{Location, Member, Shape, ShapeId, Structure, TimestampFormat};
use crate::refusal::Refusal;

/// Decodes a body whose root element stands for a structure.
///
/// # Errors
/// [`Refusal::Malformed`] for bytes that are not plain XML, [`Refusal::Ambiguous`] for an element
/// that is there twice, [`Refusal::InvalidInput`] for what the model does not have.
pub(crate) fn decode(
    model: Model<'_>,
    shape: ShapeId,
    root_name: &str,
    bytes: &[u8],
) -> Result<Value, Refusal> {
    let root = tree::parse(bytes, model.reading)?;
    if root.name != root_name {
        return Err(Refusal::InvalidInput(format!(
            "the root element must be `{root_name}`, not `{}`",
            quote(&root.name)
        )));
    }
    element(model, shape, &root)
}

/// Decodes an element that stands for a shape, whatever its name.
///
/// # Errors
/// As [`decode`].
pub(crate) fn element(
    model: Model<'_>,
    shape: ShapeId,
    element: &Element,
) -> Result<Value, Refusal> {
    Decoder { model }.value(shape, None, element)
}

struct Decoder<'a> {
    model: Model<'a>,
}

impl Decoder<'_> {
    fn value(
        &self,
        shape: ShapeId,
        member: Option<&Member>,
        element: &Element,
    ) -> Result<Value, Refusal> {
        let shape = self.model.shape(shape)?;
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
            Shape::Map { .. } => self.map(shape, self.container(element)?, "entry"),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::String { .. }
            | Shape::Timestamp(_) => {
                let format = member.and_then(|member| member.timestamp);
                self.scalar(shape, format, element)
            }
        }
    }

    fn scalar(
        &self,
        shape: &Shape,
        own: Option<TimestampFormat>,
        element: &Element,
    ) -> Result<Value, Refusal> {
        let usual = TimestampFormat::Iso8601;
        if !self.model.is_tolerant() {
            return scalar(&element.name, shape, element.text()?, own, usual);
        }
        let text = element.loose_text()?;
        let textual = matches!(shape, Shape::Blob { .. } | Shape::String { .. });
        if text.is_empty() && !textual {
            return Ok(Value::Null);
        }
        let format = text::format_of(shape, own, usual);
        Ok(text::tolerant(shape, text.to_owned(), format))
    }

    /// In an exact reading only a structure has attributes.
    fn container<'e>(&self, element: &'e Element) -> Result<&'e Element, Refusal> {
        if self.model.is_tolerant() {
            return Ok(element);
        }
        element.container()
    }

    fn structure(&self, structure: &Structure, element: &Element) -> Result<Value, Refusal> {
        let mut entries = self.attributes(structure, element)?;
        let mut done: Vec<&str> = Vec::new();
        for child in element.children()? {
            if done.contains(&child.name.as_str()) {
                continue;
            }
            let found = self.find(structure, &child.name, Kind::Element);
            if found.is_err() && self.model.keeps(structure, &child.name) {
                done.push(&child.name);
                let same: Vec<&Element> = element.named(&child.name).collect();
                entries.push((child.name.clone(), plain(&same)?));
                continue;
            }
            let Some(member) = found? else {
                continue;
            };
            done.push(&child.name);
            let same: Vec<&Element> = element.named(&child.name).collect();
            let value = self.member(member, &same)?;
            if value != Value::Null {
                entries.push((member.name.clone(), value));
            }
        }
        let newer = self.model.is_tolerant() && entries.is_empty();
        if structure.union && entries.len() != 1 && !newer {
            return Err(wrong_type(
                &element.name,
                "an element with exactly one member",
            ));
        }
        Ok(Value::Structure(entries))
    }

    /// The member of that name, or nothing where the reading is tolerant.
    fn find<'s>(
        &self,
        structure: &'s Structure,
        name: &str,
        kind: Kind,
    ) -> Result<Option<&'s Member>, Refusal> {
        let found = structure.members.iter().find(|member| {
            self.wire_name(member) == name
                && member.location == Location::Body
                && member.xml_attribute == (kind == Kind::Attribute)
        });
        if found.is_none() && !self.model.is_tolerant() {
            return Err(unknown(name, &structure.name));
        }
        Ok(found)
    }

    /// In answers a flattened list may go by the name of its elements, as botocore reads it.
    fn wire_name<'s>(&'s self, member: &'s Member) -> &'s str {
        let own = member.location_name.as_ref().unwrap_or(&member.name);
        if !self.model.is_tolerant() {
            return own;
        }
        match self.model.service.shape(member.shape) {
            Some(Shape::List {
                location_name: Some(name),
                flattened,
                ..
            }) if *flattened || member.flattened => name,
            Some(_) | None => own,
        }
    }

    fn attributes(
        &self,
        structure: &Structure,
        element: &Element,
    ) -> Result<Vec<(String, Value)>, Refusal> {
        let mut entries = Vec::new();
        for (name, text) in &element.attributes {
            let Some(member) = self.find(structure, name, Kind::Attribute)? else {
                continue;
            };
            let shape = self.model.shape(member.shape)?;
            let usual = TimestampFormat::Iso8601;
            let value = scalar(name, shape, text.clone(), member.timestamp, usual)?;
            entries.push((member.name.clone(), value));
        }
        Ok(entries)
    }

    /// All elements of one name are one member: the elements of a flattened list or map, or one.
    fn member(&self, member: &Member, elements: &[&Element]) -> Result<Value, Refusal> {
        let shape = self.model.shape(member.shape)?;
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
        for element in self.container(list)?.children()? {
            if element.name != name && !self.model.is_tolerant() {
                return Err(unknown(&element.name, &list.name));
            }
            values.push(self.value(member, None, element)?);
        }
        Ok(Value::List(values))
    }

    fn map(&self, shape: &Shape, map: &Element, entry: &str) -> Result<Value, Refusal> {
        let children = map.children()?;
        let entries: Vec<&Element> = map.named(entry).collect();
        if self.model.is_tolerant() {
            return self.entries(shape, &children.iter().collect::<Vec<_>>());
        }
        if entries.len() != children.len() {
            return Err(wrong_type(&map.name, "a map of `entry` elements"));
        }
        self.entries(shape, &entries)
    }

    /// Key and value of a map's entry: nothing else and in this order, in an exact reading.
    fn pair<'e>(
        &self,
        entry: &'e Element,
        key: &str,
        value: &str,
    ) -> Result<(&'e Element, &'e Element), Refusal> {
        let wrong = || wrong_type(&entry.name, "a pair of a key and a value");
        if self.model.is_tolerant() {
            let one = |name| {
                let mut found = entry.named(name);
                found.next().filter(|_| found.next().is_none())
            };
            return one(key).zip(one(value)).ok_or_else(wrong);
        }
        match entry.container()?.children()? {
            [first, second] if first.name == key && second.name == value => Ok((first, second)),
            _ => Err(wrong()),
        }
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
            let key_name = key_name.as_deref().unwrap_or("key");
            let value_name = value_name.as_deref().unwrap_or("value");
            let (first, second) = self.pair(element, key_name, value_name)?;
            let Value::String(text) = self.value(*key, None, first)? else {
                return Err(Refusal::Internal);
            };
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

/// The elements of one name that no model has: text, members, or a list where it is there often.
fn plain(elements: &[&Element]) -> Result<Value, Refusal> {
    let [only] = elements else {
        let each = elements.iter().map(|element| plain(&[element]));
        return each.collect::<Result<_, _>>().map(Value::List);
    };
    if only.is_leaf() {
        return only.text().map(Value::String);
    }
    let children = only.container()?.children()?;
    let mut entries: Vec<(String, Value)> = Vec::new();
    for child in children {
        if entries.iter().all(|(name, _)| *name != child.name) {
            let same: Vec<&Element> = only.named(&child.name).collect();
            entries.push((child.name.clone(), plain(&same)?));
        }
    }
    Ok(Value::Structure(entries))
}

fn unknown(name: &str, holder: &str) -> Refusal {
    Refusal::InvalidInput(format!(
        "`{}` is not a member of `{}`; names are case-sensitive",
        quote(name),
        quote(holder)
    ))
}
