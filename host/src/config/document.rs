//! A YAML document that remembers where each value stands, so that every problem can name its
//! line.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// The document as JSON, and the line of each value by its JSON Pointer (RFC 6901).
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    lines: HashMap<String, u64>,
}

impl Document {
    /// Parses one YAML document. Duplicate keys are an error.
    ///
    /// # Errors
    /// The parser's message with its line.
    pub(super) fn parse(text: &str) -> Result<Self, (Option<u64>, String)> {
        // YAML 1.2: `off` is a word.
        let options = serde_saphyr::options! { strict_booleans: true };
        let node: Spanned<Node> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let line = error.location().map(|location| location.line());
                (line, error.to_string())
            })?;
        let mut lines = HashMap::new();
        let value = flatten(node, "", &mut lines);
        Ok(Self { value, lines })
    }

    /// The line of the value at `pointer`, or of its nearest ancestor that has one.
    pub(super) fn line(&self, pointer: &str) -> Option<u64> {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return Some(*line);
            }
            let (parent, _) = pointer.rsplit_once('/')?;
            pointer = parent;
        }
    }
}

/// A key path as people write it: `/connections/0/roles` becomes `connections[0].roles`.
pub(super) fn key_path(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&token);
        }
    }
    path
}

#[derive(Debug)]
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Self>>),
    Table(Vec<(Spanned<String>, Spanned<Self>)>),
}

fn flatten(node: Spanned<Node>, pointer: &str, lines: &mut HashMap<String, u64>) -> Value {
    lines
        .entry(pointer.to_owned())
        .or_insert(node.referenced.line());
    match node.value {
        Node::Leaf(value) => value,
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| flatten(item, &format!("{pointer}/{index}"), lines))
            .collect(),
        Node::Table(entries) => {
            let mut table = Map::new();
            for (key, item) in entries {
                let token = key.value.replace('~', "~0").replace('/', "~1");
                let child = format!("{pointer}/{token}");
                lines.insert(child.clone(), key.referenced.line());
                table.insert(key.value, flatten(item, &child, lines));
            }
            Value::Object(table)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Number(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value)
            .map(|number| Node::Leaf(Value::Number(number)))
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let document =
            Document::parse("listen:\n  address: x\nroles:\n  - name: a\n  - name: b\n").unwrap();
        assert_eq!(document.line("/listen/address"), Some(2));
        assert_eq!(document.line("/roles/1/name"), Some(5));
        assert_eq!(document.line("/roles/1/absent"), Some(5));
        assert_eq!(document.value["roles"][1]["name"], "b");
    }

    #[test]
    fn off_stays_a_word() {
        let document = Document::parse("tls: off\naccount: \"012345678901\"\n").unwrap();
        assert_eq!(document.value["tls"], "off");
        assert_eq!(document.value["account"], "012345678901");
    }

    #[test]
    fn a_duplicate_key_is_an_error_with_its_line() {
        let (line, _) = Document::parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(line, Some(2));
    }

    #[test]
    fn pointers_read_as_key_paths() {
        assert_eq!(
            key_path("/connections/0/roles/12/name"),
            "connections[0].roles[12].name"
        );
    }
}
