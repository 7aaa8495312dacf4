//! CBOR bodies (Smithy RPC v2), decoded by the model as strictly as JSON: no duplicate keys,
//! nothing after the value and, where the reading is exact, no unknown members and no coercion.
//! Maps and lists may have an open end, because SDKs write them so; texts and blobs in pieces are
//! refused in requests, and so is every tag but the epoch timestamp's.

use bytes::Bytes;
use ciborium_ll::{Decoder as Puller, Header};

use super::text::{duplicate, quote, repeated, wrong_type};
use super::{Model, PLAIN};
use crate::call::Value;
use crate::catalog::{Shape, ShapeId, Structure};
use crate::refusal::Refusal;

const MAX_DEPTH: u8 = 100;
const MAX_VALUES: u32 = 2_500_000;

/// RFC 8949 §3.4.2.
const EPOCH: u64 = 1;
/// RFC 8949 §3.3.
const FALSE: u8 = 20;
const TRUE: u8 = 21;
const NULL: u8 = 22;
const UNDEFINED: u8 = 23;

/// Decodes a body that is one structure.
///
/// # Errors
/// [`Refusal::Malformed`] for bytes that are not CBOR, [`Refusal::Ambiguous`] for duplicate keys,
/// [`Refusal::InvalidInput`] for what the model does not have.
pub(crate) fn decode(model: Model<'_>, shape: ShapeId, bytes: &[u8]) -> Result<Value, Refusal> {
    let mut decoder = Decoder {
        model,
        rest: bytes,
        values: 0,
    };
    let place = Place {
        shape: model.shape(shape)?,
        name: "the body",
        depth: 0,
    };
    let value = decoder.value(place)?;
    if value == Value::Null || !decoder.rest.is_empty() {
        return Err(malformed());
    }
    Ok(value)
}

/// What is expected next.
#[derive(Clone, Copy)]
struct Place<'a> {
    shape: &'a Shape,
    name: &'a str,
    depth: u8,
}

