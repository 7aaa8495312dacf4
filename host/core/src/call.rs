//! One AWS API call, decoded by the service's own model: what policies, approvers and the audit
//! log speak about.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use crate::catalog::Protocol;
use crate::destination::{Addressing, Variant};
use crate::interpret::Embedded;
use crate::reach::Reach;

pub use self::digest::CallDigest;

mod digest;

/// Up to here a double counts in ones (2⁵³).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A decoded call. Only [`crate::interpret`] makes one, from a verified request.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) protocol: Protocol,
    pub(crate) partition: String,
    pub(crate) reach: Reach,
    pub(crate) account: String,
    pub(crate) params: Value,
    pub(crate) actions: Vec<Action>,
    pub(crate) host_prefix: Option<String>,
    pub(crate) unmodelled: Vec<String>,
    pub(crate) signing_name: String,
    pub(crate) variant: Variant,
    pub(crate) addressing: Addressing,
    pub(crate) embedded: Option<Embedded>,
}

impl Call {
    /// botocore's service name, e.g. `dynamodb`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The API operation, e.g. `DeleteTable`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The protocol the request was written in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// e.g. `aws`, `aws-cn`.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region it was signed for, or the set of them.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The twelve digits of the account the session is connected to.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The decoded input: always a structure, with the model's member names as keys.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// Every (IAM action, resource) pair the call needs; never empty.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The most powerful access level among the actions; unknown counts as the most powerful.
    pub fn access(&self) -> AccessLevel {
        self.actions
            .iter()
            .map(|action| action.access)
            .max()
            .unwrap_or(AccessLevel::Unknown)
    }

    /// The label the model wants before the host name, with its members filled in.
    pub fn host_prefix(&self) -> Option<&str> {
        self.host_prefix.as_deref()
    }

    /// Paths of the parameters that the catalog does not know, which the operator let through.
    pub fn unmodelled(&self) -> &[String] {
        &self.unmodelled
    }

    /// Names exactly this call, whatever protocol carried it.
    pub fn digest(&self) -> CallDigest {
        CallDigest::of(self)
    }

    /// The same call for the region of the source, where one is presigned inside this one.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// Everything the call reaches into: its own first.
    pub fn reaches(&self) -> impl Iterator<Item = &Reach> {
        let embedded = self.embedded.iter().map(|inner| inner.call().reach());
        std::iter::once(self.reach()).chain(embedded)
    }

    /// The service name in the credential scope, e.g. `es` for `opensearch`.
    pub fn signing_name(&self) -> &str {
        &self.signing_name
    }

    /// Which of AWS's endpoints the agent asked for by its host name.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Where the agent wrote S3's bucket.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }
}

/// One IAM action on one resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Action {
    /// `<iam prefix>:<action>`, e.g. `s3:GetObject`.
    pub name: String,
    /// The ARN the parameters name, or `*` where the action has no resource or it is not known.
    pub resource: String,
    /// What the action can do.
    pub access: AccessLevel,
}

/// What an IAM action can do, weakest first: the order of the service authorization reference,
/// with "unknown" as the strongest because what is not known is never harmless.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AccessLevel {
    /// Enumerates resources.
    List,
    /// Reads contents.
    Read,
    /// Changes tags only.
    Tagging,
    /// Creates, changes or deletes.
    Write,
    /// Changes who may do what.
    Permissions,
    /// The references do not say.
    Unknown,
}

impl AccessLevel {
    /// The lower-case word used in policies and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Tagging => "tagging",
            Self::Write => "write",
            Self::Permissions => "permissions",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A modelled value, the same whatever protocol carried it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A blob that was read.
    Blob(Bytes),
    /// A boolean.
    Boolean(bool),
    /// A `float` or `double`; infinities and NaN are legal in Smithy.
    Float(f64),
    /// Any integral type; `bigInteger` beyond this range is refused.
    Integer(i64),
    /// A list or set.
    List(Vec<Self>),
    /// A map with string keys, keys unique.
    Map(Vec<(String, Self)>),
    /// An explicit JSON `null`.
    Null,
    /// A blob that is streamed past and never held.
    Stream,
    /// A string or enum.
    String(String),
    /// A structure or union: members by model name, names unique.
    Structure(Vec<(String, Self)>),
    /// Seconds since the epoch with their fraction, as the wire had it after parsing.
    Timestamp(f64),
}

