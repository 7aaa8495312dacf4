//! One call as people read it: the members of its intent and of its outcome in one JSON object.

use std::collections::BTreeSet;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The members every listed call has, in the order they are printed; absent ones are `null`, or
/// empty where they are lists.
pub const MEMBERS: [&str; 18] = [
    "id",
    "time",
    "principal",
    "session",
    "role",
    "connection",
    "service",
    "operation",
    "actions",
    "resources",
    "access",
    "region",
    "decision",
    "rules",
    "reason",
    "approval",
    "aws_request_id",
    "status",
];

const LISTS: [&str; 3] = ["actions", "resources", "rules"];

/// A call or an event, as far as the log tells.
#[derive(Clone, Debug)]
pub struct Entry {
    sequence: u64,
    members: Map<String, Value>,
}

impl Entry {
    /// Reads a record; `None` if it is not a JSON object, which no gateway writes.
    pub fn parse(sequence: u64, payload: &[u8]) -> Option<Self> {
        let mut members: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        derive_lists(&mut members);
        Some(Self { sequence, members })
    }

    /// Adds a later record of the same call; its members replace earlier ones, timings add up.
    pub fn merge(&mut self, later: Self) {
        for (name, value) in later.members {
            match (self.members.get_mut(&name), value) {
                (Some(Value::Object(ours)), Value::Object(theirs)) => ours.extend(theirs),
                (_, value) => {
                    self.members.insert(name, value);
                }
            }
        }
    }

    /// The number of the record that began it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The call's id, as text.
    pub fn id(&self) -> Option<&str> {
        self.text("id")
    }

    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// A member that is a list of texts.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.members
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// Any member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All members, by name.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// The promised members first and in their order, then the others by name.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let promised = !self.members.contains_key("event");
        if promised {
            for name in MEMBERS {
                match self.members.get(name) {
                    Some(value) => map.serialize_entry(name, value)?,
                    None if LISTS.contains(&name) => map.serialize_entry(name, &[(); 0])?,
                    None => map.serialize_entry(name, &())?,
                }
            }
        }
        for (name, value) in &self.members {
            if !(promised && MEMBERS.contains(&name.as_str())) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// `actions` and `resources` are kept as pairs only; readers want both lists.
fn derive_lists(members: &mut Map<String, Value>) {
    let Some(Value::Array(pairs)) = members.get("pairs") else {
        return;
    };
    let column = |index: usize| -> Value {
        let mut seen = BTreeSet::new();
        pairs
            .iter()
            .filter_map(|pair| pair.get(index)?.as_str())
            .filter(|text| seen.insert(*text))
            .map(Value::from)
            .collect()
    };
    let (actions, resources) = (column(0), column(1));
    members.insert("actions".to_owned(), actions);
    members.insert("resources".to_owned(), resources);
}
