//! What `directory_bucket` promises, as tests.

use super::*;
use crate::call::AccessLevel;
use crate::catalog::{Catalog, Protocol};
use crate::destination::{Addressing, Variant};

const BUCKET: &str = "a--use1-az4--x-s3";

fn call(operation: &str, members: &[(&str, &str)]) -> Call {
    let text =
        |(name, value): &(&str, &str)| ((*name).to_owned(), Value::String((*value).to_owned()));
    Call {
        service: "s3".to_owned(),
        operation: operation.to_owned(),
        protocol: Protocol::RestXml,
        partition: "aws".to_owned(),
        reach: "us-east-1".into(),
        account: "123456789012".to_owned(),
        params: Value::Structure(members.iter().map(text).collect()),
        actions: Vec::new(),
        host_prefix: None,
        signing_name: SIGNING_NAME.to_owned(),
        variant: Variant::Plain,
        addressing: Addressing::Path,
        embedded: None,
        unmodelled: Vec::new(),
    }
}

#[test]
fn names_say_their_zone() {
    let zone = |name| DirectoryBucket::parse(name).map(DirectoryBucket::zone);
    assert_eq!(zone(BUCKET), Some("use1-az4"));
    assert_eq!(zone("a--b--usw2-lax1-az1--x-s3"), Some("usw2-lax1-az1"));
    for name in [
        "plain",
        "--x-s3",
        "use1-az4--x-s3",
        "--use1-az4--x-s3",
        "a----x-s3",
        "a--use1-az4--x-s3-b",
        "a--use1-az4--xa-s3",
        "A--use1-az4--x-s3",
        "a--use1.az4--x-s3",
        "a.b--use1-az4--x-s3",
        "a--use1-az4---x-s3",
        &format!("{}--use1-az4--x-s3", "a".repeat(48)),
    ] {
        assert_eq!(zone(name), None, "{name}");
    }
}

#[test]
fn every_operation_on_a_bucket_itself_is_regional() {
    let service = Catalog::embedded().service("s3").unwrap();
    let regional: Vec<&str> = service
        .operations
        .iter()
        .map(|operation| operation.name.as_str())
        .filter(|name| is_regional(name))
        .collect();
    // As many as botocore's model gives `UseS3ExpressControlEndpoint` to.
    assert_eq!(regional.len(), 73, "{regional:?}");
    for name in ["GetObject", "HeadBucket", "ListBuckets", "ListObjectsV2"] {
        assert!(!regional.contains(&name), "{name}");
    }
}

#[test]
fn a_session_is_asked_for_one_directory_bucket() {
    let of = |members: &[(&str, &str)]| SessionRequest::of(&call("CreateSession", members));
    let read_only = |members: &[(&str, &str)]| of(members).unwrap().unwrap().0.read_only;
    assert!(!read_only(&[("Bucket", BUCKET)]));
    assert!(!read_only(&[
        ("Bucket", BUCKET),
        ("SessionMode", "ReadWrite")
    ]));
    assert!(read_only(&[
        ("Bucket", BUCKET),
        ("SessionMode", "ReadOnly")
    ]));
    for members in [
        vec![("Bucket", "plain")],
        vec![],
        vec![("Bucket", BUCKET), ("SessionMode", "readonly")],
        vec![("Bucket", BUCKET), ("SSEKMSKeyId", "key")],
    ] {
        of(&members).unwrap_err();
    }
    assert_eq!(SessionRequest::of(&call("GetObject", &[])), Ok(None));
}

#[test]
fn a_session_is_good_for_its_bucket() {
    let session = |read_only| Confinement {
        bucket: BUCKET.to_owned(),
        read_only,
    };
    let object = [("Bucket", BUCKET), ("Key", "k")];
    for operation in READ_ONLY {
        session(true).check(&call(operation, &object)).unwrap();
    }
    // With an endpoint of their own, SDKs sign these in sessions too.
    for operation in ["PutObject", "GetBucketPolicy", "CopyObject"] {
        session(false).check(&call(operation, &object)).unwrap();
    }
    let elsewhere = [("Bucket", "b--use1-az4--x-s3"), ("Key", "k")];
    let mut other = call("GetObject", &object);
    other.service = "s3control".to_owned();
    for (what, confinement, call) in [
        ("a write", session(true), call("PutObject", &object)),
        ("a deletion", session(true), call("DeleteObjects", &object)),
        ("a bucket", session(false), call("GetObject", &elsewhere)),
        (
            "no bucket",
            session(false),
            call("ListDirectoryBuckets", &[]),
        ),
        ("a policy", session(true), call("PutBucketPolicy", &object)),
        ("a copy", session(true), call("CopyObject", &object)),
        ("a session", session(false), call("CreateSession", &object)),
        ("a service", session(false), other),
    ] {
        let refusal = confinement.check(&call).unwrap_err();
        assert!(matches!(refusal, Refusal::Denied { .. }), "{what}");
    }
}

#[test]
fn objects_are_judged_by_their_own_action_too() {
    let arn = "arn:aws:s3express:us-east-1:123456789012:bucket/a--use1-az4--x-s3";
    let action = |name: &str, resource: &str| Action {
        name: name.to_owned(),
        resource: resource.to_owned(),
        access: AccessLevel::Write,
    };
    let judged = |name, key, operation| judged(&action(name, "arn:x"), arn, key, operation);
    assert_eq!(
        judged("s3:DeleteObject", Some("k/x"), "DeleteObject"),
        [
            action("s3:DeleteObject", &format!("{arn}/k/x")),
            action("s3express:CreateSession", arn)
        ]
    );
    assert_eq!(
        judged("s3:PutBucketPolicy", None, "PutBucketPolicy"),
        [action("s3express:PutBucketPolicy", arn)]
    );
}
