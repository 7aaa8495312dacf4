//! The `Authorization` header, which signatures are in the query instead, and naming every other
//! way of signing that is not taken.

use super::key::Signature;
use super::{Scope, header, malformed};
use crate::head::Head;
use crate::refusal::Refusal;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(super) const TERMINATOR: &str = "aws4_request";

/// A session token is not in it, so a kilobyte or two is usual.
const MAX_LENGTH: usize = 8 * 1024;

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, each part exactly once.
pub(super) struct Authorization {
    pub(super) access_key_id: String,
    pub(super) scope: Scope,
    pub(super) signed_headers: String,
    pub(super) signature: Signature,
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
            (Some(value), None) => Authorization::parse(value).map(Self::Header),
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
    /// From its parts, wherever they were written.
    pub(super) fn new(
        credential: &str,
        signed_headers: &str,
        signature: Signature,
    ) -> Result<Self, Refusal> {
        let (access_key_id, scope) = parse_credential(credential).ok_or_else(|| {
            malformed("`Credential` is not `key/date/region/service/aws4_request`")
        })?;
        Ok(Self {
            access_key_id,
            scope,
            signed_headers: signed_headers.to_owned(),
            signature,
        })
    }

    fn parse(value: &str) -> Result<Self, Refusal> {
        if value.len() > MAX_LENGTH {
            return Err(malformed("the `Authorization` header is too long"));
        }
        let (scheme, parameters) = value.split_once(' ').unwrap_or((value, ""));
        check_scheme(scheme)?;
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
        let credential = credential.ok_or_else(bad_authorization)?;
        let signature = signature
            .and_then(Signature::parse)
            .ok_or_else(bad_authorization)?;
        let signed_headers = signed_headers.ok_or_else(bad_authorization)?;
        Self::new(credential, signed_headers, signature)
    }
}

/// Refuses every scheme but SigV4 with HMAC.
fn check_scheme(scheme: &str) -> Result<(), Refusal> {
    match scheme {
        ALGORITHM => Ok(()),
        other => Err(not_taken(other)),
    }
}

/// Names the way out of the known schemes.
pub(super) fn not_taken(scheme: &str) -> Refusal {
    unsupported(match scheme {
        "AWS4-ECDSA-P256-SHA256" => {
            "Signature Version 4A is not taken; call a single region instead of a multi-region \
             access point or global endpoint"
        }
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

fn parse_credential(text: &str) -> Option<(String, Scope)> {
    let mut parts = text.split('/');
    let mut next = || parts.next();
    let (key, date, region, service, terminator) = (next()?, next()?, next()?, next()?, next()?);
    let well_formed = next().is_none()
        && terminator == TERMINATOR
        && is_word(key, 128, b"_")
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
        && is_word(region, 64, b"-")
        && is_word(service, 64, b"-");
    well_formed.then(|| {
        let scope = Scope {
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        (key.to_owned(), scope)
    })
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
