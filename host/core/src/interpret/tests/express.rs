//! Calls for directory buckets: signed for S3 Express and judged as what they do.

use super::*;

const BUCKET: &str = "b--use1-az4--x-s3";
const ARN: &str = "arn:aws:s3express:us-east-1:123456789012:bucket/b--use1-az4--x-s3";

fn express(method: &'static str, url: &str) -> Sent {
    Sent {
        service: "s3express",
        ..s3(method, url)
    }
}

fn pairs(sent: &Sent) -> Vec<String> {
    let call = sent.read().unwrap();
    let actions = call.actions().iter();
    actions
        .map(|action| format!("{} {} {:?}", action.name, action.resource, action.access))
        .collect()
}

#[test]
fn objects_are_judged_by_what_is_done_and_by_the_session() {
    let expected = [
        format!("s3:GetObject {ARN}/a/k Read"),
        format!("s3express:CreateSession {ARN} Read"),
    ];
    let path = express("GET", &format!("/{BUCKET}/a/k"));
    assert_eq!(pairs(&path), expected);
    let mut hosted = express("GET", "/a/k");
    hosted.authority = format!("{BUCKET}.gw.example:8443");
    assert_eq!(pairs(&hosted), expected);
    let zone = format!("{BUCKET}.s3express-use1-az4.us-east-1.amazonaws.com");
    assert_eq!(pairs(&express("GET", "/a/k").through(&zone)), expected);
    let call = path.read().unwrap();
    assert_eq!((call.service(), call.operation()), ("s3", "GetObject"));
    assert_eq!(
        pairs(&express("DELETE", &format!("/{BUCKET}/k"))),
        [
            format!("s3:DeleteObject {ARN}/k Write"),
            format!("s3express:CreateSession {ARN} Write"),
        ]
    );
}

#[test]
fn what_is_about_the_bucket_has_an_action_of_its_own() {
    for (sent, operation, action) in [
        (
            express("GET", &format!("/{BUCKET}?session")),
            "CreateSession",
            format!("s3express:CreateSession {ARN} Write"),
        ),
        (
            express("DELETE", &format!("/{BUCKET}")),
            "DeleteBucket",
            format!("s3express:DeleteBucket {ARN} Write"),
        ),
        (
            express("GET", &format!("/{BUCKET}?policy")),
            "GetBucketPolicy",
            format!("s3express:GetBucketPolicy {ARN} Read"),
        ),
        (
            express("GET", "/").through("s3express-control.us-east-1.amazonaws.com"),
            "ListDirectoryBuckets",
            "s3express:ListAllMyDirectoryBuckets * List".to_owned(),
        ),
    ] {
        assert_eq!(sent.read().unwrap().operation(), operation);
        assert_eq!(pairs(&sent), [action]);
    }
    assert_eq!(s3("GET", "/").read().unwrap().operation(), "ListBuckets");
}

#[test]
fn a_copy_names_both_its_buckets() {
    let source = |sent: Sent| sent.header("x-amz-copy-source", &format!("{BUCKET}/from"));
    let found = pairs(&source(s3("PUT", "/plain/to")));
    assert!(
        found.contains(&format!("s3express:CreateSession {ARN} Read")),
        "{found:?}"
    );
    assert!(
        found.contains(&format!("s3:GetObject {ARN}/from Read")),
        "{found:?}"
    );
    assert!(
        found.contains(&"s3:PutObject arn:aws:s3:::plain/to Write".to_owned()),
        "{found:?}"
    );
    let other = source(express("PUT", "/c--use1-az4--x-s3/to"));
    assert_eq!(pairs(&other).len(), 4);
}

#[test]
fn signature_host_and_bucket_agree() {
    let zone = |zone: &str| format!("{BUCKET}.s3express-{zone}.us-east-1.amazonaws.com");
    for sent in [
        s3("GET", &format!("/{BUCKET}/k")),
        s3("GET", &format!("/{BUCKET}?session")),
        express("GET", "/plain/k"),
        express("GET", "/plain?session"),
        express("POST", "/WriteGetObjectResponse"),
        express("GET", "/b--use1-az4--xa-s3/k"),
        express("GET", "/--use1-az4--x-s3/k"),
        express("GET", "/a/k").through(&zone("use1-az5")),
        express("GET", &format!("/{BUCKET}/k")).through("s3.us-east-1.amazonaws.com"),
        express("GET", "/a/k").through("b.s3express-use1-az4.us-east-1.amazonaws.com"),
        s3("GET", "/a/k").through(&zone("use1-az4")),
        s3("GET", "/").through("s3express-control.us-east-1.amazonaws.com"),
        Sent {
            region: "us-west-2",
            ..express("GET", "/a/k").through(&zone("use1-az4"))
        },
    ] {
        let refusal = sent.read().unwrap_err();
        assert!(!matches!(refusal, Refusal::Internal), "{sent:?}");
    }
}
