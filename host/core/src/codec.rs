//! AWS's data formats, decoded by the model to [`crate::call::Value`]: JSON, XML, CBOR and the
//! scalars that are text. Requests and answers share them; what differs is [`Reading`].

pub(crate) mod cbor;
pub(crate) mod header;
pub(crate) mod json;
pub(crate) mod text;
pub(crate) mod xml;

use crate::catalog::{Service, Shape, ShapeId};
use crate::refusal::Refusal;

/// How much a decoder puts up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    /// What an agent sent, who may want it to be read in two ways: one spelling per value, and
    /// nothing that the model does not have.
    Exact,
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

    pub(crate) fn shape(self, id: ShapeId) -> Result<&'a Shape, Refusal> {
        self.service.shape(id).ok_or(Refusal::Internal)
    }
}
