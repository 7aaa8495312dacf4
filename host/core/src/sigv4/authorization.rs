//! The `Authorization` header, which signatures are in the query instead, and naming every other
//! way of signing that is not taken.

use super::asymmetric::{self, EcdsaSignature};
use super::key::Signature;
use super::{Scope, header, malformed};
use crate::head::Head;
use crate::reach::{Reach, RegionSet};
use crate::refusal::Refusal;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(super) const TERMINATOR: &str = "aws4_request";

/// A session token is not in it, so a kilobyte or two is usual.
const MAX_LENGTH: usize = 8 * 1024;

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, each part exactly once.
pub(super) struct Authorization {
    pub(super) access_key_id: String,
    pub(super) scope: Scope,
    pub(super) signed_headers: String,
    pub(super) signature: Proof,
}

/// What a request is proved with. It goes with the reach of its scope: [`Authorization::new`] makes
/// both of one word.
#[derive(Debug)]
pub(super) enum Proof {
    /// For a set of regions.
    Ecdsa(EcdsaSignature),
    /// For one region.
    Hmac(Signature),
}

impl Proof {
    /// The name of what it was made with.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ecdsa(_) => asymmetric::ALGORITHM,
            Self::Hmac(_) => ALGORITHM,
        }
    }
}

/// A signature's parts as text, wherever they were written.
pub(super) struct Written<'a> {
    /// What it was made with.
    pub(super) algorithm: &'a str,
    pub(super) credential: &'a str,
    pub(super) signed_headers: &'a str,
    pub(super) signature: &'a str,
    /// `X-Amz-Region-Set`.
    pub(super) region_set: Option<&'a str>,
}

/// Where a request carries its one signature.
pub(super) enum Form {
    /// In the `Authorization` header.
    Header(Authorization),
    /// In the query, as a presigned URL does.
    Query,
}

impl Form {
    pub(super) fn of(head: &Head) -> Result<Self, Refusal> {
        match (header(head, "authorization")?, query_auth(head)) {
            (Some(value), None) => {
                let region_set = header(head, "x-amz-region-set")?;
                Authorization::parse(value, region_set).map(Self::Header)
            }
            (Some(_), Some(_)) => Err(Refusal::Ambiguous(
                "it is signed both in the `Authorization` header and in the query".to_owned(),
            )),
            (None, Some(QueryAuth::V2)) => Err(unsupported(SIGV2)),
            (None, Some(QueryAuth::V4)) => Ok(Self::Query),
            (None, None) if is_post_policy(head) => Err(unsupported(
                "form uploads with a POST policy are not taken; call PutObject with the SDK or \
                 presign a PUT",
            )),
            (None, None) => Err(Refusal::Unsigned),
        }
    }
}

impl Authorization {
    /// From its parts: one region with HMAC, a set of them with ECDSA.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] for other algorithms, [`Refusal::Ambiguous`] for a region set
    /// beside a region, else [`Refusal::Malformed`].
    pub(super) fn new(written: &Written<'_>) -> Result<Self, Refusal> {
        let (signature, set) = match (written.algorithm, written.region_set) {
            (ALGORITHM, None) => (hmac(written.signature)?, None),
            (ALGORITHM, Some(_)) => {
                return Err(Refusal::Ambiguous(
                    "it names a region set and is signed for one region".to_owned(),
                ));
            }
            (asymmetric::ALGORITHM, set) => (ecdsa(written.signature)?, Some(region_set(set)?)),
            (other, _) => return Err(not_taken(other)),
        };
        let (access_key_id, scope) = parse_credential(written.credential, set)?;
        Ok(Self {
            access_key_id,
            scope,
            signed_headers: written.signed_headers.to_owned(),
            signature,
        })
    }

