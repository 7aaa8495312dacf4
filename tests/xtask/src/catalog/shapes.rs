//! Turns the shapes that a service's operations reach into the catalog's table. Scalars are shared;
//! structures, lists and maps keep one entry a name, because they may contain themselves.

use std::collections::HashMap;

use anyhow::{Context, bail};
use portcullis_core::catalog::{
    ErrorTrait, Location, Member, Shape, ShapeId, Structure, TimestampFormat,
};

use super::model::{Model, Reference, Shape as ShapeModel};

/// The table under construction.
pub(crate) struct Shapes<'model> {
    model: &'model Model,
    table: Vec<Shape>,
    named: HashMap<&'model str, ShapeId>,
    scalars: HashMap<String, ShapeId>,
}

impl<'model> Shapes<'model> {
    pub(crate) fn new(model: &'model Model) -> Self {
        Self {
            model,
            table: Vec::new(),
            named: HashMap::new(),
            scalars: HashMap::new(),
        }
    }

    /// The finished table.
    pub(crate) fn into_table(self) -> Vec<Shape> {
        self.table
    }

    /// The entry of a named shape, made with everything it reaches if it is not there yet.
    pub(crate) fn reach(&mut self, name: &'model str) -> anyhow::Result<ShapeId> {
        if let Some(id) = self.named.get(name) {
            return Ok(*id);
        }
        let shape = find(self.model, name)?;
        if is_document(shape) || !matches!(shape.kind.as_str(), "list" | "map" | "structure") {
            return self.scalar(name, shape);
        }
        let id = self.push(Shape::Document)?;
        self.named.insert(name, id);
        let built = match shape.kind.as_str() {
            "list" => self.list(shape),
            "map" => self.map(shape),
            _ => self.structure(name, shape),
        };
        let built = built.with_context(|| format!("in shape `{name}`"))?;
        *self.table.get_mut(id.0 as usize).context("just pushed")? = built;
        Ok(id)
    }

    fn push(&mut self, shape: Shape) -> anyhow::Result<ShapeId> {
        let id = ShapeId(u32::try_from(self.table.len())?);
        self.table.push(shape);
        Ok(id)
    }

    fn scalar(&mut self, name: &'model str, shape: &ShapeModel) -> anyhow::Result<ShapeId> {
        let built = scalar(shape)?;
        let key = format!("{built:?}");
        let id = match self.scalars.get(&key) {
            Some(id) => *id,
            None => self.push(built)?,
        };
        self.scalars.insert(key, id);
        self.named.insert(name, id);
        Ok(id)
    }

    fn list(&mut self, shape: &'model ShapeModel) -> anyhow::Result<Shape> {
        let member = shape.member.as_ref().context("a list without member")?;
        Ok(Shape::List {
            member: self.reach(&member.shape)?,
            location_name: self.location_name(member)?,
            flattened: shape.flattened,
        })
    }

    fn map(&mut self, shape: &'model ShapeModel) -> anyhow::Result<Shape> {
        let key = shape.key.as_ref().context("a map without key")?;
        let value = shape.value.as_ref().context("a map without value")?;
        Ok(Shape::Map {
            key: self.reach(&key.shape)?,
            value: self.reach(&value.shape)?,
            key_name: self.location_name(key)?,
            value_name: self.location_name(value)?,
            flattened: shape.flattened,
        })
    }

    /// A use's own name on the wire, or else the one its shape carries, as botocore merges them.
    fn location_name(&self, reference: &Reference) -> anyhow::Result<Option<String>> {
        let shape = find(self.model, &reference.shape)?;
        Ok(reference
            .location_name
            .clone()
            .or_else(|| shape.location_name.clone()))
    }

    fn structure(&mut self, name: &'model str, shape: &'model ShapeModel) -> anyhow::Result<Shape> {
        let mut members = Vec::with_capacity(shape.members.len());
        for (member, reference) in &shape.members {
            let built = self.member(shape, member, reference);
            members.push(built.with_context(|| format!("in member `{member}`"))?);
        }
        Ok(Shape::Structure(Structure {
            name: name.to_owned(),
            payload: payload(shape)?,
            members,
            union: shape.union,
            event_stream: shape.eventstream,
            sensitive: shape.sensitive,
            error: error(shape),
        }))
    }

