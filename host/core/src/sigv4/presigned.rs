//! Presigned URLs: a signature, and all that goes with it, in the query.
//!
//! The parameters of the signature end here. What SDKs hoist from headers into the query becomes
//! headers again, because that is what AWS takes it for and what the call is judged by.

use http::header::{Entry, HeaderName, HeaderValue};
use time::Duration;

use super::authorization::{Authorization, Written};
use super::signing_time::SigningTime;
use super::{Scope, canonical, malformed};
use crate::head::Head;
use crate::refusal::Refusal;
use crate::s3_name;

/// AWS's limit: seven days.
const LONGEST: i64 = 604_800;
/// Names of the signature's own parameters, in their one spelling.
const NAMES: [&str; 9] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Region-Set",
    "X-Amz-S3session-Token",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// What the query of a presigned URL says.
pub(super) struct Presigned {
    pub(super) authorization: Authorization,
    pub(super) signing_time: SigningTime,
    pub(super) session_token: Option<String>,
    /// Of everything but the signature.
    pub(super) canonical_query: String,
    /// Headers the client signed as parameters.
    hoisted: Vec<(HeaderName, HeaderValue)>,
}

impl Presigned {
    /// Takes the signature out of the head's query and leaves the parameters of the call, byte for
    /// byte.
    pub(super) fn take(head: &mut Head) -> Result<Self, Refusal> {
        let query = head.query.take().unwrap_or_default();
        let parameters = Parameters::read(&query)?;
        head.query = (!parameters.own.is_empty()).then(|| parameters.own.join("&"));
        let authorization = parameters.authorization()?;
        let s3 = s3_name::is_signing_name(&authorization.scope.service);
        if !(s3 || parameters.hoisted.is_empty()) {
            return Err(malformed(
                "the query of a presigned URL holds an `X-Amz-` parameter that is none of its \
                 signature",
            ));
        }
        Ok(Self {
            session_token: parameters.token(&authorization.scope)?,
            authorization,
            signing_time: SigningTime::of_url(
                head,
                parameters.required("X-Amz-Date")?,
                lifetime(parameters.required("X-Amz-Expires")?)?,
            )?,
            canonical_query: parameters.canonical_query,
            hoisted: parameters.hoisted,
        })
    }

    /// Puts the hoisted headers back; returns their names.
    pub(super) fn lower(&mut self, head: &mut Head) -> Result<Vec<HeaderName>, Refusal> {
        let mut names = Vec::new();
        for (name, value) in std::mem::take(&mut self.hoisted) {
            match head.headers.entry(name.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(_) => return Err(repeated(name.as_str())),
            }
            names.push(name);
        }
        Ok(names)
    }
}

/// A query, sorted by whose its parameters are.
struct Parameters<'q> {
    /// The signature's, at the places of their [`NAMES`].
    auth: [Option<String>; NAMES.len()],
    hoisted: Vec<(HeaderName, HeaderValue)>,
    /// The call's, as they were written.
    own: Vec<&'q str>,
    canonical_query: String,
}

impl<'q> Parameters<'q> {
    fn read(query: &'q str) -> Result<Self, Refusal> {
        let signed: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.starts_with("X-Amz-Signature="))
            .collect();
        let mut read = Self {
            auth: [const { None }; NAMES.len()],
            hoisted: Vec::new(),
            own: Vec::new(),
            // Refuses every name and value with a second spelling.
            canonical_query: canonical::query(&signed.join("&"))?,
        };
        for pair in query.split('&') {
            read.sort(pair)?;
        }
        Ok(read)
    }

    fn sort(&mut self, pair: &'q str) -> Result<(), Refusal> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut slots = NAMES.iter().zip(&mut self.auth);
        if let Some((known, slot)) = slots.find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            if *known != name {
                return Err(Refusal::Malformed(format!(
                    "a parameter of a presigned URL is not spelled `{known}`"
                )));
            }
            return match slot.replace(canonical::decode(value)?.into_owned()) {
                Some(_) => Err(repeated(known)),
                None => Ok(()),
            };
        }
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("x-amz-") {
            let header = hoisted(&lower, value)?;
            if self.hoisted.iter().any(|(name, _)| *name == header.0) {
                return Err(repeated(&lower));
            }
            self.hoisted.push(header);
        } else {
            self.own.push(pair);
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut all = NAMES.iter().zip(&self.auth);
        all.find(|(known, _)| **known == name)?.1.as_deref()
    }

    fn token(&self, scope: &Scope) -> Result<Option<String>, Refusal> {
        let usual = self.value("X-Amz-Security-Token");
        let express = self.value("X-Amz-S3session-Token");
        Ok(super::one_token(usual, express, scope)?.map(str::to_owned))
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.value(name)
            .ok_or_else(|| Refusal::Malformed(format!("the presigned URL has no `{name}`")))
    }

    fn authorization(&self) -> Result<Authorization, Refusal> {
        Authorization::new(&Written {
            algorithm: self.required("X-Amz-Algorithm")?,
            credential: self.required("X-Amz-Credential")?,
            signed_headers: self.required("X-Amz-SignedHeaders")?,
            signature: self.required("X-Amz-Signature")?,
            region_set: self.value("X-Amz-Region-Set"),
        })
    }
}

/// A header that was signed as a parameter.
fn hoisted(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Refusal> {
    let text = canonical::decode(value)?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok();
    // Blanks around a value are no part of a header's value.
    let value = Some(&*text).filter(|text| text.trim() == *text && text.is_ascii());
    let value = value.and_then(|text| HeaderValue::from_str(text).ok());
    name.zip(value).ok_or_else(|| {
        malformed("an `X-Amz-` parameter of a presigned URL cannot be read as a header")
    })
}

/// Whole seconds, in their one spelling.
fn lifetime(text: &str) -> Result<Duration, Refusal> {
    super::payload::plain_number(text)
        .and_then(|seconds| i64::try_from(seconds).ok())
        .filter(|seconds| (1..=LONGEST).contains(seconds))
        .map(Duration::seconds)
        .ok_or_else(|| malformed("`X-Amz-Expires` is not a number of seconds from 1 to 604800"))
}

fn repeated(name: &str) -> Refusal {
    Refusal::Ambiguous(format!("`{name}` is there twice"))
}
