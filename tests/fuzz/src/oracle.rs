//! Other readers of the same bytes, and how a decoded value is compared with what they read.

pub(crate) mod cbor;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod xml;

use portcullis_core::call::{Call, Value};
use portcullis_core::catalog::Protocol;

/// Bodies that say something twice, made from one that was accepted: none of them may be.
pub(crate) fn second_readings(call: &Call, body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    if body.is_empty() || verbatim(body, call.params()) {
        return Vec::new();
    }
    match call.protocol() {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => json::second_readings(body),
        Protocol::Ec2Query | Protocol::Query => form::second_readings(body),
        Protocol::RpcV2Cbor => cbor::second_readings(body),
        Protocol::RestXml => xml::second_readings(body),
    }
}

/// Every scalar of a value as the texts that could have stood for it on the wire.
fn scalars(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::List(elements) => elements.iter().for_each(|element| scalars(element, into)),
        Value::Map(entries) => {
            for (key, element) in entries {
                into.push(Value::String(key.clone()));
                scalars(element, into);
            }
        }
        Value::Structure(entries) => {
            for (_, element) in entries {
                scalars(element, into);
            }
        }
        Value::Null => {}
        Value::Blob(_)
        | Value::Boolean(_)
        | Value::Float(_)
        | Value::Integer(_)
        | Value::Stream
        | Value::String(_)
        | Value::Timestamp(_) => into.push(value.clone()),
    }
}

/// Whether a wire text can stand for a scalar.
fn stands_for(text: &str, scalar: &Value) -> bool {
    match scalar {
        Value::String(own) => own == text,
        Value::Boolean(own) => text == own.to_string(),
        Value::Integer(own) => text.parse() == Ok(*own),
        Value::Float(own) => text.parse::<f64>().is_ok_and(|read| same(read, *own)),
        Value::Blob(own) => json::base64(text).is_some_and(|read| read == *own),
        // Dates have their own parser in the gateway's tests; here only that it is one.
        Value::Timestamp(_) => text.bytes().any(|byte| byte.is_ascii_digit()),
        Value::List(_) | Value::Map(_) | Value::Null | Value::Stream | Value::Structure(_) => false,
    }
}

/// Every text stands for a scalar of its own.
fn assert_all_read(mut texts: Vec<String>, params: &Value) {
    let mut own = Vec::new();
    scalars(params, &mut own);
    let (mut dates, mut rest): (Vec<_>, Vec<_>) = own
        .into_iter()
        .partition(|scalar| matches!(scalar, Value::Timestamp(_)));
    for scalars in [&mut rest, &mut dates] {
        texts.retain(|text| {
            let at = scalars.iter().position(|scalar| stands_for(text, scalar));
            at.map(|at| scalars.swap_remove(at)).is_none()
        });
    }
    assert!(texts.is_empty(), "{texts:?} was not read: {params:?}");
}

/// Whether the body as a whole is one of the parameters.
fn verbatim(body: &[u8], params: &Value) -> bool {
    let is_body = |value: &Value| match value {
        Value::Blob(own) => own == body,
        Value::String(own) => own.as_bytes() == body,
        _ => false,
    };
    matches!(params, Value::Structure(entries) if entries.iter().any(|(_, value)| is_body(value)))
}

fn same(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || one == other || one.is_nan() && other.is_nan()
}
