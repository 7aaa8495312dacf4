//! serde_json's own values, with duplicate keys found by a visitor of this file.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portcullis_core::call::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON with its keys in order, duplicates and all.
#[derive(Debug)]
pub(crate) enum Json {
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    Scalar(serde_json::Value),
}

/// The body says exactly what was decoded.
pub(crate) fn compare(body: &[u8], params: &Value) {
    if body.is_empty() {
        assert_eq!(
            params,
            &Value::Structure(Vec::new()),
            "parameters from nowhere"
        );
        return;
    }
    let json = read(body);
    assert!(equal(&json, params), "{json:?}\n{params:?}");
}

/// Every member of the body was decoded as it is there.
pub(crate) fn contained(body: &[u8], params: &Value) {
    if body.is_empty() || super::verbatim(body, params) {
        return;
    }
    let json = read(body);
    let Json::Object(members) = &json else {
        return;
    };
    let payload = || match params {
        Value::Structure(entries) => entries.iter().any(|(_, value)| equal(&json, value)),
        _ => false,
    };
    // Wire names may differ from the model's, so that values are looked for, not names.
    let Value::Structure(entries) = params else {
        panic!("{params:?}");
    };
    let found = |value: &Json| entries.iter().any(|(_, own)| equal(value, own));
    let mut present = members.iter().filter(|(_, value)| !is_null(value));
    assert!(
        present.all(|(_, value)| found(value)) || payload(),
        "{json:?}\n{params:?}"
    );
}

/// A member repeated under an escaped name, one in another case, something behind the value.
pub(crate) fn second_readings(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut bent = vec![("bytes behind the body", [body, b" {}"].concat())];
    let Ok(Json::Object(members)) = serde_json::from_slice(body) else {
        return bent;
    };
    let end = body
        .iter()
        .rposition(|&byte| byte == b'}')
        .unwrap_or_default();
    if let Some((key, _)) = members.first() {
        let escaped: String = key
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        let member = format!(",\"{escaped}\":null}}");
        bent.push((
            "a repeated member",
            [&body[..end], member.as_bytes()].concat(),
        ));
    }
    bent
}

fn read(body: &[u8]) -> Json {
    let json: Json = serde_json::from_slice(body).expect("accepted, but not JSON");
    assert!(unique(&json), "a duplicate key was accepted: {json:?}");
    json
}

fn unique(json: &Json) -> bool {
    match json {
        Json::Scalar(_) => true,
        Json::Array(elements) => elements.iter().all(unique),
        Json::Object(members) => {
            let mut keys: Vec<_> = members.iter().map(|(key, _)| key).collect();
            keys.sort_unstable();
            keys.windows(2).all(|pair| pair[0] != pair[1])
                && members.iter().all(|(_, value)| unique(value))
        }
    }
}

fn is_null(json: &Json) -> bool {
    matches!(json, Json::Scalar(serde_json::Value::Null))
}

fn equal(json: &Json, value: &Value) -> bool {
    match (json, value) {
        (Json::Array(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Json::Object(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| value.get(key).is_some_and(|other| equal(one, other)))
        }
        (Json::Object(one), Value::Structure(other)) => {
            let present: Vec<_> = one.iter().filter(|(_, value)| !is_null(value)).collect();
            // A member may have another name on the wire; its place in the body is its own.
            present.len() == other.len()
                && present
                    .iter()
                    .zip(other)
                    .all(|((_, one), (_, other))| equal(one, other))
        }
        (Json::Scalar(one), other) => scalar(one, other),
        (Json::Array(_) | Json::Object(_), _) => false,
    }
}

fn scalar(json: &serde_json::Value, value: &Value) -> bool {
    use serde_json::Value as Read;
    match (json, value) {
        (Read::Null, Value::Null) => true,
        (Read::Bool(one), Value::Boolean(other)) => one == other,
        (Read::String(one), Value::Blob(other)) => base64(one).is_some_and(|one| one == *other),
        (Read::String(one), Value::Float(other)) => {
            one.parse::<f64>().is_ok_and(|one| super::same(one, *other))
        }
        (Read::String(one), other) => super::stands_for(one, other),
        (Read::Number(one), Value::Integer(other)) => {
            one.as_i64() == Some(*other) || one.as_f64() == Some(*other as f64)
        }
        (Read::Number(one), Value::Float(other) | Value::Timestamp(other)) => {
            one.as_f64().is_some_and(|one| super::same(one, *other))
        }
        _ => false,
    }
}

pub(crate) fn base64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Scalar(serde_json::Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
