//! What may stand before the gateway's own host name, and the host prefix that the model wants
//! before AWS's.

use super::text::quote;
use crate::call::Value;
use crate::catalog::{Entry, Operation, Structure};
use crate::directory_bucket;
use crate::refusal::Refusal;

/// The longest label of a host name (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// The members that the text before the gateway's name stands for, or nothing if it cannot belong
/// to the operation. A service's own name is always possible: it tells look-alikes apart.
pub(super) fn labels(
    prefix: Option<&str>,
    entry: &Entry,
    operation: &Operation,
) -> Option<Vec<(String, String)>> {
    let Some(prefix) = prefix else {
        return Some(Vec::new());
    };
    let names_service = prefix.strip_suffix('.') == Some(&entry.name);
    if names_service && entry.signing_name != "s3" {
        return Some(Vec::new());
    }
    let template = operation.host_prefix.as_deref()?;
    let Some(Hole {
        before,
        member,
        after,
    }) = Hole::of(template)
    else {
        return (template == prefix).then(Vec::new);
    };
    let value = prefix.strip_prefix(before)?.strip_suffix(after)?;
    is_label(value).then(|| vec![(member.to_owned(), value.to_owned())])
}

/// Whether an operation is only served under another signing name than the request's: `GET /` lists
/// one kind of buckets or the other.
pub(super) fn elsewhere(entry: &Entry, operation: &Operation, signing_name: &str) -> bool {
    let express = signing_name == directory_bucket::SIGNING_NAME;
    entry.name == "s3"
        && match operation.name.as_str() {
            "ListDirectoryBuckets" => !express,
            "ListBuckets" => express,
            _ => false,
        }
}

/// Puts members from the host name into the input.
///
/// # Errors
/// [`Refusal::Ambiguous`] when the input has another value.
pub(super) fn fill(params: &mut Value, labels: &[(String, String)]) -> Result<(), Refusal> {
    for (name, label) in labels {
        match params.get(name) {
            Some(value) if value.as_str() == Some(label) => {}
            Some(_) => {
                return Err(Refusal::Ambiguous(format!(
                    "the host name and `{name}` differ"
                )));
            }
            None => {
                let Value::Structure(entries) = params else {
                    return Err(Refusal::Internal);
                };
                entries.push((name.clone(), Value::String(label.clone())));
            }
        }
    }
    Ok(())
}

/// The host prefix that the operation wants, with its member filled in.
///
/// # Errors
/// [`Refusal::InvalidInput`] when the member is absent or no host name label.
pub(super) fn expand(
    operation: &Operation,
    input: Option<&Structure>,
    params: &Value,
) -> Result<Option<String>, Refusal> {
    let Some(template) = operation.host_prefix.as_deref() else {
        return Ok(None);
    };
    let Some(Hole {
        before,
        member,
        after,
    }) = Hole::of(template)
    else {
        return Ok(Some(template.to_owned()));
    };
    let known = input.is_some_and(|input| input.members.iter().any(|own| own.name == member));
    if !known {
        return Err(Refusal::Internal);
    }
    let value = params.get(member).and_then(Value::as_str);
    match value.filter(|value| is_label(value)) {
        Some(value) => Ok(Some(format!("{before}{value}{after}"))),
        None => Err(Refusal::InvalidInput(format!(
            "`{}` must be one label of a host name",
            quote(member)
        ))),
    }
}

/// A template's one member. Models have at most one.
struct Hole<'t> {
    before: &'t str,
    member: &'t str,
    after: &'t str,
}

impl<'t> Hole<'t> {
    fn of(template: &'t str) -> Option<Self> {
        let (before, rest) = template.split_once('{')?;
        let (member, after) = rest.split_once('}')?;
        Some(Self {
            before,
            member,
            after,
        })
    }
}

/// Dots would let a value choose how deep the host name is, so one label is all it may be.
pub(crate) fn is_label(value: &str) -> bool {
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && (1..=MAX_LABEL).contains(&value.len())
}
