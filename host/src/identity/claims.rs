//! What a verified token must say. Types are exact and absence is never a yes.

use portcullis_core::access::Principal;
use portcullis_core::refusal::Refusal;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::jwt::{Jwt, Kind};
use super::{Authenticated, invalid};
use crate::config::Issuer;

/// How far the issuer's clock and this one may differ.
const LEEWAY: Duration = Duration::seconds(60);
/// OpenID Connect Core §2 allows a `sub` of 255 characters.
const MAX_SUBJECT: usize = 255;
/// Bytes of one group's name.
const MAX_GROUP: usize = 256;
/// RFC 5321's longest address, with its brackets left out.
const MAX_EMAIL: usize = 254;

pub(super) fn check(
    jwt: &Jwt<'_>,
    issuer: &Issuer,
    now: OffsetDateTime,
) -> Result<Authenticated, Refusal> {
    let audience = audience(jwt, issuer)?;
    let expires_at = lifetime(jwt, now)?;
    if jwt.claim("events").is_some() {
        return Err(invalid("it tells of an event and signs nobody in"));
    }
    Ok(Authenticated {
        principal: Principal {
            issuer: issuer.issuer.clone(),
            subject: subject(jwt)?,
            email: email(jwt)?,
            groups: groups(jwt, &issuer.groups_claim)?,
        },
        audience,
        expires_at,
    })
}

/// The configured audience among the token's. A token for several audiences that is no access
/// token must say which client it was made for (OpenID Connect Core §2, `azp`).
fn audience(jwt: &Jwt<'_>, issuer: &Issuer) -> Result<String, Refusal> {
    let audiences: Vec<&str> = match jwt.claim("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(list)) => list
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("its audience (`aud`) is not text"))?,
        Some(_) | None => return Err(invalid("it names no audience (`aud`)")),
    };
    let ours = issuer
        .audience
        .iter()
        .find(|ours| audiences.contains(&ours.as_str()))
        .ok_or_else(|| {
            invalid("its audience (`aud`) is not this gateway's; ask for a token made for it")
        })?;
    let client = jwt.claim("azp").and_then(Value::as_str);
    if audiences.len() > 1 && jwt.header().kind == Kind::Plain && client.is_none() {
        return Err(invalid("it has several audiences and no `azp`"));
    }
    Ok(ours.clone())
}

fn lifetime(jwt: &Jwt<'_>, now: OffsetDateTime) -> Result<OffsetDateTime, Refusal> {
    let expires_at = required_time(jwt, "exp")?;
    let issued_at = required_time(jwt, "iat")?;
    if now >= expires_at.saturating_add(LEEWAY) {
        return Err(Refusal::IdentityExpired);
    }
    if issued_at >= expires_at {
        return Err(invalid("it ends before it was issued"));
    }
    let latest = now.saturating_add(LEEWAY);
    if issued_at > latest {
        return Err(invalid("it was issued in the future; check the clocks"));
    }
    if time_claim(jwt, "nbf")?.is_some_and(|not_before| not_before > latest) {
        return Err(invalid("it is not valid yet; check the clocks"));
    }
    Ok(expires_at)
}

fn required_time(jwt: &Jwt<'_>, name: &str) -> Result<OffsetDateTime, Refusal> {
    time_claim(jwt, name)?.ok_or_else(|| invalid(&format!("it has no `{name}`")))
}

/// Whole seconds only: text and fractions are read differently by different libraries.
fn time_claim(jwt: &Jwt<'_>, name: &str) -> Result<Option<OffsetDateTime>, Refusal> {
    jwt.claim(name)
        .map(|value| {
            value
                .as_i64()
                .filter(|seconds| *seconds > 0)
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
                .ok_or_else(|| invalid(&format!("its `{name}` is not a whole number of seconds")))
        })
        .transpose()
}

fn subject(jwt: &Jwt<'_>) -> Result<String, Refusal> {
    jwt.claim("sub")
        .and_then(Value::as_str)
        .filter(|subject| is_plain(subject, MAX_SUBJECT))
        .map(str::to_owned)
        .ok_or_else(|| invalid("its subject (`sub`) is absent, empty, too long or not plain text"))
}

/// An address its issuer says it did not verify could be anyone's, so it is left out.
fn email(jwt: &Jwt<'_>) -> Result<Option<String>, Refusal> {
    let email = match jwt.claim("email") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value
            .as_str()
            .filter(|email| is_plain(email, MAX_EMAIL))
            .ok_or_else(|| invalid("its `email` is not plain text"))?,
    };
    match jwt.claim("email_verified") {
        None | Some(Value::Bool(true)) => Ok(Some(email.to_owned())),
        Some(_) => Ok(None),
    }
}

/// Exact and typed: a list of text, nothing else. No claim is no groups.
fn groups(jwt: &Jwt<'_>, claim: &str) -> Result<Vec<String>, Refusal> {
    if is_elsewhere(jwt, claim) {
        return Err(invalid(
            "it has too many groups to list them and only says where to ask; ask the identity provider's administrator to send this application fewer groups",
        ));
    }
    match jwt.claim(claim) {
        None => Ok(Vec::new()),
        Some(value) => value
            .as_array()
            .and_then(|list| list.iter().map(group).collect())
            .ok_or_else(|| {
                invalid(&format!(
                    "its groups (`{claim}`) are not a list of plain, short text"
                ))
            }),
    }
}

fn group(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|group| is_plain(group, MAX_GROUP))
        .map(str::to_owned)
}

/// Microsoft Entra's overage: distributed claims (OpenID Connect Core §5.6.2) or `hasgroups`.
fn is_elsewhere(jwt: &Jwt<'_>, claim: &str) -> bool {
    let distributed = jwt
        .claim("_claim_names")
        .is_some_and(|names| names.get(claim).is_some());
    distributed || jwt.claim("hasgroups").is_some()
}

/// Subjects and groups end up in policies, records and XML, where control characters have no
/// business.
fn is_plain(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}
