//! JSON bodies, decoded straight into [`Value`] by the model, in one pass and one reading: no
//! duplicate keys at any depth (after unescaping), nothing after the value and, where the reading
//! is exact, no unknown members, no member in another case, no coercion between types.
//!
//! A modelled structure member that is `null` counts as absent, as AWS documents it; `null`
//! elements of lists and maps stay, because sparse collections mean them.

mod member;

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::member::{Key, MemberKey};
use super::text::{self, blob, duplicate, repeated, timestamp, wrong_type};
use super::{Model, PLAIN};
use crate::call::Value;
use crate::catalog::{Endpoints, Member, Service, Shape, ShapeId, Structure, TimestampFormat};
use crate::refusal::Refusal;

/// DynamoDB nests attribute values 32 levels deep, at two levels of JSON each.
const MAX_DEPTH: u8 = 100;

/// Bounds what a body can cost beyond its bytes; the largest legal calls are vectors of floats.
const MAX_VALUES: u32 = 2_500_000;

/// Which members a body may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Members {
    /// All of the structure's.
    All,
    /// Those that HTTP does not carry elsewhere.
    Unbound,
}

/// Decodes a body that is one structure.
///
/// # Errors
/// [`Refusal::Malformed`] for bytes that are not JSON, [`Refusal::Ambiguous`] for duplicate keys,
/// [`Refusal::InvalidInput`] for what the model does not have.
pub(crate) fn decode(
    model: Model<'_>,
    shape: ShapeId,
    members: Members,
    bytes: &[u8],
) -> Result<Value, Refusal> {
    let decoder = Decoder {
        model,
        refusal: RefCell::new(None),
        values: Cell::new(0),
    };
    let seed = Seed {
        decoder: &decoder,
        shape: model.shape(shape)?,
        format: None,
        name: "the body",
        depth: 0,
        members,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| decoder.refusal_of(&error))?;
    // Nobody sends it, and nobody says what it would mean.
    if value == Value::Null && seed.is_structure() && !model.is_tolerant() {
        return Err(wrong_type("the body", "an object"));
    }
    Ok(value)
}

/// Checks that bytes are one JSON value without duplicate keys, of whatever shape.
///
/// # Errors
/// As [`decode`].
pub(crate) fn document(bytes: &[u8]) -> Result<Value, Refusal> {
    let nothing = Service {
        name: String::new(),
        operations: Vec::new(),
        shapes: vec![Shape::Document],
        endpoints: Endpoints {
            defaults: Vec::new(),
            exceptions: Vec::new(),
        },
    };
    decode(Model::exact(&nothing), ShapeId(0), Members::All, bytes)
}

/// What all seeds of one body share. serde's errors are text, so the refusal travels beside them.
struct Decoder<'a> {
    model: Model<'a>,
    refusal: RefCell<Option<Refusal>>,
    values: Cell<u32>,
}

impl Decoder<'_> {
    fn refusal_of(&self, error: &serde_json::Error) -> Refusal {
        self.refusal
            .take()
            .unwrap_or_else(|| Refusal::Malformed(format!("the body is not valid JSON: {error}")))
    }

    fn refuse<T, E: Error>(&self, refusal: Refusal) -> Result<T, E> {
        self.refusal.replace(Some(refusal));
        Err(E::custom("refused"))
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        let values = self.values.get() + 1;
        self.values.set(values);
        if values > MAX_VALUES {
            return self.refuse(Refusal::InvalidInput("the body has too many values".into()));
        }
        Ok(())
    }
}

/// What is expected at one place of the body.
#[derive(Clone, Copy)]
struct Seed<'a> {
    decoder: &'a Decoder<'a>,
    shape: &'a Shape,
    format: Option<TimestampFormat>,
    name: &'a str,
    depth: u8,
    members: Members,
}

impl<'a> Seed<'a> {
    fn is_structure(self) -> bool {
        matches!(self.shape, Shape::Structure(_))
    }