struct Decoder<'a> {
    model: Model<'a>,
    rest: &'a [u8],
    values: u32,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, place: Place<'a>) -> Result<Value, Refusal> {
        let header = self.pull()?;
        self.value_of(header, place)
    }

    fn value_of(&mut self, header: Header, place: Place<'a>) -> Result<Value, Refusal> {
        self.count(place.depth)?;
        let undefined = header == Header::Simple(UNDEFINED) && self.model.is_tolerant();
        if header == Header::Simple(NULL) || undefined {
            return Ok(Value::Null);
        }
        match (place.shape, header) {
            (Shape::Structure(structure), Header::Map(length)) => {
                self.structure(structure, length, place)
            }
            (Shape::Map { value, .. }, Header::Map(length)) => {
                let below = self.below(place, *value, place.name)?;
                self.map(below, length)
            }
            (Shape::List { member, .. }, Header::Array(length)) => {
                let below = self.below(place, *member, place.name)?;
                self.list(below, length)
            }
            (Shape::String { .. }, Header::Text(None)) if self.model.is_tolerant() => {
                let text = String::from_utf8(self.pieces()?).map_err(|_| malformed())?;
                Ok(Value::String(text))
            }
            (Shape::String { .. }, Header::Text(length)) => {
                self.text(length).map(|text| Value::String(text.to_owned()))
            }
            (Shape::Blob { .. }, Header::Bytes(None)) if self.model.is_tolerant() => {
                Ok(Value::Blob(self.pieces()?.into()))
            }
            (Shape::Blob { .. }, Header::Bytes(length)) => {
                let bytes = self.take(length)?;
                Ok(Value::Blob(Bytes::copy_from_slice(bytes)))
            }
            (Shape::Timestamp(_), Header::Tag(EPOCH)) => {
                let header = self.pull()?;
                number(header)
                    .filter(|seconds| seconds.is_finite())
                    .map(Value::Timestamp)
                    .ok_or_else(|| mismatch(place))
            }
            (Shape::Document, header) => self.plain(header, place),
            (shape, header) => match scalar(shape, header) {
                Some(value) => Ok(value),
                None if self.model.is_tolerant() => self.other(header, place),
                None => Err(mismatch(place)),
            },
        }
    }

    fn count(&mut self, depth: u8) -> Result<(), Refusal> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            let text = "the body has too many values or is nested too deeply";
            return Err(Refusal::InvalidInput(text.to_owned()));
        }
        Ok(())
    }

    /// A value of no modelled shape.
    fn plain(&mut self, header: Header, place: Place<'a>) -> Result<Value, Refusal> {
        let below = Place {
            depth: place.depth + 1,
            ..place
        };
        match header {
            Header::Map(length) => self.map(below, length),
            Header::Array(length) => self.list(below, length),
            Header::Bytes(length) => {
                let bytes = self.take(length)?;
                Ok(Value::Blob(Bytes::copy_from_slice(bytes)))
            }
            Header::Tag(EPOCH) => {
                let header = self.pull()?;
                number(header)
                    .filter(|seconds| seconds.is_finite())
                    .map(Value::Timestamp)
                    .ok_or_else(|| mismatch(place))
            }
            Header::Break
            | Header::Float(_)
            | Header::Negative(_)
            | Header::Positive(_)
            | Header::Simple(_)
            | Header::Tag(_)
            | Header::Text(_) => self.other(header, place),
        }
    }

    /// A scalar of an answer that is of another type than the model's.
    fn other(&mut self, header: Header, place: Place<'a>) -> Result<Value, Refusal> {
        match (place.shape, header) {
            (Shape::List { .. } | Shape::Map { .. } | Shape::Structure(_), _) => {
                Err(mismatch(place))
            }
            (Shape::Timestamp(_), header) if number(header).is_some() => {
                Ok(Value::Timestamp(number(header).unwrap_or_default()))
            }
            (_, Header::Text(length)) => {
                self.text(length).map(|text| Value::String(text.to_owned()))
            }
            (_, Header::Simple(FALSE)) => Ok(Value::Boolean(false)),
            (_, Header::Simple(TRUE)) => Ok(Value::Boolean(true)),
            (_, header) => integer(header)
                .map(Value::Integer)
                .or_else(|| number(header).map(Value::Float))
                .ok_or_else(|| mismatch(place)),
        }
    }

    /// Passes over a member that the model does not have.
    fn skip(&mut self, header: Header, depth: u8) -> Result<(), Refusal> {
        self.count(depth)?;
        match header {
            Header::Array(length) => self.skip_items(length, depth),
            Header::Map(length) => {
                let pairs = length.map(|length| length.saturating_mul(2));
                self.skip_items(pairs, depth)
            }
            Header::Bytes(None) | Header::Text(None) => self.pieces().map(|_| ()),
            Header::Bytes(length) | Header::Text(length) => self.take(length).map(|_| ()),
            Header::Tag(_) => {
                let header = self.pull()?;
                self.skip(header, depth + 1)
            }
            Header::Float(_) | Header::Negative(_) | Header::Positive(_) | Header::Simple(_) => {
                Ok(())
            }
            Header::Break => Err(malformed()),
        }
    }

    fn skip_items(&mut self, length: Option<usize>, depth: u8) -> Result<(), Refusal> {
        let mut left = length;
        while let Some(header) = self.next(&mut left)? {
            self.skip(header, depth + 1)?;
        }
        Ok(())
    }

    fn structure(
        &mut self,
        structure: &'a Structure,
        length: Option<usize>,
        place: Place<'a>,
    ) -> Result<Value, Refusal> {
        let mut entries = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        let mut left = length;
        while let Some(header) = self.next(&mut left)? {
            let key = self.key(header)?;
            let named = |member: &&crate::catalog::Member| {
                member.location_name.as_deref().unwrap_or(&member.name) == key
            };
            let Some(member) = structure.members.iter().find(named) else {
                if self.model.keeps(structure, key) {
                    let value = self.value(Place {
                        shape: &PLAIN,
                        depth: place.depth + 1,
                        ..place
                    })?;
                    entries.push((key.to_owned(), value));
                    continue;
                }
                if self.model.is_tolerant() {
                    let header = self.pull()?;
                    self.skip(header, place.depth + 1)?;
                    continue;
                }
                return Err(Refusal::InvalidInput(format!(
                    "`{}` is not a member of `{}`; names are case-sensitive",
                    quote(key),
                    structure.name
                )));
            };
            if seen.contains(&member.name.as_str()) {
                return Err(duplicate(&member.name));
            }
            seen.push(&member.name);
            let below = self.below(place, member.shape, &member.name)?;
            let value = self.value(below)?;
            if value != Value::Null {
                entries.push((member.name.clone(), value));
            }
        }
        if let Some(name) = self.model.repeated(&entries) {
            return Err(duplicate(name));
        }
        let newer = self.model.is_tolerant() && entries.is_empty();
        if structure.union && entries.len() != 1 && !newer {
            return Err(wrong_type(place.name, "a map with exactly one member"));
        }
        Ok(Value::Structure(entries))
    }

    fn map(&mut self, below: Place<'a>, length: Option<usize>) -> Result<Value, Refusal> {
        let mut entries = Vec::new();
        let mut left = length;
        while let Some(header) = self.next(&mut left)? {
            let key = self.key(header)?.to_owned();
            entries.push((key, self.value(below)?));
        }
        match repeated(&entries) {
            Some(key) => Err(duplicate(key)),
            None => Ok(Value::Map(entries)),
        }
    }

    fn list(&mut self, below: Place<'a>, length: Option<usize>) -> Result<Value, Refusal> {
        let mut elements = Vec::new();
        let mut left = length;
        while let Some(header) = self.next(&mut left)? {
            elements.push(self.value_of(header, below)?);
        }
        Ok(Value::List(elements))
    }

    /// The header of the next element, or nothing at the end of the collection.
    fn next(&mut self, left: &mut Option<usize>) -> Result<Option<Header>, Refusal> {
        match left {
            Some(0) => return Ok(None),
            Some(count) => *count -= 1,
            None => {
                let header = self.pull()?;
                return Ok((header != Header::Break).then_some(header));
            }
        }
        self.pull().map(Some)
    }

    fn below(&self, place: Place<'a>, shape: ShapeId, name: &'a str) -> Result<Place<'a>, Refusal> {
        Ok(Place {
            shape: self.model.shape(shape)?,
            name,
            depth: place.depth + 1,
        })
    }

    fn key(&mut self, header: Header) -> Result<&'a str, Refusal> {
        match header {
            Header::Text(length) => self.text(length),
            Header::Array(_)
            | Header::Break
            | Header::Bytes(_)
            | Header::Float(_)
            | Header::Map(_)
            | Header::Negative(_)
            | Header::Positive(_)
            | Header::Simple(_)
            | Header::Tag(_) => Err(malformed()),
        }
    }

    fn text(&mut self, length: Option<usize>) -> Result<&'a str, Refusal> {
        std::str::from_utf8(self.take(length)?).map_err(|_| malformed())
    }

    /// The bytes of a text or blob in one piece.
    fn take(&mut self, length: Option<usize>) -> Result<&'a [u8], Refusal> {
        let taken = length.and_then(|length| self.rest.split_at_checked(length));
        let (bytes, rest) = taken.ok_or_else(malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The bytes of an answer's text or blob that comes in pieces (RFC 8949 §3.2.3).
    fn pieces(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut whole = Vec::new();
        loop {
            match self.pull()? {
                Header::Break => return Ok(whole),
                Header::Bytes(Some(length)) | Header::Text(Some(length)) => {
                    whole.extend_from_slice(self.take(Some(length))?);
                }
                Header::Array(_)
                | Header::Bytes(None)
                | Header::Float(_)
                | Header::Map(_)
                | Header::Negative(_)
                | Header::Positive(_)
                | Header::Simple(_)
                | Header::Tag(_)
                | Header::Text(None) => return Err(malformed()),
            }
        }
    }

    fn pull(&mut self) -> Result<Header, Refusal> {
        let mut puller = Puller::from(self.rest);
        let header = puller.pull().map_err(|_| malformed())?;
        self.rest = self.rest.get(puller.offset()..).ok_or_else(malformed)?;
        Ok(header)
    }
}

