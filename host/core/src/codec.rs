//! AWS's data formats, decoded by the model to [`crate::call::Value`]: JSON, XML, CBOR and the
//! scalars that are text. Requests and answers share them; what differs is [`Reading`].

pub(crate) mod cbor;
pub(crate) mod header;
pub(crate) mod json;
pub(crate) mod text;
pub(crate) mod xml;

use crate::call::Value;
use crate::catalog::{Member, Service, Shape, ShapeId, Structure};
use crate::refusal::Refusal;

/// How much a decoder puts up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// What an agent sent, who may want it to be read in two ways: one spelling per value, and
    /// nothing that the model does not have.
    Exact,
    /// The same, where the operator lets a service be newer than the catalog: members that the
    /// model does not have are kept as plain values.
    ExactButNewer,
    /// What AWS answered, which may be newer than the model: members that it does not have are
    /// left out, and a scalar of another type than modelled stays what it is. Duplicates and
    /// broken syntax are refused all the same.
    Tolerant,
}

/// A service's shapes and how a body of theirs is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'a> {
    pub(crate) service: &'a Service,
    pub(crate) reading: Reading,
}

impl<'a> Model<'a> {
    /// For what an agent sent.
    pub(crate) fn exact(service: &'a Service) -> Self {
        Self {
            service,
            reading: Reading::Exact,
        }
    }

    /// For what an agent sent to a service that may be newer than the catalog.
    pub(crate) fn newer(service: &'a Service) -> Self {
        Self {
            service,
            reading: Reading::ExactButNewer,
        }
    }

    /// For what AWS answered.
    pub(crate) fn tolerant(service: &'a Service) -> Self {
        Self {
            service,
            reading: Reading::Tolerant,
        }
    }

    pub(crate) fn is_tolerant(self) -> bool {
        self.reading == Reading::Tolerant
    }

    /// Whether a name that `structure` does not have is kept as a member of a newer model. A known
    /// name in another case is not: some parser may take it for the known one.
    pub(crate) fn keeps(self, structure: &Structure, name: &str) -> bool {
        let known = |member: &Member| {
            let names = [
                Some(&member.name),
                member.location_name.as_ref(),
                member.query_name.as_ref(),
            ];
            let mut names = names.into_iter().flatten();
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        self.reading == Reading::ExactButNewer && !structure.members.iter().any(known)
    }

    /// A name that is there twice, where names are kept that the model does not have.
    pub(crate) fn repeated(self, entries: &[(String, Value)]) -> Option<&str> {
        match self.reading {
            Reading::Exact | Reading::Tolerant => None,
            Reading::ExactButNewer => text::repeated(entries),
        }
    }

    pub(crate) fn shape(self, id: ShapeId) -> Result<&'a Shape, Refusal> {
        self.service.shape(id).ok_or(Refusal::Internal)
    }
}

/// What stands for the shape of a member that the model does not have.
pub(crate) static PLAIN: Shape = Shape::Document;

/// The members of a value that its model does not have, as paths of names with dots.
pub(crate) fn unmodelled(service: &Service, shape: ShapeId, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(service, shape, value, &mut Vec::new(), &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect<'v>(
    service: &Service,
    shape: ShapeId,
    value: &'v Value,
    path: &mut Vec<&'v str>,
    found: &mut Vec<String>,
) {
    match (service.shape(shape), value) {
        (Some(Shape::Structure(structure)), Value::Structure(entries)) => {
            for (name, value) in entries {
                path.push(name);
                let known = structure.members.iter().find(|member| member.name == *name);
                match known {
                    Some(member) => collect(service, member.shape, value, path, found),
                    None => found.push(path.join(".")),
                }
                path.pop();
            }
        }
        (Some(Shape::List { member, .. }), Value::List(elements)) => {
            for element in elements {
                collect(service, *member, element, path, found);
            }
        }
        (Some(Shape::Map { value: shape, .. }), Value::Map(entries)) => {
            for (_, value) in entries {
                collect(service, *shape, value, path, found);
            }
        }
        (None | Some(_), _) => {}
    }
}