    fn parse(value: &str, region_set: Option<&str>) -> Result<Self, Refusal> {
        if value.len() > MAX_LENGTH {
            return Err(malformed("the `Authorization` header is too long"));
        }
        let (scheme, parameters) = value.split_once(' ').unwrap_or((value, ""));
        if !matches!(scheme, ALGORITHM | asymmetric::ALGORITHM) {
            return Err(not_taken(scheme));
        }
        let mut credential = None;
        let mut signed_headers = None;
        let mut signature = None;
        for parameter in parameters.split(',') {
            let slot = match parameter.trim_start_matches(' ').split_once('=') {
                Some(("Credential", text)) => (&mut credential, text),
                Some(("SignedHeaders", text)) => (&mut signed_headers, text),
                Some(("Signature", text)) => (&mut signature, text),
                Some(_) | None => return Err(bad_authorization()),
            };
            if slot.0.replace(slot.1).is_some() {
                return Err(bad_authorization());
            }
        }
        Self::new(&Written {
            algorithm: scheme,
            credential: credential.ok_or_else(bad_authorization)?,
            signed_headers: signed_headers.ok_or_else(bad_authorization)?,
            signature: signature.ok_or_else(bad_authorization)?,
            region_set,
        })
    }
}

fn hmac(text: &str) -> Result<Proof, Refusal> {
    Signature::parse(text)
        .map(Proof::Hmac)
        .ok_or_else(|| malformed("the signature is not 64 lower-case hex digits"))
}

fn ecdsa(text: &str) -> Result<Proof, Refusal> {
    EcdsaSignature::parse(text)
        .map(Proof::Ecdsa)
        .ok_or_else(|| {
            malformed("the signature is not DER of two numbers in lower-case hex digits")
        })
}

fn region_set(text: Option<&str>) -> Result<RegionSet, Refusal> {
    text.and_then(RegionSet::parse).ok_or_else(|| {
        malformed(
            "`X-Amz-Region-Set` is not a list of regions, separated by commas alone, each once",
        )
    })
}

/// Names the way out of the known schemes.
fn not_taken(scheme: &str) -> Refusal {
    unsupported(match scheme {
        "AWS" => SIGV2,
        _ => {
            "this way of signing is not taken; sign with AWS Signature Version 4 \
             (AWS4-HMAC-SHA256)"
        }
    })
}

const SIGV2: &str = "Signature Version 2 is not taken; set `signature_version='s3v4'` in the \
                     client's configuration (boto3: `Config(signature_version='s3v4')`; AWS CLI: `aws \
                     configure set default.s3.signature_version s3v4`)";

/// A signature in the query string.
#[derive(Clone, Copy)]
enum QueryAuth {
    V2,
    V4,
}

/// Whether the query holds any part of a signature. `X-Amz-*` are signing parameters, or headers
/// hoisted into a presigned URL; no SDK sends one beside a signed header.
fn query_auth(head: &Head) -> Option<QueryAuth> {
    let query = head.query.as_deref()?;
    query.split('&').find_map(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") {
            Some(QueryAuth::V4)
        } else if name == "awsaccesskeyid" {
            Some(QueryAuth::V2)
        } else {
            None
        }
    })
}

fn is_post_policy(head: &Head) -> bool {
    head.method == http::Method::POST
        && head
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"multipart/form-data"))
}

/// With a set of regions, the scope has none of its own.
fn parse_credential(text: &str, set: Option<RegionSet>) -> Result<(String, Scope), Refusal> {
    let parts: Vec<&str> = text.split('/').collect();
    let (key, date, reach, service, terminator) = match (parts.as_slice(), set) {
        ([key, date, region, service, end], None) if is_word(region, 64, b"-") => {
            let reach = Reach::Region((*region).to_owned());
            (*key, *date, reach, *service, *end)
        }
        ([key, date, service, end], Some(set)) => (*key, *date, Reach::Set(set), *service, *end),
        (_, None) => {
            return Err(malformed(
                "`Credential` is not `key/date/region/service/aws4_request`",
            ));
        }
        (_, Some(_)) => {
            return Err(malformed(
                "`Credential` is not `key/date/service/aws4_request`",
            ));
        }
    };
    let well_formed = terminator == TERMINATOR
        && is_word(key, 128, b"_")
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
        && is_word(service, 64, b"-");
    if !well_formed {
        return Err(malformed("a part of `Credential` is not well-formed"));
    }
    let scope = Scope {
        date: date.to_owned(),
        reach,
        service: service.to_owned(),
    };
    Ok((key.to_owned(), scope))
}

/// ASCII letters, digits and `extra`, at least one and at most `longest`.
fn is_word(text: &str, longest: usize, extra: &[u8]) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

fn bad_authorization() -> Refusal {
    malformed(
        "the `Authorization` header is not `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, \
         Signature=…` with each part once",
    )
}

fn unsupported(text: &str) -> Refusal {
    Refusal::Unsupported(text.to_owned())
}
