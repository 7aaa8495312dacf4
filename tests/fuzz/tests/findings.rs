//! The targets without a fuzzer: inputs that once showed a defect fail no more, and good requests get
//! as far as the oracles.

use std::fs;
use std::path::Path;

/// `findings/<target>/<what it was>`.
#[test]
fn what_once_failed_fails_no_more() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
    let Ok(directories) = fs::read_dir(&root) else {
        return;
    };
    for directory in directories.flatten() {
        let name = directory.file_name().into_string().unwrap();
        let target = fuzz::target(&name).unwrap_or_else(|| panic!("no target `{name}`"));
        for finding in fs::read_dir(directory.path()).unwrap().flatten() {
            eprintln!("{}", finding.path().display());
            target(&fs::read(finding.path()).unwrap());
        }
    }
}

#[test]
fn good_requests_get_as_far_as_the_oracles() {
    const FORM: &str = "content-type: application/x-www-form-urlencoded; charset=utf-8";
    for (target, request, label) in [
        (
            "json",
            "dynamodb POST / gw.example\ncontent-type: application/x-amz-json-1.0\n\
             x-amz-target: DynamoDB_20120810.ListTables\n\n{\"Limit\":7}"
                .to_owned(),
            "dynamodb:ListTables",
        ),
        (
            "query",
            format!("iam POST / gw.example\n{FORM}\n\nAction=ListUsers&Version=2010-05-08&MaxItems=7"),
            "iam:ListUsers",
        ),
        (
            "ec2",
            format!("ec2 POST / gw.example\n{FORM}\n\nAction=DescribeVpcs&Version=2016-11-15&VpcId.1=a"),
            "ec2:DescribeVpcs",
        ),
        (
            "rest-json",
            "lambda PUT /2017-10-31/functions/f/concurrency gw.example\n\
             content-type: application/json\n\n{\"ReservedConcurrentExecutions\":7}"
                .to_owned(),
            "lambda:PutFunctionConcurrency",
        ),
        (
            "rest-xml",
            "s3 PUT /bucket?versioning gw.example\n\n\
             <VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
                .to_owned(),
            "s3:PutBucketVersioning",
        ),
        (
            "cbor",
            "monitoring POST /service/GraniteServiceVersion20100801/operation/ListDashboards gw.example\n\
             smithy-protocol: rpc-v2-cbor\ncontent-type: application/cbor\n\n"
                .to_owned(),
            "cloudwatch:ListDashboards",
        ),
    ] {
        assert_eq!(fuzz::label(request.as_bytes()).as_deref(), Some(label), "{target}");
        fuzz::target(target).unwrap()(request.as_bytes());
    }
}

/// One edit at each place, of each kind.
#[test]
fn no_edit_of_a_signed_body_or_url_is_taken_for_what_was_signed() {
    const BODY: &[u8] = b"5 7 x-amz-checksum-crc32\nhello, world!";
    const STREAM: &[u8] = b"5 7 1\nhello, world!";
    const URL: &[u8] = b"s3 PUT /bucket/a%20b?versionId=7&x-amz-acl=private gw.example\n\n";
    for at in (0..=1023_u16).step_by(5) {
        for kind in 0..6 {
            let [high, low] = at.to_be_bytes();
            let edit = [high, low, b'7', 4 * kind + 1];
            fuzz::target("signed-chunks").unwrap()(&[BODY, &edit].concat());
            fuzz::target("presigned").unwrap()(&[URL, &edit].concat());
            fuzz::target("signed-events").unwrap()(&[STREAM, &edit].concat());
        }
    }
}
