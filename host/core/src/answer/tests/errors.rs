//! Errors in every shape that some service writes them in.

use serde_json::json;

use super::*;
use crate::refusal::Fault;

fn code_of(given: &Given) -> (String, Option<String>) {
    let error = given.error();
    (error.code, error.message)
}

#[test]
fn codes_are_found_in_every_shape() {
    let query = || Given::new("sts", "AssumeRole", Protocol::Query).status(403);
    let ec2 = || Given::new("ec2", "RunInstances", Protocol::Ec2Query).status(400);
    let lambda = || Given::new("lambda", "GetFunction", Protocol::RestJson).status(404);
    let cbor = || Given::new("cloudwatch", "DescribeAlarms", Protocol::RpcV2Cbor).status(400);
    let error = "<Error><Code>Denied</Code><Message>no</Message></Error>";
    for given in [
        query().body(format!(
            "<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"
        )),
        query().body(error),
        ec2().body(format!(
            "<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"
        )),
        s3("GetObject").status(403).body(error),
        s3("HeadBucket").status(307).body(error),
        Given::new("route53", "GetChange", Protocol::RestXml)
            .status(400)
            .body(format!(
                "<ErrorResponse xmlns=\"u\">{error}</ErrorResponse>"
            )),
        dynamodb("GetItem")
            .status(400)
            .body(r#"{"__type":"a.b#Denied","message":"no"}"#),
        dynamodb("GetItem")
            .status(400)
            .body(r#"{"__type":"Denied","Message":"no","x":[{}]}"#),
        lambda().body(r#"{"code":"Denied","message":"no"}"#),
        lambda().body(r#"{"code":404,"__type":"Denied","message":"no"}"#),
        lambda()
            .header("x-amzn-errortype", b"Denied:http://internal/")
            .body(r#"{"code":"Other","__type":"Other","message":"no"}"#),
        cbor().body(b"\xbff__typehx#Deniedgmessagebno\xff"),
    ] {
        let found = code_of(&given);
        assert_eq!(
            found,
            ("Denied".to_owned(), Some("no".to_owned())),
            "{given:?}"
        );
    }
}

#[test]
fn without_a_body_the_status_is_the_code() {
    for given in [
        s3("HeadObject"),
        s3("GetObject").body("<html><body>sorry</body></html>"),
        s3("GetObject").body("{}"),
        dynamodb("GetItem").body("<html>"),
        dynamodb("GetItem").body("[]"),
        dynamodb("GetItem").body(r#"{"__type":""}"#),
        dynamodb("GetItem").body(format!(r#"{{"__type":"{}"}}"#, "x".repeat(200))),
        dynamodb("GetItem").body(r#"{"__type":"two words"}"#),
        Given::new("sts", "AssumeRole", Protocol::Query),
        Given::new("cloudwatch", "DescribeAlarms", Protocol::RpcV2Cbor).body("oops"),
    ] {
        let given = given.status(404);
        let found = code_of(&given);
        assert_eq!(
            found,
            ("404".to_owned(), Some("Not Found".to_owned())),
            "{given:?}"
        );
    }
    let head = s3("HeadObject")
        .status(404)
        .header("x-amzn-errortype", b"NoSuchKey");
    assert_eq!(head.error().code, "NoSuchKey");
}

#[test]
fn an_error_in_two_readings_keeps_its_status_only() {
    let given = dynamodb("GetItem")
        .status(400)
        .body(r#"{"__type":"A","__type":"B"}"#);
    assert!(given.read().is_err());
    let known = given.expected.error(&given.received());
    assert_eq!(known.map(|error| error.code).as_deref(), Some("400"));
    let given = s3("GetObject")
        .status(400)
        .body("<Error><Code>A</Code><Code>B</Code></Error>");
    assert!(given.read().is_err());
}

#[test]
fn a_service_that_left_query_keeps_its_old_codes() {
    let given = Given::new("sqs", "GetQueueUrl", Protocol::Json10)
        .status(400)
        .header(
            "x-amzn-query-error",
            b"AWS.SimpleQueueService.NonExistentQueue;Sender",
        )
        .body(r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}"#);
    let error = given.error();
    assert_eq!(error.code, "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(error.shape.as_deref(), Some("QueueDoesNotExist"));
}

#[test]
fn the_members_of_a_modelled_error_are_read() {
    let given = dynamodb("PutItem").status(400).body(
        r#"{"__type":"x#ConditionalCheckFailedException","message":"no","Item":{"a":{"S":"b"}}}"#,
    );
    let error = given.error();
    assert_eq!(
        error.shape.as_deref(),
        Some("ConditionalCheckFailedException")
    );
    assert_eq!(
        error.members.to_json(),
        json!({"message": "no", "Item": {"a": {"S": "b"}}})
    );
    let throttled = Given::new("lambda", "Invoke", Protocol::RestJson)
        .status(429)
        .header("retry-after", b"3")
        .header("x-amzn-errortype", b"TooManyRequestsException")
        .body(r#"{"Reason":"r"}"#);
    assert_eq!(
        throttled.error().members.to_json(),
        json!({"retryAfterSeconds": "3", "Reason": "r"})
    );
}

#[test]
fn s3_fails_behind_a_status_of_success() {
    let failed =
        "<?xml version=\"1.0\"?>\n  <Error><Code>InternalError</Code><Message>m</Message></Error>";
    for operation in [
        "CompleteMultipartUpload",
        "CopyObject",
        "UploadPartCopy",
        "ListObjectsV2",
        "PutObject",
    ] {
        let given = s3(operation).body(failed);
        let error = given.error();
        assert_eq!(
            (error.code.as_str(), error.fault),
            ("InternalError", Fault::Upstream)
        );
        assert_eq!(given.expected.error(&given.received()), Some(error));
    }
    let deleted = s3("DeleteObjects")
        .body("<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>");
    assert_eq!(
        deleted.output().to_json(),
        json!({"Errors": [{"Key": "k", "Code": "AccessDenied"}]})
    );
    assert_eq!(deleted.expected.error(&deleted.received()), None);
}

#[test]
fn the_fault_is_told() {
    let at = |status: u16| dynamodb("GetItem").status(status).error().fault;
    assert_eq!(
        (at(400), at(503), at(304)),
        (Fault::Downstream, Fault::Upstream, Fault::Downstream)
    );
}

#[test]
fn the_request_id_is_found_in_head_and_body() {
    let id = |given: &Given| given.read().unwrap().request_id;
    let failed = "<Response><Errors><Error><Code>A</Code></Error></Errors><RequestID>r</RequestID></Response>";
    let ec2 = Given::new("ec2", "RunInstances", Protocol::Ec2Query)
        .status(400)
        .body(failed);
    assert_eq!(id(&ec2).as_deref(), Some("r"));
    let named = ec2.header("x-amzn-requestid", b"h");
    assert_eq!(id(&named).as_deref(), Some("h"));
}
