//! What may stand before an endpoint's own name: a host prefix of the model, or a bucket.

use crate::interpret::is_label;

/// Whether a text with its last dot is what a model's template makes.
pub(super) fn fits_prefix(template: &str, prefix: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else {
        return template == prefix;
    };
    let Some((_, after)) = rest.split_once('}') else {
        return false;
    };
    prefix
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(is_label)
}

/// Whether a text with its last dot is an account.
pub(super) fn is_account(prefix: &str) -> bool {
    let account = prefix.strip_suffix('.').unwrap_or_default();
    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text with its last dot can be a bucket in front of S3's name
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>). Buckets with
/// other names have to be named in the path.
pub(super) fn is_bucket(prefix: &str) -> bool {
    let Some(bucket) = prefix.strip_suffix('.') else {
        return false;
    };
    let edge = |edge: Option<u8>| edge.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=63).contains(&bucket.len())
        && edge(bucket.bytes().next())
        && edge(bucket.bytes().last())
        && !bucket.contains('_')
}
