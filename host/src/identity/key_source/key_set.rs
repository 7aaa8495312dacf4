//! A JSON Web Key Set (RFC 7517), reduced to the keys that may sign a token.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CACHE_CONTROL;
use openidconnect::core::CoreJsonWebKey;
use openidconnect::{
    HttpResponse, JsonWebKey as _, JsonWebKeyAlgorithm, JsonWebKeyUse as _,
    JwsSigningAlgorithm as _,
};
use portcullis_core::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::identity::invalid;
use crate::identity::jwt::Header;

/// More keys than any issuer signs with.
const MAX_KEYS: usize = 100;
/// 2048 bits, the least that RFC 7518 §3.3 allows.
const MIN_MODULUS: usize = 256;
/// How long keys are taken for current, unless the issuer says less.
const LIFETIME: Duration = Duration::minutes(10);
/// An issuer that says less than this would be asked all the time.
const SHORTEST_LIFETIME: Duration = Duration::minutes(1);

#[derive(Debug)]
pub(in crate::identity) struct KeySet {
    keys: Vec<CoreJsonWebKey>,
    read_at: OffsetDateTime,
    lifetime: Duration,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Keys of unknown kinds are left out (RFC 7517 §5), but a set without any usable key is an
    /// error, so that it does not replace a good one.
    pub(super) fn parse(response: &HttpResponse, now: OffsetDateTime) -> Result<Self> {
        let document: Document =
            serde_json::from_slice(response.body()).context("it is not a key set")?;
        ensure!(document.keys.len() <= MAX_KEYS, "it has too many keys");
        let keys: Vec<CoreJsonWebKey> = document.keys.into_iter().filter_map(usable).collect();
        ensure!(!keys.is_empty(), "it has no usable signing key");
        Ok(Self {
            keys,
            read_at: now,
            lifetime: lifetime(response),
        })
    }

    pub(super) fn read_at(&self) -> OffsetDateTime {
        self.read_at
    }

    pub(super) fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.is_younger_than(self.lifetime, now)
    }

    /// A clock that was set back must not make keys live for ever.
    pub(super) fn is_younger_than(&self, age: Duration, now: OffsetDateTime) -> bool {
        let since = now - self.read_at;
        since < age && since > -SHORTEST_LIFETIME
    }

    pub(super) fn knows(&self, header: &Header) -> bool {
        self.candidates(header).next().is_some()
    }

    /// The one key that may have signed the token.
    pub(in crate::identity) fn select(&self, header: &Header) -> Result<&CoreJsonWebKey, Refusal> {
        let mut candidates = self.candidates(header);
        let key = candidates
            .next()
            .ok_or_else(|| invalid("its issuer has no such signing key"))?;
        if candidates.next().is_some() {
            return Err(invalid(
                "more than one of its issuer's keys may have signed it",
            ));
        }
        Ok(key)
    }

    /// Keys that carry the token's key id, where it has one, and are made for its algorithm.
    fn candidates<'keys, 'header>(
        &'keys self,
        header: &'header Header,
    ) -> impl Iterator<Item = &'keys CoreJsonWebKey> + use<'keys, 'header> {
        let is_named = move |key: &&CoreJsonWebKey| {
            let key_id = key.key_id().map(|id| id.as_str());
            header.key_id.is_none() || header.key_id.as_deref() == key_id
        };
        self.keys
            .iter()
            .filter(is_named)
            .filter(move |key| suits(key, header))
    }
}

fn suits(key: &CoreJsonWebKey, header: &Header) -> bool {
    let right_kind = header.algorithm.key_type().as_ref() == Some(key.key_type());
    let right_algorithm = match key.signing_alg() {
        JsonWebKeyAlgorithm::Algorithm(algorithm) => *algorithm == header.algorithm,
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    right_kind && right_algorithm
}

fn usable(value: Value) -> Option<CoreJsonWebKey> {
    let strong = match value.get("kty")?.as_str()? {
        "RSA" => modulus_bytes(&value)? >= MIN_MODULUS,
        "EC" | "OKP" => true,
        _ => return None,
    };
    let verifies = value.get("key_ops").is_none_or(|operations| {
        operations
            .as_array()
            .is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    });
    let key: CoreJsonWebKey = serde_json::from_value(value).ok()?;
    let signs = key.key_use().is_none_or(|usage| usage.allows_signature());
    (strong && verifies && signs).then_some(key)
}

fn modulus_bytes(key: &Value) -> Option<usize> {
    let modulus = URL_SAFE_NO_PAD.decode(key.get("n")?.as_str()?).ok()?;
    let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    Some(modulus.len() - leading_zeros)
}

fn lifetime(response: &HttpResponse) -> Duration {
    response
        .headers()
        .get(CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .and_then(max_age)
        .map_or(LIFETIME, |age| age.clamp(SHORTEST_LIFETIME, LIFETIME))
}

fn max_age(cache_control: &str) -> Option<Duration> {
    cache_control
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age="))
        .and_then(|seconds| seconds.parse().ok())
        .map(|seconds: u32| Duration::seconds(seconds.into()))
}
