//! S3 Express: directory buckets are used with sessions that AWS hands out as credentials, so the
//! gateway does not take part in them. Refused by name, before anybody is asked.

use percent_encoding::percent_decode_str;

use crate::call::{Call, Value};
use crate::refusal::Refusal;

/// What SDKs sign for towards directory buckets.
pub const SIGNING_NAME: &str = "s3express";
/// What ends every directory bucket's name, and no other's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html>
const SUFFIX: &str = "--x-s3";

/// Whether the call has nothing to do with directory buckets.
///
/// # Errors
/// [`Refusal::Unsupported`] for `CreateSession`, whatever the bucket, and for every call that
/// names a directory bucket as its bucket or as the source of a copy.
pub fn check(call: &Call) -> Result<(), Refusal> {
    if call.service() != "s3" {
        return Ok(());
    }
    if call.operation() == "CreateSession" {
        return Err(refusal());
    }
    let text = |name: &str| call.params().get(name).and_then(Value::as_str);
    let bucket = text("Bucket").map(str::to_owned);
    let source = text("CopySource").map(source_bucket);
    if [bucket, source]
        .iter()
        .flatten()
        .any(|name| name.ends_with(SUFFIX))
    {
        return Err(refusal());
    }
    Ok(())
}

/// Says what is not carried out, and what to do.
#[must_use]
pub fn refusal() -> Refusal {
    Refusal::Unsupported(
        "directory buckets (S3 Express One Zone, names ending in `--x-s3`) cannot be used through \
         this gateway: their sessions are AWS credentials that would reach the agent. Use a general \
         purpose bucket; disable_s3_express_session_auth (AWS_S3_DISABLE_EXPRESS_SESSION_AUTH) only \
         keeps an SDK from asking for such sessions"
            .to_owned(),
    )
}

/// The bucket of `[/]bucket/key`, percent-encoded.
fn source_bucket(source: &str) -> String {
    let path = percent_decode_str(source).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    path.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Protocol;

    fn call(operation: &str, members: &[(&str, &str)]) -> Call {
        let text =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Value::String((*value).to_owned()));
        Call {
            service: "s3".to_owned(),
            operation: operation.to_owned(),
            protocol: Protocol::RestXml,
            partition: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            params: Value::Structure(members.iter().map(text).collect()),
            actions: Vec::new(),
            host_prefix: None,
            signing_name: "s3".to_owned(),
            variant: crate::destination::Variant::Plain,
            addressing: crate::destination::Addressing::Path,
            embedded: None,
            unmodelled: Vec::new(),
        }
    }

    #[test]
    fn sessions_and_directory_buckets_are_refused_with_the_way_out() {
        let directory = "a--use1-az4--x-s3";
        for (operation, members) in [
            ("CreateSession", vec![("Bucket", "plain")]),
            ("GetObject", vec![("Bucket", directory), ("Key", "k")]),
            ("CreateBucket", vec![("Bucket", directory)]),
            (
                "CopyObject",
                vec![("Bucket", "b"), ("CopySource", "/a--use1-az4--x-s3/k")],
            ),
            (
                "CopyObject",
                vec![("Bucket", "b"), ("CopySource", "a--use1-az4-%2Dx%2ds3%2Fk")],
            ),
        ] {
            let refusal = check(&call(operation, &members)).unwrap_err();
            let text = refusal.to_string();
            assert!(matches!(refusal, Refusal::Unsupported(_)), "{operation}");
            assert!(
                text.contains("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"),
                "{text}"
            );
        }
    }

    #[test]
    fn other_calls_pass() {
        for (operation, members) in [
            ("ListBuckets", vec![]),
            (
                "GetObject",
                vec![("Bucket", "a--x-s3-b"), ("Key", "c--x-s3")],
            ),
            (
                "CopyObject",
                vec![("Bucket", "b"), ("CopySource", "a/k--x-s3")],
            ),
        ] {
            assert_eq!(check(&call(operation, &members)), Ok(()), "{operation}");
        }
        let mut other = call("CreateSession", &[]);
        other.service = "glue".to_owned();
        assert_eq!(check(&other), Ok(()));
    }
}
