//! Parameters that the catalog does not know: refused, unless the operator lets a service be newer.

use super::*;

/// What is read where the operator lets these services be newer.
fn read_newer(sent: &Sent) -> Result<Call, Refusal> {
    let place = Place {
        unknown_members: ["dynamodb", "iam", "s3", "cloudwatch", "lambda"]
            .map(str::to_owned)
            .to_vec(),
        ..place()
    };
    sent.read_at(&Payload::Whole(sent.body.clone().into()), &place)
}

fn check(sent: &Sent, path: &str, expected: &serde_json::Value) {
    let refusal = sent.read().unwrap_err();
    assert!(matches!(refusal, Refusal::InvalidInput(_)), "{refusal}");
    let call = read_newer(sent).unwrap();
    assert_eq!(call.unmodelled(), [path], "{sent:?}");
    let json = call.params().to_json();
    let found = path.split('.').fold(&json, |json, name| &json[name]);
    assert_eq!(found, expected, "{sent:?}");
}

#[test]
fn unknown_members_are_kept_where_a_service_may_be_newer() {
    let nested = serde_json::json!({"A": [1, null, {"b": "c"}]});
    check(
        &dynamodb(
            "DescribeTable",
            r#"{"TableName":"t","New":{"A":[1,null,{"b":"c"}]}}"#,
        ),
        "New",
        &nested,
    );
    check(
        &dynamodb(
            "UpdateTable",
            r#"{"TableName":"t","ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1,"Burst":2}}"#,
        ),
        "ProvisionedThroughput.Burst",
        &serde_json::json!(2),
    );
    check(
        &query(
            "iam",
            "Action=GetUser&Version=2010-05-08&UserName=u&New.A=1&New.B.1=x",
        ),
        "New",
        &serde_json::json!({"A": "1", "B": {"1": "x"}}),
    );
    check(&s3("GET", "/b/k?new=1"), "new", &serde_json::json!("1"));
    check(
        &s3("PUT", "/b/k").header("x-amz-new", "1"),
        "x-amz-new",
        &serde_json::json!("1"),
    );
    let body = "<Tagging><TagSet></TagSet><New><A>1</A><A>2</A><B>x</B></New></Tagging>";
    check(
        &s3("PUT", "/b/k?tagging").body(body),
        "Tagging.New",
        &serde_json::json!({"A": ["1", "2"], "B": "x"}),
    );
}

#[test]
fn unknown_members_of_cbor_are_kept_too() {
    // {"AlarmNames": ["a"], "New": {"A": [1, true]}}
    let mut body = vec![0xa2, 0x6a];
    body.extend(b"AlarmNames");
    body.extend([0x81, 0x61, b'a', 0x63]);
    body.extend(b"New");
    body.extend([0xa1, 0x61, b'A', 0x82, 0x01, 0xf5]);
    let sent = Sent {
        body,
        ..Sent::new(
            "monitoring",
            "POST",
            "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
        )
    };
    let sent = sent
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor");
    check(&sent, "New", &serde_json::json!({"A": [1, true]}));
}

#[test]
fn another_spelling_of_a_known_member_is_never_a_new_one() {
    for sent in [
        dynamodb("DescribeTable", r#"{"TableName":"t","tablename":"u"}"#),
        dynamodb("DescribeTable", r#"{"TableName":"t","New":1,"New":2}"#),
        dynamodb("DescribeTable", r#"{"TableName":"t","New":{"a":1,"a":2}}"#),
        query("iam", "Action=GetUser&Version=2010-05-08&username=u"),
        query("iam", "Action=GetUser&Version=2010-05-08&New=1&New.A=1"),
        s3("GET", "/b/k?VersionID=1"),
        s3("GET", "/b/k?new=1&new=2"),
        s3("GET", "/b/k?Action=ListBuckets"),
        s3("PUT", "/b/k?tagging").body("<Tagging><TagSet></TagSet><tagset></tagset></Tagging>"),
        dynamodb("DescribeTable", r#"{"TableName":"t"}"#).header("x-amz-new", "1"),
    ] {
        assert!(read_newer(&sent).is_err(), "{sent:?}");
    }
}

#[test]
fn a_service_that_is_not_named_stays_exact() {
    let sent = query("sqs", "Action=ListQueues&Version=2012-11-05&New=1");
    assert!(read_newer(&sent).is_err());
}
