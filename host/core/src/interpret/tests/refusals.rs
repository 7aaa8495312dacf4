//! Requests that two parsers could read differently, or that the model does not know: each is
//! refused, and each is one small change away from one that is read.

use proptest::prelude::*;

use super::*;

/// Which refusal is expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Ambiguous,
    InvalidInput,
    Malformed,
    UnknownOperation,
    UnknownService,
    Unsupported,
}
use Kind::{Ambiguous, InvalidInput, Malformed, UnknownOperation, UnknownService, Unsupported};

pub(super) fn check(sent: &Sent, expected: Kind) {
    match sent.read() {
        Ok(call) => panic!("read as {}:{}: {sent:?}", call.service(), call.operation()),
        Err(refusal) => {
            let kind = format!("{refusal:?}");
            assert!(
                kind.starts_with(&format!("{expected:?}(")),
                "{kind}: {sent:?}"
            );
        }
    }
}

#[test]
fn foreign_markers_on_json_are_refused() {
    let target = "DynamoDB_20120810.ListTables";
    let list = || dynamodb("ListTables", "{}");
    for (sent, expected) in [
        (list().header("x-amz-target", target), Ambiguous),
        (list().header("content-type", "application/json"), Ambiguous),
        (list().header("smithy-protocol", "rpc-v2-cbor"), Ambiguous),
        (list().header("x-http-method-override", "DELETE"), Ambiguous),
        (
            Sent {
                query: Some("Action=DeleteTable".to_owned()),
                ..list()
            },
            Ambiguous,
        ),
        (
            Sent {
                path: "/x".to_owned(),
                ..list()
            },
            Ambiguous,
        ),
        (
            Sent {
                service: "sqs",
                ..list()
            },
            Ambiguous,
        ),
        (
            Sent {
                service: "sts",
                ..list()
            },
            Ambiguous,
        ),
        (dynamodb("listTables", "{}"), UnknownOperation),
        (dynamodb("", "{}"), UnknownOperation),
        (
            Sent {
                service: "nope",
                ..list()
            },
            UnknownService,
        ),
        (list().header("x-amz-acl", "public-read"), InvalidInput),
        (list().header("content-encoding", "gzip"), Malformed),
        (list().header("content-encoding", "br"), Unsupported),
    ] {
        check(&sent, expected);
    }
}

#[test]
fn foreign_markers_on_rest_are_refused() {
    let target = "DynamoDB_20120810.ListTables";
    let form = "application/x-www-form-urlencoded";
    for (sent, expected) in [
        (s3("POST", "/").header("x-amz-target", target), Ambiguous),
        (s3("GET", "/b").header("x-amz-target", target), Ambiguous),
        (
            Sent::new("lambda", "GET", "/2015-03-31/functions?Action=ListBuckets"),
            Ambiguous,
        ),
        (
            Sent::new("lambda", "GET", "/2015-03-31/functions?version=1"),
            Ambiguous,
        ),
        (
            Sent::new("lambda", "POST", "/2015-03-31/functions").header("content-type", form),
            Ambiguous,
        ),
        (
            Sent::new("lambda", "POST", "/").header("content-type", form),
            Ambiguous,
        ),
        (
            s3("POST", "/b?delete")
                .header("content-type", form)
                .body("<Delete/>"),
            Ambiguous,
        ),
        (
            Sent::new(
                "sts",
                "POST",
                "/?Action=GetCallerIdentity&Version=2011-06-15",
            ),
            Unsupported,
        ),
        (
            s3("POST", "/").header("smithy-protocol", "rpc-v2-json"),
            Unsupported,
        ),
        (
            s3("POST", "/x").header("smithy-protocol", "rpc-v2-cbor"),
            Ambiguous,
        ),
        (s3("GET", "/b").header("x-amz-new-thing", "1"), InvalidInput),
    ] {
        check(&sent, expected);
    }
}

