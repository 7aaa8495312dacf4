//! ciborium's own values.

use ciborium::Value as Cbor;
use portcullis_core::call::Value;

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
    let mut rest = body;
    let cbor: Cbor = ciborium::from_reader(&mut rest).expect("accepted, but not CBOR");
    assert!(rest.is_empty(), "bytes behind the value were accepted");
    assert!(equal(&cbor, params), "{cbor:?}\n{params:?}");
}

/// A key repeated, something behind the value.
pub(crate) fn second_readings(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut bent = vec![("bytes behind the body", [body, b"\xa0"].concat())];
    let Ok(Cbor::Map(mut entries)) = ciborium::from_reader(body) else {
        return bent;
    };
    if let Some((key, _)) = entries.first().cloned() {
        entries.push((key, Cbor::Null));
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Map(entries), &mut bytes).expect("writes to memory");
        bent.push(("a repeated key", bytes));
    }
    bent
}

fn equal(cbor: &Cbor, value: &Value) -> bool {
    match (cbor, value) {
        (Cbor::Array(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Cbor::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| {
                    let found = key.as_text().and_then(|key| value.get(key));
                    found.is_some_and(|other| equal(one, other))
                })
        }
        (Cbor::Map(one), Value::Structure(other)) => {
            let present: Vec<_> = one.iter().filter(|(_, value)| !value.is_null()).collect();
            present.len() == other.len()
                && present
                    .iter()
                    .zip(other)
                    .all(|((_, one), (_, other))| equal(one, other))
        }
        (Cbor::Null, Value::Null) => true,
        (Cbor::Bool(one), Value::Boolean(other)) => one == other,
        (Cbor::Bytes(one), Value::Blob(other)) => one == other,
        (Cbor::Text(one), Value::String(other)) => one == other,
        (Cbor::Integer(one), Value::Integer(other)) => i128::from(*one) == i128::from(*other),
        (Cbor::Tag(1, one), Value::Timestamp(other)) => number(one, *other),
        (one, Value::Float(other)) => number(one, *other),
        _ => false,
    }
}

fn number(cbor: &Cbor, value: f64) -> bool {
    match cbor {
        Cbor::Float(one) => super::same(*one, value),
        Cbor::Integer(one) => super::same(i128::from(*one) as f64, value),
        _ => false,
    }
}
