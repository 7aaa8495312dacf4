//! Requests that are right: which call they are, with which input, on which resources.

use serde_json::{Value as Json, json};

use super::*;
use crate::refusal::wire::Dialect;

#[expect(
    clippy::needless_pass_by_value,
    reason = "tables read better without `&json!`"
)]
fn check(sent: &Sent, name: &str, params: Json) {
    let call = sent
        .read()
        .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    assert_eq!(format!("{}:{}", call.service(), call.operation()), name);
    assert_eq!(call.params().to_json(), params, "{name}");
}

fn resources(sent: &Sent) -> Vec<String> {
    let call = sent.read().unwrap();
    let pair = |action: &Action| format!("{} {}", action.name, action.resource);
    call.actions().iter().map(pair).collect()
}

/// PAR-03: one call, whatever protocol carries it.
#[test]
fn one_call_is_the_same_in_every_protocol() {
    let expected = json!({"AlarmNames": ["a", "b"]});
    let json = Sent::new("monitoring", "POST", "/")
        .header("x-amz-target", "GraniteServiceVersion20100801.DeleteAlarms")
        .header("content-type", "application/x-amz-json-1.0")
        .body(r#"{"AlarmNames":["a","b"]}"#);
    let form = query(
        "monitoring",
        "Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a&AlarmNames.member.2=b",
    );
    let cbor = Sent {
        body: b"\xa1jAlarmNames\x82aaab".to_vec(),
        ..Sent::new(
            "monitoring",
            "POST",
            "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
        )
        .header("smithy-protocol", "rpc-v2-cbor")
    };
    for sent in [json, form, cbor] {
        check(&sent, "cloudwatch:DeleteAlarms", expected.clone());
    }
}

#[test]
fn json_calls_are_read() {
    check(
        &dynamodb("DeleteTable", r#"{"TableName":"orders"}"#),
        "dynamodb:DeleteTable",
        json!({"TableName": "orders"}),
    );
    check(
        &dynamodb("ListTables", r#"{"Limit":null}"#),
        "dynamodb:ListTables",
        json!({}),
    );
    check(
        &dynamodb("ListTables", ""),
        "dynamodb:ListTables",
        json!({}),
    );
}

#[test]
fn query_calls_are_read() {
    check(
        &query("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
        "sts:GetCallerIdentity",
        json!({}),
    );
    check(
        &query(
            "ec2",
            "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2\
             &Filter.1.Name=a&Filter.1.Value.1=b",
        ),
        "ec2:DescribeInstances",
        json!({
            "Filters": [{"Name": "a", "Values": ["b"]}],
            "InstanceIds": ["i-1", "i-2"],
        }),
    );
    check(
        &query("rds", "Action=DescribeDBInstances&Version=2014-10-31"),
        "rds:DescribeDBInstances",
        json!({}),
    );
}

#[test]
fn query_calls_are_read_from_urls_too() {
    check(
        &Sent::new(
            "ec2",
            "GET",
            "/?Action=DescribeInstances&Filter.1.Name=a%20b&Filter.1.Value.1=c%2Bd&Version=2016-11-15",
        ),
        "ec2:DescribeInstances",
        json!({"Filters": [{"Name": "a b", "Values": ["c+d"]}]}),
    );
    let user = "Action=DeleteUser&UserName=u&Version=2010-05-08";
    let url = Sent::new("iam", "GET", &format!("/?{user}"));
    let body = query("iam", user);
    assert_eq!(url.read().unwrap().digest(), body.read().unwrap().digest());
}

#[test]
fn s3_keys_are_their_exact_bytes() {
    for (path, key) in [
        ("..//x", "..//x"),
        ("a%20b/%C3%BC%2B~%252F%26%3D%3F.txt", "a b/ü+~%2F&=?.txt"),
        ("%C3%A9/%E6%97%A5%E6%9C%AC", "é/日本"),
        ("/", "/"),
        ("a/", "a/"),
        ("./a/../b", "./a/../b"),
        ("a+b", "a+b"),
        ("%2e%2e/x", "../x"),
    ] {
        let expected = json!({"Bucket": "my-bucket", "Key": key});
        let plain = s3("GET", &format!("/my-bucket/{path}"));
        check(&plain, "s3:GetObject", expected.clone());
        let hosted = s3("GET", &format!("/{path}")).at("my-bucket.gw.example");
        check(&hosted, "s3:GetObject", expected);
    }
}

#[test]
fn s3_operations_are_told_apart_by_the_whole_query() {
    for (method, url, name) in [
        ("GET", "/", "ListBuckets"),
        ("GET", "/?x-id=ListBuckets", "ListBuckets"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b/", "ListObjects"),
        ("GET", "/b?list-type=2&prefix=p", "ListObjectsV2"),
        ("GET", "/b?acl", "GetBucketAcl"),
        ("GET", "/b/?acl=", "GetBucketAcl"),
        ("GET", "/b/k?acl", "GetObjectAcl"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b/k?versionId=3", "GetObject"),
        ("GET", "/b/k?uploadId=3", "ListParts"),
        ("PUT", "/b/k?partNumber=1&uploadId=3", "UploadPart"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("DELETE", "/b/k?uploadId=3", "AbortMultipartUpload"),
        ("DELETE", "/b/k", "DeleteObject"),
        ("DELETE", "/b", "DeleteBucket"),
        ("HEAD", "/b/k", "HeadObject"),
        ("PUT", "/b/k", "PutObject"),
    ] {
        let call = s3(method, url).read();
        let call = call.unwrap_or_else(|refusal| panic!("{method} {url}: {refusal}"));
        assert_eq!(call.operation(), name, "{method} {url}");
    }
    let copy = s3("PUT", "/b/k").header("x-amz-copy-source", "other/key");
    assert_eq!(copy.read().unwrap().operation(), "CopyObject");
}

#[test]
fn xml_bodies_are_read() {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n\
        <Object><Key>a &amp; b</Key></Object><Object><Key>c</Key></Object><Quiet>true</Quiet></Delete>";
    let sent = s3("POST", "/b?delete").body(body);
    check(
        &sent,
        "s3:DeleteObjects",
        json!({
            "Bucket": "b",
            "Delete": {"Objects": [{"Key": "a & b"}, {"Key": "c"}], "Quiet": true},
        }),
    );
    assert_eq!(
        resources(&sent),
        [
            "s3:DeleteObject arn:aws:s3:::b/a & b",
            "s3:DeleteObject arn:aws:s3:::b/c"
        ]
    );
}

#[test]
fn resources_are_named_whatever_form_the_caller_used() {
    let table = "dynamodb:DeleteTable arn:aws:dynamodb:us-east-1:123456789012:table/t";
    for name in ["t", "arn:aws:dynamodb:us-east-1:123456789012:table/t"] {
        let body = json!({"TableName": name}).to_string();
        assert_eq!(
            resources(&dynamodb("DeleteTable", &body)),
            [table],
            "{name}"
        );
    }
    let function = "lambda:DeleteFunction arn:aws:lambda:us-east-1:123456789012:function:f";
    for name in ["f", "123456789012:function:f", "f:live"] {
        let sent = Sent::new("lambda", "DELETE", &format!("/2015-03-31/functions/{name}"));
        assert_eq!(resources(&sent), [function], "{name}");
    }
}

#[test]
fn a_key_that_looks_like_an_arn_is_still_a_key() {
    let sent = s3("GET", "/secret/arn%3Aaws%3As3%3A%3A%3Apublic/x");
    assert_eq!(
        resources(&sent),
        ["s3:GetObject arn:aws:s3:::secret/arn:aws:s3:::public/x"]
    );
}

#[test]
fn streamed_bodies_are_values_without_bytes() {
    let sent = s3("PUT", "/b/k")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let call = sent.read_as(&Payload::Streamed).unwrap();
    assert_eq!(
        call.params().to_json(),
        json!({"Bucket": "b", "Key": "k", "Body": {"$stream": true}})
    );
    let refused = dynamodb("ListTables", "{}").read_as(&Payload::Streamed);
    assert!(
        matches!(refused, Err(Refusal::Unsupported(_))),
        "{refused:?}"
    );
    let refused = s3("POST", "/b?delete").read_as(&Payload::Streamed);
    assert!(
        matches!(refused, Err(Refusal::Unsupported(_))),
        "{refused:?}"
    );
}

#[test]
fn the_host_prefix_is_filled_and_checked() {
    let tags = "/v20180820/tags/arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccess-grants";
    let sent = Sent::new("s3", "GET", tags).header("x-amz-account-id", "123456789012");
    assert_eq!(sent.read().unwrap().host_prefix(), Some("123456789012."));
    let hosted = Sent::new("s3", "GET", tags).at("123456789012.gw.example");
    assert_eq!(hosted.read().unwrap().host_prefix(), Some("123456789012."));
    let differing = sent.at("999999999999.gw.example");
    assert!(matches!(differing.read(), Err(Refusal::Ambiguous(_))));
}

#[test]
fn look_alikes_are_told_apart_by_the_host() {
    let body = r#"{"resourceARN":"arn:aws:bedrock:us-east-1:1:x/y","tags":[]}"#;
    let sent = Sent::new("bedrock", "POST", "/tagResource")
        .header("content-type", "application/json")
        .body(body);
    assert!(matches!(sent.read(), Err(Refusal::Ambiguous(_))));
    let named = sent.at("bedrock-data-automation.gw.example");
    assert_eq!(named.read().unwrap().service(), "bedrock-data-automation");
}

#[test]
fn errors_are_written_as_the_caller_reads_them() {
    let scope = |service: &str| {
        format!("AWS4-HMAC-SHA256 Credential=K/20260102/us-east-1/{service}/aws4_request, …")
    };
    let scope = |service: &str| scope(service).replace(", …", ", SignedHeaders=host");
    for (sent, expected) in [
        (dynamodb("X", ""), Dialect::Json10),
        (
            query("ec2", "").header("authorization", &scope("ec2")),
            Dialect::Ec2,
        ),
        (query("sts", ""), Dialect::Query),
        (
            s3("GET", "/b").header("authorization", &scope("s3")),
            Dialect::S3,
        ),
        (
            s3("GET", "/v20180820/x").header("authorization", &scope("s3")),
            Dialect::RestXml,
        ),
        (
            s3(
                "GET",
                "/?X-Amz-Credential=K%2F20260102%2Fus-east-1%2Fs3%2Faws4_request",
            ),
            Dialect::S3,
        ),
        // Signed for a set of regions, the scope has none.
        (
            s3("GET", "/b").header("authorization", &scope("s3").replace("us-east-1/", "")),
            Dialect::S3,
        ),
        (
            s3("GET", "/?X-Amz-Credential=K%2F20260102%2Fs3%2Faws4_request"),
            Dialect::S3,
        ),
        (
            s3("GET", "/x").header("authorization", &scope("lambda")),
            Dialect::RestJson,
        ),
        (
            s3("GET", "/x").header("authorization", &scope("route53")),
            Dialect::RestXml,
        ),
        (
            s3("GET", "/x").header("authorization", "Credential=//"),
            Dialect::RestJson,
        ),
        // Only S3 ever took Signature Version 2 in these forms, and its clients read XML.
        (
            s3("GET", "/b/k?AWSAccessKeyId=K&Signature=x&Expires=1"),
            Dialect::S3,
        ),
        (
            s3("GET", "/b/k?versionId=1&AWSAccessKeyId=K&Signature=x"),
            Dialect::S3,
        ),
        (
            s3("GET", "/b/k").header("authorization", "AWS K:c2lnbmF0dXJl"),
            Dialect::S3,
        ),
        (
            Sent::new("sdb", "GET", "/?Action=X&AWSAccessKeyId=K"),
            Dialect::Query,
        ),
        (
            s3("POST", "/").header("smithy-protocol", "rpc-v2-cbor"),
            Dialect::Cbor,
        ),
    ] {
        let got = dialect(Catalog::embedded(), &sent.head());
        assert_eq!(got, expected, "{sent:?}");
    }
}

#[test]
fn a_service_of_several_protocols_is_answered_in_the_one_that_the_request_fits() {
    let signed = |service: &'static str, method, url| {
        let credential = format!("Credential=K/20260102/us-east-1/{service}/aws4_request");
        Sent::new(service, method, url)
            .header("authorization", &format!("AWS4-HMAC-SHA256 {credential}"))
    };
    for (sent, expected) in [
        (
            signed("transcribe", "POST", "/stream-transcription"),
            Dialect::RestJson,
        ),
        (signed("transcribe", "POST", "/"), Dialect::Json11),
        (signed("monitoring", "GET", "/?Action=X"), Dialect::Query),
    ] {
        let got = dialect(Catalog::embedded(), &sent.head());
        assert_eq!(got, expected, "{sent:?}");
    }
}