#[test]
fn json_has_one_reading() {
    let deep = format!(
        r#"{{"Item":{{"a":{}1{}}}}}"#,
        r#"{"L":["#.repeat(200),
        "]}".repeat(200)
    );
    for (body, expected) in [
        (r#"{"TableName":"a","TableName":"b"}"#, Ambiguous),
        (r#"{"TableName":"a","\u0054ableName":"b"}"#, Ambiguous),
        (r#"{"TableName":null,"TableName":"b"}"#, Ambiguous),
        (r#"{"Item":{"k":{"S":"a"},"k":{"S":"b"}}}"#, Ambiguous),
        (
            r#"{"Item":{"k":{"M":{"x":{"S":"a"},"\u0078":{"S":"b"}}}}}"#,
            Ambiguous,
        ),
        (r#"{"tableName":"a"}"#, InvalidInput),
        (r#"{"__type":"x"}"#, InvalidInput),
        (r#"{"TableName":1}"#, InvalidInput),
        (r#"{"TableName":["a"]}"#, InvalidInput),
        (r#"{"TableName":"a"} x"#, Malformed),
        (r#"{"TableName":"a"}{}"#, Malformed),
        ("\u{feff}{}", Malformed),
        ("[]", InvalidInput),
        ("null", InvalidInput),
        (r#"{"TableName":"\ud800"}"#, Malformed),
        (r#"{"Item":{"k":{"BOOL":NaN}}}"#, Malformed),
        (r#"{"Item":{"k":{"B":"not base64"}}}"#, InvalidInput),
        (r#"{"Item":{"k":{"B":"YQ"}}}"#, InvalidInput),
        (r#"{'TableName':'a'}"#, Malformed),
        (r#"{"TableName":"a",}"#, Malformed),
        (&deep, InvalidInput),
    ] {
        check(&dynamodb("PutItem", body), expected);
    }
    for (number, expected) in [
        ("1.0", InvalidInput),
        ("1e2", InvalidInput),
        ("9223372036854775808", InvalidInput),
        ("1e400", Malformed),
        ("\"1\"", InvalidInput),
    ] {
        check(
            &dynamodb("ListTables", &format!(r#"{{"Limit":{number}}}"#)),
            expected,
        );
    }
}

#[test]
fn copy_sources_have_one_reading() {
    for source in [
        "from/a+b",
        "from/a?x",
        "from/a?acl",
        "from/a?versionId=1&versionId=2",
        "from/a?versionId=1?versionId=2",
        "from/",
        "//from/a",
        "../a",
        "from/%zz",
        "https://from/a",
    ] {
        let sent = s3("PUT", "/to/key").header("x-amz-copy-source", source);
        assert!(
            matches!(sent.read(), Err(Refusal::Ambiguous(_))),
            "{source}"
        );
    }
    for source in [
        "from/a%2Bb",
        "/from/a%3Fx",
        "from/a?versionId=1",
        "from/a/../b",
    ] {
        let sent = s3("PUT", "/to/key").header("x-amz-copy-source", source);
        assert!(sent.read().is_ok(), "{source}");
    }
}

#[test]
fn buckets_are_names_and_operations_have_what_selects_them() {
    for (method, url) in [
        ("GET", "/../key"),
        ("GET", "/./key"),
        ("GET", "/b%3Fpolicy/key"),
        ("GET", "/user%40evil/key"),
        ("POST", "/bucket/key"),
    ] {
        assert!(s3(method, url).read().is_err(), "{method} {url}");
    }
    for url in ["/a..b/key", "/My_Bucket/key", "/bucket/..", "/bucket/."] {
        assert!(s3("GET", url).read().is_ok(), "{url}");
    }
}

#[test]
fn xml_has_one_reading() {
    let wrapped = |inner: &str| format!("<Delete>{inner}</Delete>");
    for (body, expected) in [
        ("<!DOCTYPE x><Delete/>".to_owned(), Ambiguous),
        (
            "<!DOCTYPE x [<!ENTITY e \"x\">]><Delete><Object><Key>&e;</Key></Object></Delete>"
                .to_owned(),
            Ambiguous,
        ),
        (wrapped("<Object><Key>&e;</Key></Object>"), Ambiguous),
        (wrapped("<Object><Key>a<!-- -->b</Key></Object>"), Ambiguous),
        (
            wrapped("<Object><Key><![CDATA[a]]></Key></Object>"),
            Ambiguous,
        ),
        (
            wrapped("<Object><Key>a</Key><Key>b</Key></Object>"),
            Ambiguous,
        ),
        (
            wrapped("<Quiet>true</Quiet><Quiet>false</Quiet>"),
            Ambiguous,
        ),
        (wrapped("<Object><Key>a\rb</Key></Object>"), Ambiguous),
        (wrapped("<?pi?>"), Ambiguous),
        (wrapped("<x:Object xmlns:x=\"u\"/>"), Ambiguous),
        (
            wrapped("<Object xmlns=\"u\"><Key>a</Key></Object>"),
            Ambiguous,
        ),
        (
            wrapped("<Object a=\"1\"><Key>a</Key></Object>"),
            InvalidInput,
        ),
        (wrapped("<Object><key>a</key></Object>"), InvalidInput),
        (wrapped("<Object>text</Object>"), InvalidInput),
        (wrapped("<Quiet>TRUE</Quiet>"), InvalidInput),
        ("<delete/>".to_owned(), InvalidInput),
        ("<Delete/><Delete/>".to_owned(), Malformed),
        ("<Delete>".to_owned(), Malformed),
        ("x".to_owned(), Malformed),
        ("\u{feff}<Delete/>".to_owned(), Ambiguous),
        (
            format!("{}{}", "<a>".repeat(100), "</a>".repeat(100)),
            InvalidInput,
        ),
        (
            format!(
                "<Delete {}/>",
                (0..50).map(|n| format!("a{n}=\"1\" ")).collect::<String>()
            ),
            Ambiguous,
        ),
    ] {
        check(&s3("POST", "/b?delete").body(&body), expected);
    }
}

#[test]
fn s3_sub_resources_have_one_reading() {
    for (method, url, expected) in [
        ("GET", "/b?acl&policy", Ambiguous),
        ("GET", "/b?acl&acl", Ambiguous),
        ("GET", "/b?ACL", InvalidInput),
        ("GET", "/b?acl=x", InvalidInput),
        ("GET", "/b?unknown", InvalidInput),
        ("GET", "/b/k?versionId=1&versionId=2", Ambiguous),
        ("GET", "/b/k?x-id=PutObject", InvalidInput),
        ("GET", "/b/k?versionId=a+b", Ambiguous),
        ("PUT", "/b/k?uploadId=3", InvalidInput),
        ("GET", "/b/%ff", Malformed),
        ("GET", "/b/%zz", Malformed),
        ("GET", "//k", UnknownOperation),
        ("PATCH", "/b/k", UnknownOperation),
        ("get", "/b/k", UnknownOperation),
    ] {
        check(&s3(method, url), expected);
    }
}

#[test]
fn paths_that_normalising_would_change_are_refused() {
    for url in [
        "/2015-03-31/functions/../event-source-mappings",
        "/2015-03-31//functions",
        "/2015-03-31/functions/%2e%2e",
        "/2015-03-31/functions/.",
        "/2015-03-31/%66unctions",
    ] {
        check(&Sent::new("lambda", "GET", url), Ambiguous);
    }
}

#[test]
fn other_hosts_are_refused() {
    for authority in [
        "s3.amazonaws.com",
        "gw.example.evil",
        "gw.example.",
        "user@gw.example",
    ] {
        check(&s3("GET", "/b/k").at(authority), Malformed);
    }
    check(
        &dynamodb("ListTables", "{}").at("nope.gw.example"),
        UnknownOperation,
    );
}

#[test]
fn regions_outside_the_partition_are_refused() {
    let sent = s3("GET", "/b");
    let head = sent.head();
    let scope = Scope {
        date: "20260102".to_owned(),
        reach: "cn-north-1".into(),
        service: "s3".to_owned(),
    };
    let request = Request {
        head: &head,
        scope: &scope,
        payload: &Payload::Whole(Bytes::new()),
    };
    let refused = read(Catalog::embedded(), &request, &place());
    assert!(
        matches!(refused, Err(Refusal::InvalidInput(_))),
        "{refused:?}"
    );
}

#[test]
fn cbor_has_one_reading() {
    let list = |body: &[u8]| Sent {
        body: body.to_vec(),
        ..Sent::new(
            "monitoring",
            "POST",
            "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
        )
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
    };
    let name = b"jAlarmNames";
    let with = |parts: &[&[u8]]| list(&parts.concat());
    assert!(with(&[b"\xa1", name, b"\x81aa"]).read().is_ok());
    assert!(with(&[b"\xbf", name, b"\x9faa\xff\xff"]).read().is_ok());
    for (sent, expected) in [
        (
            with(&[b"\xa2", name, b"\x81aa", name, b"\x81ab"]),
            Ambiguous,
        ),
        (with(&[b"\xa1", name, b"\x81aa\x00"]), Malformed),
        (with(&[b"\xa1", name, b"\x81\x7faa\xff"]), Malformed),
        (with(&[b"\xa1", name, b"\x81\x01"]), InvalidInput),
        (with(&[b"\xa1", name, b"\xc1\x80"]), InvalidInput),
        (with(&[b"\xa1jalarmNames\x80"]), InvalidInput),
        (with(&[b"\xa1\x01\x80"]), Malformed),
        (
            with(&[b"\xa1", name, b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"]),
            Malformed,
        ),
        (with(&[&[0x81; 10_000]]), InvalidInput),
        (with(&[b"\xf6"]), Malformed),
    ] {
        check(&sent, expected);
    }
}

fn services() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "dynamodb",
        "s3",
        "sts",
        "ec2",
        "lambda",
        "monitoring",
        "rds",
        "x",
    ])
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(
        service in services(),
        method in "GET|PUT|POST|DELETE|HEAD",
        path in "/[!-~]{0,30}",
        query in proptest::option::of("[!-~]{0,40}"),
        authority in "gw.example|b.gw.example|[a-z.:0-9\\[\\]]{0,12}",
        headers in proptest::collection::vec(("x-amz-[a-z]{1,6}|content-type|x-amz-target|smithy-protocol", "[ -~]{0,30}"), 0..4),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let sent = Sent {
            proxied: false,
            region: "us-east-1",
            service,
            authority,
            method: Box::leak(method.into_boxed_str()),
            path,
            query,
            headers,
            body,
        };
        drop(sent.read());
        let _ = dialect(Catalog::embedded(), &sent.head());
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        text in "[\\[\\]{}\":,a-zA-Z0-9.=&<>/! -]{0,200}",
    ) {
        for body in [body, text.into_bytes()] {
            for sent in [
                dynamodb("PutItem", ""),
                query("ec2", ""),
                s3("POST", "/b?delete"),
                Sent::new("monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData")
                    .header("smithy-protocol", "rpc-v2-cbor"),
            ] {
                drop(Sent { body: body.clone(), ..sent }.read());
            }
        }
    }

    #[test]
    fn accepted_json_has_no_second_reading(
        pairs in proptest::collection::vec(("[ab]|\\\\u006[12]", "\"[a-c]\"|1|null"), 0..4),
    ) {
        let members: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!(r#""{key}":{{"S":{value}}}"#))
            .collect();
        let body = format!(r#"{{"Item":{{{}}}}}"#, members.join(","));
        if let Ok(call) = dynamodb("PutItem", &body).read() {
            let last_wins: serde_json::Value = serde_json::from_str(&body).unwrap();
            let read = call.params().to_json();
            let count = |json: &serde_json::Value| json["Item"].as_object().map(serde_json::Map::len);
            prop_assert_eq!(count(&read), count(&last_wins));
            prop_assert_eq!(count(&read), Some(pairs.len()));
        }
    }
}
