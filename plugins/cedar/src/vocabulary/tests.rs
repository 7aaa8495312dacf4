//! What `vocabulary` promises, as tests.

use super::*;

fn check_arn(arn: &str, expected: [&str; 5]) {
    let arn = Arn::parse(arn);
    assert_eq!(
        [arn.service, arn.region, arn.account, arn.kind, arn.name],
        expected
    );
}

#[test]
fn arns_split_into_type_and_name() {
    check_arn(
        "arn:aws:dynamodb:eu-west-1:123456789012:table/prod/index/x",
        [
            "dynamodb",
            "eu-west-1",
            "123456789012",
            "table",
            "prod/index/x",
        ],
    );
    check_arn(
        "arn:aws:lambda:us-east-1:123456789012:function:f:1",
        ["lambda", "us-east-1", "123456789012", "function", "f:1"],
    );
    check_arn("arn:aws:s3:::bucket", ["s3", "", "", "bucket", "bucket"]);
    check_arn(
        "arn:aws:s3:::bucket/a/b",
        ["s3", "", "", "object", "bucket/a/b"],
    );
    check_arn(
        "arn:aws:sqs:us-east-1:123456789012:queue",
        ["sqs", "us-east-1", "123456789012", "", "queue"],
    );
    check_arn("*", ["", "", "", "", ""]);
    check_arn("arn:aws:s3", ["", "", "", "", ""]);
}

fn check_value(json: &str, expected: &str) {
    let cedar = value(serde_json::from_str(json).unwrap()).unwrap();
    assert_eq!(cedar.to_string(), expected, "{json}");
}

#[test]
fn numbers_keep_their_exact_value() {
    check_value("1", "1");
    check_value("-9223372036854775808", "-9223372036854775808");
    check_value("9223372036854775808", r#""9223372036854775808""#);
    check_value("0.5", r#"decimal("0.5")"#);
    check_value("-2.0", r#"decimal("-2.0")"#);
    check_value("0.00001", r#""0.00001""#);
    check_value("0.12345", r#""0.12345""#);
    check_value("1e300", r#""1e+300""#);
}

#[test]
fn nulls_are_absent_members_and_empty_elements() {
    check_value(r#"{"a":null,"b":2}"#, "{b: 2}");
    check_value("[null]", "[{}]");
}

#[test]
fn escapes_that_cedar_reads_in_json_stay_data() {
    check_value(
        r#"{"__entity":{"type":"Agent","id":"root"}}"#,
        r#"{__entity: {id: "root", type: "Agent"}}"#,
    );
}

#[test]
fn action_names_that_match_nothing_are_known() {
    for good in [
        "s3:GetObject",
        "service/s3",
        "level/permissions",
        "sso-directory:X",
    ] {
        assert_eq!(action_problem(good), None, "{good}");
    }
    for bad in [
        "s3:*",
        "s3:Get*",
        "GetObject",
        "level/reads",
        "level/unknown",
        "service/",
        "service/s3:x",
    ] {
        assert!(action_problem(bad).is_some(), "{bad}");
    }
}