impl Value {
    /// The member or map entry of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) | Self::Structure(entries) => entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            Self::Blob(_)
            | Self::Boolean(_)
            | Self::Float(_)
            | Self::Integer(_)
            | Self::List(_)
            | Self::Null
            | Self::Stream
            | Self::String(_)
            | Self::Timestamp(_) => None,
        }
    }

    /// The value as JSON, for policies and the audit log: members by their model names, a blob as
    /// `{"$blob": <length>}`, a stream as `{"$stream": true}`, a timestamp as seconds since the
    /// epoch, and the floats that JSON lacks as `"NaN"`, `"Infinity"` and `"-Infinity"`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Blob(bytes) => json!({ "$blob": bytes.len() }),
            Self::Boolean(value) => json!(value),
            Self::Float(number) | Self::Timestamp(number) => float_json(*number),
            Self::Integer(number) => json!(number),
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Map(entries) | Self::Structure(entries) => entries
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect(),
            Self::Null => serde_json::Value::Null,
            Self::Stream => json!({ "$stream": true }),
            Self::String(text) => json!(text),
        }
    }

    /// The members of a structure.
    pub(crate) fn into_members(self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Structure(members) => Some(members),
            Self::Blob(_)
            | Self::Boolean(_)
            | Self::Float(_)
            | Self::Integer(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Null
            | Self::Stream
            | Self::String(_)
            | Self::Timestamp(_) => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Blob(_)
            | Self::Boolean(_)
            | Self::Float(_)
            | Self::Integer(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Null
            | Self::Stream
            | Self::Structure(_)
            | Self::Timestamp(_) => None,
        }
    }
}

/// Whole numbers come without a fraction, so that policies can compare timestamps as integers.
fn float_json(number: f64) -> serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers that a double holds exactly are cast"
    )]
    let whole = number as i64;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return json!(whole);
    }
    if number.is_finite() {
        return json!(number);
    }
    json!(if number.is_nan() {
        "NaN"
    } else if number.is_sign_positive() {
        "Infinity"
    } else {
        "-Infinity"
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value as Json;

    use super::*;

    /// A value as the generated inputs and outputs write it.
    pub(crate) fn plain(value: &Value) -> Json {
        match value {
            Value::Blob(bytes) => json!({"$blob": STANDARD.encode(bytes)}),
            Value::Boolean(value) => json!(value),
            Value::Float(number) if number.is_finite() => json!(number),
            Value::Float(_) => value.to_json(),
            Value::Integer(value) => json!(value),
            Value::List(elements) => elements.iter().map(plain).collect(),
            Value::Map(entries) | Value::Structure(entries) => entries
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
            Value::Null => Json::Null,
            Value::Stream => json!({"$stream": true}),
            Value::String(text) => json!(text),
            Value::Timestamp(seconds) if seconds.fract() == 0.0 => {
                json!({"$timestamp": *seconds as i64})
            }
            Value::Timestamp(seconds) => json!({"$timestamp": seconds}),
        }
    }

    #[test]
    fn values_become_plain_json() {
        for (value, expected) in [
            (Value::Blob(Bytes::from_static(b"abc")), json!({"$blob": 3})),
            (Value::Stream, json!({"$stream": true})),
            (Value::Timestamp(1_398_796_238.0), json!(1_398_796_238)),
            (Value::Timestamp(0.5), json!(0.5)),
            (Value::Float(f64::NAN), json!("NaN")),
            (Value::Float(f64::NEG_INFINITY), json!("-Infinity")),
            (Value::Float(1e300), json!(1e300)),
            (
                Value::Structure(vec![
                    (
                        "A".to_owned(),
                        Value::List(vec![Value::Null, Value::Integer(1)]),
                    ),
                    (
                        "B".to_owned(),
                        Value::Map(vec![("k".to_owned(), Value::Boolean(true))]),
                    ),
                ]),
                json!({"A": [null, 1], "B": {"k": true}}),
            ),
        ] {
            assert_eq!(value.to_json(), expected);
        }
    }
}