fn scalar(shape: &Shape, header: Header) -> Option<Value> {
    match (shape, header) {
        (Shape::Boolean, Header::Simple(FALSE)) => Some(Value::Boolean(false)),
        (Shape::Boolean, Header::Simple(TRUE)) => Some(Value::Boolean(true)),
        (Shape::Integer, header) => integer(header).map(Value::Integer),
        (Shape::Float, header) => number(header).map(Value::Float),
        (_, _) => None,
    }
}

fn integer(header: Header) -> Option<i64> {
    match header {
        Header::Positive(number) => i64::try_from(number).ok(),
        Header::Negative(number) => i64::try_from(number).ok().map(|number| !number),
        Header::Array(_)
        | Header::Break
        | Header::Bytes(_)
        | Header::Float(_)
        | Header::Map(_)
        | Header::Simple(_)
        | Header::Tag(_)
        | Header::Text(_) => None,
    }
}

/// A float, which JavaScript writes as an integer where it can.
#[expect(
    clippy::cast_precision_loss,
    reason = "an integer where the model has a float is read as every parser reads it"
)]
fn number(header: Header) -> Option<f64> {
    if let Header::Float(number) = header {
        return Some(number);
    }
    integer(header).map(|number| number as f64)
}

fn mismatch(place: Place<'_>) -> Refusal {
    let expected = match place.shape {
        Shape::Blob { .. } => "a byte string",
        Shape::Boolean => "a boolean",
        Shape::Document => "absent: documents have no form in CBOR",
        Shape::Float => "a number",
        Shape::Integer => "an integer",
        Shape::List { .. } => "a list",
        Shape::Map { .. } | Shape::Structure(_) => "a map",
        Shape::String { .. } => "a text",
        Shape::Timestamp(_) => "a tagged timestamp",
    };
    wrong_type(place.name, expected)
}

fn malformed() -> Refusal {
    Refusal::Malformed("the body is not one plain CBOR value".to_owned())
}
