//! Outputs: what is put up with, what is not, and what no generated answer has.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn alarms(body: &[u8]) -> Given {
    Given::new("cloudwatch", "DescribeAlarms", Protocol::RpcV2Cbor).body(body)
}

#[test]
fn members_newer_than_the_model_are_left_out() {
    let item = r#"{"Item":{"k":{"S":"a","Z":{"x":[1]}},"n":{"Z":1}},"Newer":{"a":{"b":[null]}}}"#;
    assert_eq!(
        dynamodb("GetItem").body(item).output().to_json(),
        json!({"Item": {"k": {"S": "a"}, "n": {}}})
    );
    let copied = "<CopyObjectResult newer=\"1\"><x:ETag xmlns:x=\"u\" y=\"2\">\"e\"</x:ETag>\
                  <Newer><a/></Newer></CopyObjectResult>";
    assert_eq!(
        s3("CopyObject")
            .body(copied)
            .output()
            .get("CopyObjectResult"),
        Some(&Value::Structure(vec![(
            "ETag".to_owned(),
            Value::String("\"e\"".to_owned())
        )]))
    );
    // {"newer": [_ {1: tag 5 [1, (_ h'61', h'62')]}], "NextToken": (_ "a", "b")}
    let body = b"\xa2enewer\x9f\xa1\x01\xc5\x82\x01\x5f\x41a\x41b\xff\xffiNextToken\x7faaab\xff";
    assert_eq!(alarms(body).output().to_json(), json!({"NextToken": "ab"}));
}

