//! The digest that names a call: the same whatever protocol carried it and in whatever order its
//! members came, another one if anything of it differs.
//!
//! SHA-256 over the text `portcullis call v1\n` and then, each value as a tag byte with its content,
//! texts and bytes with their length as eight bytes, big-endian: service, operation, partition,
//! region (or region set, which has a tag of its own), account, parameters. Members of structures and maps are in the order of their names. A
//! streamed body is only a tag: whoever needs it named adds its own digest.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Call, Value};
use crate::reach::Reach;

const DOMAIN: &[u8] = b"portcullis call v1\n";

/// Names one call. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct CallDigest([u8; 32]);

impl CallDigest {
    pub(super) fn of(call: &Call) -> Self {
        let mut hasher = Hasher(Sha256::new_with_prefix(DOMAIN));
        for name in [&call.service, &call.operation, &call.partition] {
            hasher.bytes(b's', name.as_bytes());
        }
        match &call.reach {
            Reach::Region(region) => hasher.bytes(b's', region.as_bytes()),
            Reach::Set(set) => hasher.bytes(b'g', set.as_str().as_bytes()),
        }
        hasher.bytes(b's', call.account.as_bytes());
        hasher.value(&call.params);
        Self(hasher.0.finalize().into())
    }
}

impl fmt::Display for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CallDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallDigest({self})")
    }
}

struct Hasher(Sha256);

impl Hasher {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Blob(bytes) => self.bytes(b'b', bytes),
            Value::Boolean(value) => self.word(b'o', u64::from(*value)),
            Value::Float(number) => self.word(b'f', canonical_bits(*number)),
            Value::Integer(number) => self.word(b'i', number.cast_unsigned()),
            Value::List(elements) => {
                self.word(b'l', elements.len() as u64);
                for element in elements {
                    self.value(element);
                }
            }
            Value::Map(entries) => self.entries(b'm', entries),
            Value::Null => self.word(b'n', 0),
            Value::Stream => self.word(b'x', 0),
            Value::String(text) => self.bytes(b's', text.as_bytes()),
            Value::Structure(entries) => self.entries(b'r', entries),
            Value::Timestamp(seconds) => self.word(b't', canonical_bits(*seconds)),
        }
    }

    fn entries(&mut self, tag: u8, entries: &[(String, Value)]) {
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by_key(|(name, _)| name);
        self.word(tag, sorted.len() as u64);
        for (name, value) in sorted {
            self.bytes(b's', name.as_bytes());
            self.value(value);
        }
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.word(tag, bytes.len() as u64);
        self.0.update(bytes);
    }

    fn word(&mut self, tag: u8, word: u64) {
        self.0.update([tag]);
        self.0.update(word.to_be_bytes());
    }
}

/// One pattern for all NaNs and for both zeros, which protocols do not tell apart.
fn canonical_bits(number: f64) -> u64 {
    if number.is_nan() {
        f64::NAN.to_bits()
    } else {
        (number + 0.0).to_bits()
    }
}

#[cfg(test)]
mod tests {
    use crate::reach::RegionSet;
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Protocol;

    fn call(params: Value) -> Call {
        Call {
            service: "dynamodb".to_owned(),
            operation: "PutItem".to_owned(),
            protocol: Protocol::Json10,
            partition: "aws".to_owned(),
            reach: "us-east-1".into(),
            account: "123456789012".to_owned(),
            params,
            actions: Vec::new(),
            host_prefix: None,
            unmodelled: Vec::new(),
            signing_name: "dynamodb".to_owned(),
            variant: crate::destination::Variant::Plain,
            addressing: crate::destination::Addressing::Path,
            embedded: None,
        }
    }

    fn structure(entries: &[(&str, Value)]) -> Value {
        let entry = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        Value::Structure(entries.iter().map(entry).collect())
    }

    #[test]
    fn order_and_protocol_do_not_matter() {
        let (a, b) = (("A", Value::Integer(1)), ("B", Value::Stream));
        let one = call(structure(&[a.clone(), b.clone()]));
        let other = Call {
            protocol: Protocol::RpcV2Cbor,
            ..call(structure(&[b, a]))
        };
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn every_field_matters() {
        let base = call(structure(&[("A", Value::Integer(1))]));
        let changes: [fn(&mut Call); 7] = [
            |call| call.service.push('x'),
            |call| call.operation.push('x'),
            |call| call.partition.push('x'),
            |call| call.reach = "us-east-1x".into(),
            |call| call.reach = Reach::Set(RegionSet::parse("us-east-1").unwrap()),
            |call| call.account.push('x'),
            |call| call.params = Value::Structure(Vec::new()),
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(changed.digest(), base.digest(), "{changed:?}");
        }
    }

    #[test]
    fn the_form_is_fixed() {
        let call = call(structure(&[("TableName", Value::String("t".to_owned()))]));
        assert_eq!(
            call.digest().to_string(),
            "4bcb0adf194bfc987cad269a825f7bdf8a0210ab720c1018aa068a3e30404368"
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Boolean),
            (-3..3_i64).prop_map(Value::Integer),
            (-3..3_i32).prop_map(|number| Value::Float(number.into())),
            (-3..3_i32).prop_map(|number| Value::Timestamp(number.into())),
            "[ab]{0,3}".prop_map(Value::String),
            "[ab]{0,3}".prop_map(|text| Value::Blob(Bytes::from(text))),
            Just(Value::Null),
            Just(Value::Stream),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let entries = prop::collection::btree_map("[ab]{0,2}", inner.clone(), 0..3)
                .prop_map(|map| map.into_iter().collect::<Vec<_>>());
            prop_oneof![
                prop::collection::vec(inner, 0..3).prop_map(Value::List),
                entries.clone().prop_map(Value::Map),
                entries.prop_map(Value::Structure),
            ]
        })
    }

    proptest! {
        #[test]
        fn two_calls_have_one_digest_only_if_they_are_equal(one in values(), other in values()) {
            let same = call(one.clone()).digest() == call(other.clone()).digest();
            prop_assert_eq!(same, one == other);
        }
    }
}
