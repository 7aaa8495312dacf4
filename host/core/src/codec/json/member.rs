//! The keys of a modelled object: resolved to members while they are read, without a copy. In a
//! tolerant reading an unknown key is nobody's.

use std::fmt;

use serde::de::{DeserializeSeed, Error, Visitor};

use super::{Members, Seed};
use crate::catalog::{Location, Member, Structure};
use crate::codec::text::quote;
use crate::refusal::Refusal;

/// What a key stands for.
pub(super) enum Key<'a> {
    /// A member, with its position.
    Member(usize, &'a Member),
    /// A member that the model does not have yet.
    Newer(String),
    /// Nothing: it is passed over.
    Nobodys,
}

/// Reads a key as a member of a structure.
#[derive(Clone, Copy)]
pub(super) struct MemberKey<'a> {
    pub(super) seed: Seed<'a>,
    pub(super) structure: &'a Structure,
}

impl<'a> DeserializeSeed<'a> for MemberKey<'a> {
    type Value = Key<'a>;

    fn deserialize<D: serde::Deserializer<'a>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for MemberKey<'a> {
    type Value = Key<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let named = |(_, member): &(usize, &Member)| {
            let name = member.location_name.as_ref().unwrap_or(&member.name);
            name == key && (self.seed.members == Members::All || unbound(member))
        };
        match self.structure.members.iter().enumerate().find(named) {
            Some((index, member)) => Ok(Key::Member(index, member)),
            None if self.seed.decoder.model.is_tolerant() => Ok(Key::Nobodys),
            None if self.seed.decoder.model.keeps(self.structure, key) => {
                Ok(Key::Newer(key.to_owned()))
            }
            None => self.seed.decoder.refuse(Refusal::InvalidInput(format!(
                "`{}` is not a member of `{}`; names are case-sensitive",
                quote(key),
                self.structure.name
            ))),
        }
    }
}

fn unbound(member: &Member) -> bool {
    match member.location {
        Location::Body => true,
        Location::Header
        | Location::Headers
        | Location::Querystring
        | Location::StatusCode
        | Location::Uri => false,
    }
}