#[test]
fn what_has_two_readings_is_not_read() {
    for given in [
        dynamodb("GetItem").body(r#"{"Item":{},"Item":{}}"#),
        dynamodb("GetItem").body(r#"{"Item":{"a":{"S":"x"},"\u0061":{"S":"y"}}}"#),
        Given::new("bedrock-runtime", "Converse", Protocol::RestJson)
            .body(r#"{"output":{"message":{"content":[{"text":"a","cachePoint":{}}]}}}"#),
        dynamodb("GetItem").body(r#"{"Item":[]}"#),
        dynamodb("GetItem").body("{} {}"),
        dynamodb("GetItem").body("[]"),
        s3("CopyObject").body("<CopyObjectResult><ETag>a</ETag><ETag>b</ETag></CopyObjectResult>"),
        s3("CopyObject").body("<!DOCTYPE a><CopyObjectResult/>"),
        s3("CopyObject").body("<CopyObjectResult>&e;</CopyObjectResult>"),
        s3("CopyObject").body("<CopyObjectResult>text</CopyObjectResult>"),
        s3("CopyObject").body("<CopyObjectResult>"),
        s3("HeadObject").header("etag", b"a").header("etag", b"b"),
        s3("HeadObject")
            .header("x-amz-meta-a", b"1")
            .header("x-amz-meta-a", b"2"),
        alarms(b"\xa2iNextTokenaaiNextTokenab"),
        alarms(b"\xa1iNextToken\x80"),
        alarms(b"\xa1iNextTokenaa\x00"),
        alarms(&[0x81; 10_000]),
        alarms(&[&b"\xa1enewer"[..], &[0x81; 10_000]].concat()),
        dynamodb("GetItem").body(format!(
            r#"{{"Item":{{"a":{}{}}}}}"#,
            r#"{"L":["#.repeat(200),
            "]}".repeat(200)
        )),
        s3("CopyObject").body(format!("{}{}", "<a>".repeat(100), "</a>".repeat(100))),
    ] {
        assert!(given.read().is_err(), "{:?}", given.body);
    }
}

#[test]
fn scalars_of_another_type_stay_what_they_are() {
    let described = r#"{"Table":{"ItemCount":3.0,"TableSizeBytes":18446744073709551615,
        "TableStatus":5,"CreationDateTime":"2026-01-02T03:04:05Z","TableId":true}}"#;
    assert_eq!(
        dynamodb("DescribeTable")
            .body(described)
            .output()
            .get("Table"),
        Some(&Value::Structure(
            [
                ("ItemCount", Value::Float(3.0)),
                ("TableSizeBytes", Value::Float(18_446_744_073_709_551_615.0)),
                ("TableStatus", Value::Integer(5)),
                ("CreationDateTime", Value::Timestamp(1_767_323_045.0)),
                ("TableId", Value::Boolean(true)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        ))
    );
}

#[test]
fn heads_are_read_although_they_are_not_ascii() {
    let head = s3("HeadObject")
        .header("x-amz-meta-name", "ü".as_bytes())
        .header("content-disposition", b"\xfc")
        .header("expires", b"whenever")
        .header("content-length", b"12");
    let output = head.output();
    assert_eq!(output.to_json()["Metadata"], json!({"name": "ü"}));
    assert_eq!(output.to_json()["ContentDisposition"], json!("ü"));
    assert_eq!(
        output.get("Expires"),
        Some(&Value::String("whenever".to_owned()))
    );
    assert_eq!(output.get("ContentLength"), Some(&Value::Integer(12)));
}

#[test]
fn line_ends_are_one_line_feed_and_references_are_kept() {
    let copied = "<CopyObjectResult><ETag>a\r\nb\rc&#13;<![CDATA[<d>]]></ETag></CopyObjectResult>";
    assert_eq!(
        s3("CopyObject").body(copied).output().to_json(),
        json!({"CopyObjectResult": {"ETag": "a\nb\nc\r<d>"}})
    );
}

#[test]
fn an_object_is_never_looked_into() {
    let given = s3("GetObject").body("<Error><Code>NoSuchKey</Code></Error>");
    let body = given.output();
    assert_eq!(body.get("Body"), Some(&Value::Blob(given.body.clone())));
    let streamed = Received {
        body: Body::Streamed,
        ..given.received()
    };
    let answer = given.expected.decode(&streamed).unwrap();
    assert_eq!(answer.result.unwrap().get("Body"), Some(&Value::Stream));
}

#[test]
fn the_order_of_the_answer_is_kept() {
    let output =
        dynamodb("ListTables").body(r#"{"TableNames":["b","a"],"LastEvaluatedTableName":"a"}"#);
    let reversed =
        dynamodb("ListTables").body(r#"{"LastEvaluatedTableName":"a","TableNames":["b","a"]}"#);
    let names = |given: &Given| -> Vec<String> {
        let Value::Structure(members) = given.output() else {
            return Vec::new();
        };
        members.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&output), ["TableNames", "LastEvaluatedTableName"]);
    assert_eq!(names(&reversed), ["LastEvaluatedTableName", "TableNames"]);
}

#[test]
fn queries_are_read_without_their_wrapper_too() {
    let identity = |body: &str| {
        Given::new("sts", "GetCallerIdentity", Protocol::Query)
            .body(body)
            .read()
            .unwrap()
    };
    let whole = identity(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>",
    );
    assert_eq!(whole.request_id.as_deref(), Some("r"));
    let bare = identity("<GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>");
    assert_eq!(bare.result, whole.result);
    assert_eq!(bare.result.unwrap().to_json(), json!({"Account": "1"}));
}

#[test]
fn empty_bodies_are_empty_outputs() {
    for given in [
        dynamodb("GetItem"),
        dynamodb("GetItem").body("null"),
        Given::new("sts", "GetCallerIdentity", Protocol::Query),
        Given::new("ec2", "DescribeInstances", Protocol::Ec2Query),
        Given::new("lambda", "ListFunctions", Protocol::RestJson),
        s3("ListBuckets"),
        s3("ListBuckets").body(" \n<ListAllMyBucketsResult/>"),
        alarms(b""),
    ] {
        assert_eq!(given.output(), nothing(), "{given:?}");
    }
}

fn targets() -> Vec<Given> {
    vec![
        dynamodb("GetItem"),
        alarms(b""),
        s3("ListObjectsV2"),
        s3("CompleteMultipartUpload"),
        Given::new("lambda", "ListFunctions", Protocol::RestJson),
        Given::new("ec2", "DescribeInstances", Protocol::Ec2Query),
        Given::new("sts", "GetCallerIdentity", Protocol::Query),
    ]
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        text in "[\\[\\]{}\":,a-zA-Z0-9.=&;<>/! -]{0,200}",
        header in "x-amzn-errortype|x-amzn-query-error|etag|x-amz-meta-[a-z]",
        value in proptest::collection::vec(0x20..0x7f_u8, 0..30),
        status in 200..600_u16,
    ) {
        for given in targets() {
            let given = given.status(status).header(&header, &value);
            for body in [&body[..], text.as_bytes()] {
                let given = given.clone().body(body);
                drop(given.read());
                let error = given.expected.error(&given.received());
                prop_assert_eq!(error.is_some(), status >= 300 || error.is_some());
                prop_assert!(error.is_none_or(|error| error.code.len() <= 128));
            }
        }
    }

    #[test]
    fn arbitrary_cbor_never_panics(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let tolerated = [&b"\xa1enewer"[..], &body].concat();
        drop(alarms(&tolerated).read());
        drop(alarms(&tolerated).status(400).read());
    }
}
