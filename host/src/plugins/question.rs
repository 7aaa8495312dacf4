//! What plugins are asked about: one call with who makes it, in plain values.
//!
//! [`CallFacts`] can also be written by hand, which is how policies are explained and tested
//! offline. Nothing here can be sent to AWS.

use std::net::IpAddr;

use http::HeaderMap;
use portcullis_core::access::Session;
use portcullis_core::call::{AccessLevel, Action, Call, Value};
use portcullis_core::catalog::Protocol;
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Everything a plugin may learn of one call.
#[derive(Clone, Debug)]
pub struct Question {
    /// The host's id for the request.
    pub request_id: String,
    /// Who asks.
    pub session: Session,
    /// What is asked.
    pub call: CallFacts,
    /// Where the request came from.
    pub source_ip: IpAddr,
    /// The `User-Agent`, empty if there was none.
    pub user_agent: String,
    /// When the request arrived.
    pub time: OffsetDateTime,
    /// The request's headers; those that carry credentials or signatures are never handed out.
    pub headers: HeaderMap,
}

/// A decoded call in the shape plugins see.
#[derive(Clone, Debug, PartialEq)]
pub struct CallFacts {
    /// botocore's service name.
    pub service: String,
    /// The API operation.
    pub operation: String,
    /// e.g. `rest-xml`.
    pub protocol: String,
    /// e.g. `aws`.
    pub partition: String,
    /// e.g. `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The decoded input, an object. Blobs are `{"$blob": <length>}`, timestamps RFC 3339.
    pub params: Json,
    /// Every (IAM action, resource) pair.
    pub actions: Vec<Action>,
}

impl CallFacts {
    /// The most powerful access level among the actions.
    pub fn access(&self) -> AccessLevel {
        self.actions
            .iter()
            .map(|action| action.access)
            .max()
            .unwrap_or(AccessLevel::Unknown)
    }
}

impl From<&Call> for CallFacts {
    fn from(call: &Call) -> Self {
        Self {
            service: call.service().to_owned(),
            operation: call.operation().to_owned(),
            protocol: protocol(call.protocol()).to_owned(),
            partition: call.partition().to_owned(),
            region: call.region().to_owned(),
            account: call.account().to_owned(),
            params: to_json(call.params()),
            actions: call.actions().to_vec(),
        }
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ec2Query => "ec2-query",
        Protocol::Json10 => "json-1.0",
        Protocol::Json11 => "json-1.1",
        Protocol::Query => "query",
        Protocol::RestJson => "rest-json",
        Protocol::RestXml => "rest-xml",
        Protocol::RpcV2Cbor => "rpc-v2-cbor",
    }
}

/// RFC 3339 in UTC with milliseconds: the one form in which plugins see a time.
pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(time::UtcOffset::UTC)
        .format(FORMAT)
        .unwrap_or_default()
}

/// Modelled values as JSON; see `params-json` in `call.wit` for what JSON lacks.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Blob(bytes) => json!({ "$blob": bytes.len() }),
        Value::Boolean(value) => json!(value),
        Value::Float(value) => float(*value),
        Value::Integer(value) => json!(value),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(members) | Value::Structure(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), to_json(value)))
            .collect(),
        Value::Null => Json::Null,
        Value::Stream => json!({ "$blob": null }),
        Value::String(text) => json!(text),
        Value::Timestamp(seconds) => timestamp(*seconds),
    }
}

fn float(value: f64) -> Json {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else if value > 0.0 {
        json!("Infinity")
    } else {
        json!("-Infinity")
    }
}

/// A time outside the years RFC 3339 can write stays a number.
fn timestamp(seconds: f64) -> Json {
    let milliseconds = (seconds * 1000.0).round();
    if milliseconds.abs() > 1e17 || !milliseconds.is_finite() {
        return float(seconds);
    }
    let nanoseconds = milliseconds as i128 * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .map_or_else(|_| float(seconds), |time| json!(rfc3339(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_json_lacks_have_one_form() {
        let check = |value: Value, expected: Json| assert_eq!(to_json(&value), expected);
        check(Value::Blob(vec![1, 2, 3].into()), json!({"$blob": 3}));
        check(Value::Stream, json!({"$blob": null}));
        check(Value::Float(f64::NAN), json!("NaN"));
        check(Value::Float(f64::NEG_INFINITY), json!("-Infinity"));
        check(Value::Float(2.0), json!(2.0));
        check(Value::Timestamp(1.5), json!("1970-01-01T00:00:01.500Z"));
        check(Value::Timestamp(1e300), json!(1e300));
        check(
            Value::Structure(vec![("A".into(), Value::List(vec![Value::Null]))]),
            json!({"A": [null]}),
        );
    }
}