    fn below<E: Error>(self, shape: ShapeId) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            let refusal = Refusal::InvalidInput("the body is nested too deeply".to_owned());
            return self.decoder.refuse(refusal);
        }
        let Some(shape) = self.decoder.model.service.shape(shape) else {
            return self.decoder.refuse(Refusal::Internal);
        };
        Ok(Self {
            shape,
            format: None,
            depth: self.depth + 1,
            members: Members::All,
            ..self
        })
    }

    fn same_below<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            let refusal = Refusal::InvalidInput("the body is nested too deeply".to_owned());
            return self.decoder.refuse(refusal);
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    /// A scalar of another type than the model's: refused, or what JSON says it is.
    fn other<E: Error>(self, value: Value) -> Result<Value, E> {
        let scalar = match self.shape {
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Float
            | Shape::Integer
            | Shape::String { .. }
            | Shape::Timestamp(_) => true,
            Shape::Document | Shape::List { .. } | Shape::Map { .. } | Shape::Structure(_) => false,
        };
        if scalar && self.decoder.model.is_tolerant() {
            return Ok(value);
        }
        self.wrong_type()
    }

    /// A value below that the model does not have.
    fn plain<E: Error>(self) -> Result<Self, E> {
        Ok(Self {
            shape: &PLAIN,
            format: None,
            members: Members::All,
            ..self.same_below()?
        })
    }

    fn wrong_type<T, E: Error>(self) -> Result<T, E> {
        let expected = match self.shape {
            Shape::Blob { .. } => "base64 text",
            Shape::Boolean => "a boolean",
            Shape::Document => "a JSON value in range",
            Shape::Float => "a number",
            Shape::Integer => "an integer",
            Shape::List { .. } => "a list",
            Shape::Map { .. } | Shape::Structure(_) => "an object",
            Shape::String { .. } => "a string",
            Shape::Timestamp(_) => "a timestamp",
        };
        self.decoder.refuse(wrong_type(self.name, expected))
    }

    fn timestamp_format(self) -> TimestampFormat {
        text::format_of(self.shape, self.format, TimestampFormat::UnixTimestamp)
    }

    fn number<E: Error>(self, number: f64) -> Result<Value, E> {
        match self.shape {
            Shape::Float | Shape::Document => Ok(Value::Float(number)),
            Shape::Timestamp(_) if self.timestamp_format() == TimestampFormat::UnixTimestamp => {
                Ok(Value::Timestamp(number))
            }
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Structure(_)
            | Shape::Timestamp(_) => self.other(Value::Float(number)),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<Value, E> {
        if self.decoder.model.is_tolerant() {
            let format = self.timestamp_format();
            return self.other_text(text::tolerant(self.shape, text.to_owned(), format));
        }
        let value = match self.shape {
            Shape::String { .. } | Shape::Document => Some(Value::String(text.to_owned())),
            Shape::Blob { .. } => blob(text).map(Value::Blob),
            Shape::Float => special(text).map(Value::Float),
            Shape::Timestamp(_) => match self.timestamp_format() {
                TimestampFormat::UnixTimestamp => None,
                format @ (TimestampFormat::HttpDate | TimestampFormat::Iso8601) => {
                    timestamp(text, format).map(Value::Timestamp)
                }
            },
            Shape::Boolean
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::Structure(_) => None,
        };
        value.map_or_else(|| self.wrong_type(), Ok)
    }

    fn other_text<E: Error>(self, value: Value) -> Result<Value, E> {
        match self.shape {
            Shape::List { .. } | Shape::Map { .. } | Shape::Structure(_) => self.wrong_type(),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Document
            | Shape::Float
            | Shape::Integer
            | Shape::String { .. }
            | Shape::Timestamp(_) => Ok(value),
        }
    }

    fn structure<A: MapAccess<'a>>(
        self,
        structure: &'a Structure,
        mut map: A,
    ) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        let key = MemberKey {
            seed: self,
            structure,
        };
        while let Some(found) = map.next_key_seed(key)? {
            let (index, member) = match found {
                Key::Member(index, member) => (index, member),
                Key::Newer(name) => {
                    let value = map.next_value_seed(self.plain()?)?;
                    entries.push((name, value));
                    continue;
                }
                Key::Nobodys => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if seen.contains(&index) {
                return self.decoder.refuse(duplicate(&member.name));
            }
            seen.push(index);
            let value = map.next_value_seed(self.member(member)?)?;
            if value != Value::Null {
                entries.push((member.name.clone(), value));
            }
        }
        if let Some(name) = self.decoder.model.repeated(&entries) {
            return self.decoder.refuse(duplicate(name));
        }
        let newer = self.decoder.model.is_tolerant() && entries.is_empty();
        if structure.union && entries.len() != 1 && !newer {
            let expected = "an object with exactly one member";
            return self.decoder.refuse(wrong_type(self.name, expected));
        }
        Ok(Value::Structure(entries))
    }

    fn member<E: Error>(self, member: &'a Member) -> Result<Self, E> {
        Ok(Self {
            name: &member.name,
            format: member.timestamp,
            ..self.below(member.shape)?
        })
    }

    fn map<A: MapAccess<'a>>(self, value: Self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push((key, map.next_value_seed(value)?));
        }
        if let Some(key) = repeated(&entries) {
            return self.decoder.refuse(duplicate(key));
        }
        Ok(Value::Map(entries))
    }
}

impl<'a> DeserializeSeed<'a> for Seed<'a> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'a>>(self, input: D) -> Result<Value, D::Error> {
        self.decoder.count()?;
        input.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Seed<'a> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a modelled value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        match self.shape {
            Shape::Boolean | Shape::Document => Ok(Value::Boolean(value)),
            Shape::Blob { .. }
            | Shape::Float
            | Shape::Integer
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Structure(_)
            | Shape::Timestamp(_) => self.other(Value::Boolean(value)),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an integer where the model has a float is read as every JSON parser reads it"
    )]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        match self.shape {
            Shape::Integer | Shape::Document => Ok(Value::Integer(value)),
            Shape::Float | Shape::Timestamp(_) => self.number(value as f64),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::List { .. }
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Structure(_) => self.other(Value::Integer(value)),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond an i64 there is only the double, as for JavaScript's parsers"
    )]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) if self.decoder.model.is_tolerant() => self.number(value as f64),
            Err(_) => self.wrong_type(),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.number(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let element = match self.shape {
            Shape::List { member, .. } => self.below(*member)?,
            Shape::Document => self.same_below()?,
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Float
            | Shape::Integer
            | Shape::Map { .. }
            | Shape::String { .. }
            | Shape::Structure(_)
            | Shape::Timestamp(_) => return self.wrong_type(),
        };
        let mut elements = Vec::new();
        while let Some(value) = sequence.next_element_seed(element)? {
            elements.push(value);
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Value, A::Error> {
        match self.shape {
            Shape::Structure(structure) => self.structure(structure, map),
            Shape::Map { value, .. } => self.map(self.below(*value)?, map),
            Shape::Document => self.map(self.same_below()?, map),
            Shape::Blob { .. }
            | Shape::Boolean
            | Shape::Float
            | Shape::Integer
            | Shape::List { .. }
            | Shape::String { .. }
            | Shape::Timestamp(_) => self.wrong_type(),
        }
    }
}

/// JSON has no spelling for these, so Smithy writes them as strings.
fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
