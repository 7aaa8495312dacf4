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

#[test]
fn numbers_keep_their_exact_value() {
    let check = |json: &str, expected: &str| {
        let value: Value = serde_json::from_str(json).unwrap();
        let context = Context::from_pairs([("n".to_owned(), expression(value).unwrap())]).unwrap();
        assert_eq!(
            context.to_json_value().unwrap()["n"].to_string(),
            expected,
            "{json}"
        );
    };
    check("1", "1");
    check("-9223372036854775808", "-9223372036854775808");
    check("9223372036854775808", r#""9223372036854775808""#);
    check("0.5", r#"{"__extn":{"arg":"0.5","fn":"decimal"}}"#);
    check("2.0", r#"{"__extn":{"arg":"2.0","fn":"decimal"}}"#);
    check("0.00001", r#""1e-5""#);
    check("0.12345", r#""0.12345""#);
    check("1e300", r#""1e+300""#);
}

#[test]
fn nulls_are_absent_members_and_empty_elements() {
    let value: Value = serde_json::from_str(r#"{"a":null,"b":[null,1]}"#).unwrap();
    let context = Context::from_pairs([("p".to_owned(), expression(value).unwrap())]).unwrap();
    let json = context.to_json_value().unwrap();
    assert!(json["p"].get("a").is_none());
    assert_eq!(json["p"]["b"].as_array().unwrap().len(), 2);
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
