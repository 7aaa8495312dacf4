//! A signed JWT (RFC 7519, RFC 7515 compact form) with exactly one reading.
//!
//! A token can name its key only by `kid`; a header that brings or points to a key, asks for
//! encryption or for an extension is refused. Nothing in here is believed before
//! [`Jwt::verify`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use portcullis_core::refusal::Refusal;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::invalid;

/// Bytes of a token; real ones are well below, even with hundreds of groups.
const MAX_TOKEN: usize = 16 * 1024;

/// What may sign a token: asymmetric only, so that no public key can be taken for a shared secret.
const ALGORITHMS: [(&str, CoreJwsSigningAlgorithm); 9] = [
    ("RS256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
    ("RS384", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384),
    ("RS512", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512),
    ("PS256", CoreJwsSigningAlgorithm::RsaSsaPssSha256),
    ("PS384", CoreJwsSigningAlgorithm::RsaSsaPssSha384),
    ("PS512", CoreJwsSigningAlgorithm::RsaSsaPssSha512),
    ("ES256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
    ("ES384", CoreJwsSigningAlgorithm::EcdsaP384Sha384),
    ("EdDSA", CoreJwsSigningAlgorithm::EdDsa),
];

/// Header members that bring a key, point to one, or change what the rest means (RFC 7515 §4.1,
/// RFC 7516 §4.1, RFC 7797).
const REFUSED_MEMBERS: [&str; 9] = [
    "b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip",
];

/// A token as sent.
pub(super) struct Jwt<'a> {
    header: Header,
    claims: Members,
    signed: &'a [u8],
    signature: Vec<u8>,
}

/// What a token says of its own signature.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: CoreJwsSigningAlgorithm,
    pub(super) key_id: Option<String>,
    pub(super) kind: Kind,
}

/// What a token says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `at+jwt`: an access token (RFC 9068 §2.1).
    AccessToken,
    /// `JWT` or nothing.
    Plain,
}

impl<'a> Jwt<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(invalid("it is larger than 16 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_a_jwt)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_a_jwt)?;
        if claims.contains('.') {
            return Err(invalid("it is encrypted or not a JWT; send a signed JWT"));
        }
        let signature = decode(signature)?;
        if signature.is_empty() {
            return Err(invalid("it is not signed"));
        }
        Ok(Self {
            header: Header::of(&members(header)?)?,
            claims: members(claims)?,
            signed: signed.as_bytes(),
            signature,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn issuer(&self) -> Result<&str, Refusal> {
        self.claims
            .get("iss")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("it names no issuer (`iss`)"))
    }

    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    pub(super) fn verify(&self, key: &CoreJsonWebKey) -> Result<(), Refusal> {
        key.verify_signature(&self.header.algorithm, self.signed, &self.signature)
            .map_err(|_| invalid("its signature is not its issuer's"))
    }
}

impl Header {
    fn of(members: &Members) -> Result<Self, Refusal> {
        if let Some(name) = REFUSED_MEMBERS
            .into_iter()
            .find(|name| members.get(name).is_some())
        {
            return Err(invalid(&format!("its header has `{name}`")));
        }
        Ok(Self {
            algorithm: algorithm(members.get("alg"))?,
            key_id: match members.get("kid") {
                None => None,
                Some(Value::String(id)) => Some(id.clone()),
                Some(_) => return Err(invalid("its `kid` is not text")),
            },
            kind: kind(members.get("typ"))?,
        })
    }
}

fn algorithm(value: Option<&Value>) -> Result<CoreJwsSigningAlgorithm, Refusal> {
    let name = value
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("its header names no algorithm (`alg`)"))?;
    ALGORITHMS
        .into_iter()
        .find_map(|(known, algorithm)| (known == name).then_some(algorithm))
        .ok_or_else(|| {
            let known = ALGORITHMS.map(|(name, _)| name).join(", ");
            invalid(&format!("its algorithm is not one of {known}"))
        })
}

/// Media types are compared without regard to case, `application/` may be left out (RFC 7515
/// §4.1.9). Other kinds, such as `logout+jwt`, sign nobody in.
fn kind(value: Option<&Value>) -> Result<Kind, Refusal> {
    let Some(value) = value else {
        return Ok(Kind::Plain);
    };
    let name = value.as_str().unwrap_or_default().to_ascii_lowercase();
    match name.strip_prefix("application/").unwrap_or(&name) {
        "at+jwt" => Ok(Kind::AccessToken),
        "jwt" => Ok(Kind::Plain),
        _ => Err(invalid("its `typ` is neither JWT nor at+jwt")),
    }
}

fn members(part: &str) -> Result<Members, Refusal> {
    serde_json::from_slice(&decode(part)?).map_err(|_| not_a_jwt())
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| not_a_jwt())
}

fn not_a_jwt() -> Refusal {
    invalid("it is not a well-formed JWT")
}

/// A JSON object in which no name appears twice.
struct Members(serde_json::Map<String, Value>);

impl Members {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name appears twice"));
            }
        }
        Ok(Members(members))
    }
}