    fn member(
        &mut self,
        structure: &ShapeModel,
        name: &str,
        reference: &'model Reference,
    ) -> anyhow::Result<Member> {
        let shape = find(self.model, &reference.shape)?;
        let location_name = self.location_name(reference)?;
        Ok(Member {
            name: name.to_owned(),
            shape: self.reach(&reference.shape)?,
            location: location(reference.location.as_deref())?,
            location_name: location_name.filter(|wire| wire != name),
            query_name: reference.query_name.clone(),
            required: structure.required.iter().any(|required| required == name),
            flattened: reference.flattened || shape.flattened,
            xml_attribute: reference.xml_attribute,
            json_value: reference.jsonvalue,
            sensitive: is_sensitive(self.model, &reference.shape, 0)?,
            host_label: reference.host_label,
            event_payload: reference.eventpayload,
            event_header: reference.eventheader || reference.event_header,
            streaming: reference.streaming || shape.streaming,
            timestamp: timestamp(
                reference
                    .timestamp_format
                    .as_deref()
                    .or(shape.timestamp_format.as_deref()),
            )?,
        })
    }
}

pub(crate) fn find<'model>(model: &'model Model, name: &str) -> anyhow::Result<&'model ShapeModel> {
    model
        .shapes
        .get(name)
        .with_context(|| format!("no shape `{name}`"))
}

/// Smithy documents arrive as empty structures with a mark.
fn is_document(shape: &ShapeModel) -> bool {
    shape.kind == "structure" && shape.document && shape.members.is_empty()
}

/// A container counts as sensitive when what it holds is a sensitive scalar, because a list's or
/// map's element has no place for the mark.
fn is_sensitive(model: &Model, name: &str, depth: u8) -> anyhow::Result<bool> {
    let shape = find(model, name)?;
    let element = shape.member.as_ref().or(shape.value.as_ref());
    Ok(match element {
        _ if shape.sensitive => true,
        Some(element) if depth < 8 => is_sensitive(model, &element.shape, depth + 1)?,
        _ => false,
    })
}

fn payload(shape: &ShapeModel) -> anyhow::Result<Option<u32>> {
    let Some(payload) = &shape.payload else {
        return Ok(None);
    };
    let index = shape
        .members
        .get_index_of(payload)
        .with_context(|| format!("payload `{payload}` is not a member"))?;
    Ok(Some(u32::try_from(index)?))
}

fn error(shape: &ShapeModel) -> Option<ErrorTrait> {
    let known = shape.error.as_ref();
    (known.is_some() || shape.exception).then(|| ErrorTrait {
        code: known.and_then(|error| error.code.clone()),
        status: known.and_then(|error| error.http_status_code),
    })
}

fn scalar(shape: &ShapeModel) -> anyhow::Result<Shape> {
    Ok(match shape.kind.as_str() {
        "structure" => Shape::Document,
        "blob" => Shape::Blob {
            streaming: shape.streaming,
            requires_length: shape.requires_length,
        },
        "boolean" => Shape::Boolean,
        "double" | "float" => Shape::Float,
        "bigInteger" | "byte" | "integer" | "long" | "short" => Shape::Integer,
        "string" => Shape::String {
            sensitive: shape.sensitive,
        },
        "timestamp" => Shape::Timestamp(timestamp(shape.timestamp_format.as_deref())?),
        other => bail!("unknown shape type `{other}`"),
    })
}

fn timestamp(format: Option<&str>) -> anyhow::Result<Option<TimestampFormat>> {
    Ok(match format {
        None => None,
        Some("iso8601") => Some(TimestampFormat::Iso8601),
        Some("rfc822") => Some(TimestampFormat::HttpDate),
        Some("unixTimestamp") => Some(TimestampFormat::UnixTimestamp),
        Some(other) => bail!("unknown timestamp format `{other}`"),
    })
}

fn location(location: Option<&str>) -> anyhow::Result<Location> {
    Ok(match location {
        None => Location::Body,
        Some("header") => Location::Header,
        Some("headers") => Location::Headers,
        Some("querystring") => Location::Querystring,
        Some("statusCode") => Location::StatusCode,
        Some("uri") => Location::Uri,
        Some(other) => bail!("unknown location `{other}`"),
    })
}
