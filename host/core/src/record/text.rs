//! How single values are written into records: short texts stay short whatever an agent sends, and
//! nothing allocates on the way.

use core::fmt::{self, Display};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::call::Action;

/// The longest free text kept whole, in bytes.
pub const SHORT_BYTES: usize = 1024;

/// A free text, cut after [`SHORT_BYTES`] with an ellipsis where it was longer.
#[derive(Debug)]
pub struct Short<'a>(pub &'a str);

impl Serialize for Short<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.len() <= SHORT_BYTES {
            return serializer.serialize_str(self.0);
        }
        let end = self.0.floor_char_boundary(SHORT_BYTES);
        let head = self.0.get(..end).unwrap_or_default();
        serializer.collect_str(&format_args!("{head}…"))
    }
}

/// A time as `2026-11-23T16:41:51.123456Z`.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub OffsetDateTime);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.0.to_utc();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            utc.year(),
            u8::from(utc.month()),
            utc.day(),
            utc.hour(),
            utc.minute(),
            utc.second(),
            utc.microsecond()
        )
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Anything by its `Display`.
#[derive(Debug)]
pub struct Shown<T>(pub T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A SHA-256 in lower-case hex.
#[derive(Debug)]
pub struct Hex<'a>(pub &'a [u8; 32]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0_u8; 64];
        hex::encode_to_slice(self.0, &mut buffer).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(core::str::from_utf8(&buffer).unwrap_or_default())
    }
}

/// Pairs as one JSON object.
#[derive(Debug)]
pub struct Pairs<'a, K, V>(pub &'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Pairs<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Actions as `["s3:GetObject", "arn:…"]` each.
#[derive(Debug)]
pub struct ActionPairs<'a>(pub &'a [Action]);

impl Serialize for ActionPairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for action in self.0 {
            list.serialize_element(&(&action.name, &action.resource))?;
        }
        list.end()
    }
}

/// [`Time`] for a derived member.
///
/// # Errors
/// The serializer's.
pub fn time<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    Time(*time).serialize(serializer)
}

/// [`Short`] for a derived member.
///
/// # Errors
/// The serializer's.
pub fn short<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    Short(text.unwrap_or_default()).serialize(serializer)
}

/// [`Pairs`] for a derived member.
///
/// # Errors
/// The serializer's.
pub fn pairs<S: Serializer>(
    pairs: &[(&'static str, u32)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Pairs(pairs).serialize(serializer)
}
