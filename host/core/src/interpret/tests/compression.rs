//! Request bodies in gzip: read as what they say, within limits, where nothing can hide.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn compressed(sent: Sent) -> Sent {
    let body = gzip(&sent.body);
    Sent { body, ..sent }.header("content-encoding", "gzip")
}

fn describe() -> Sent {
    dynamodb("DescribeTable", r#"{"TableName":"t"}"#)
}

#[test]
fn a_compressed_body_is_read_as_what_it_says() {
    let plain = describe().read().unwrap();
    let call = compressed(describe()).read().unwrap();
    assert_eq!(call.params(), plain.params());
    assert_eq!(call.actions(), plain.actions());

    let create = |body: &str| {
        Sent::new("lambda", "POST", "/2015-03-31/functions/f/aliases")
            .header("content-type", "application/json")
            .body(body)
    };
    let create = create(r#"{"Name":"n","FunctionVersion":"1"}"#);
    let plain = create.read().unwrap();
    assert_eq!(compressed(create).read().unwrap().params(), plain.params());
}

#[test]
fn an_objects_own_encoding_is_not_touched() {
    let put = compressed(s3("PUT", "/b/k").body("text"));
    let call = put.read().unwrap();
    assert_eq!(
        call.params().get("ContentEncoding"),
        Some(&Value::String("gzip".to_owned()))
    );
    assert_eq!(
        call.params().get("Body"),
        Some(&Value::Blob(put.body.clone().into()))
    );
}

#[test]
fn a_body_that_grows_too_much_is_refused() {
    let blanks = |length: usize| format!("{}{}", " ".repeat(length), r#"{"TableName":"t"}"#);
    let small = compressed(dynamodb("DescribeTable", &blanks(1 << 19)));
    small.read().unwrap();
    let bomb = compressed(dynamodb("DescribeTable", &blanks(1 << 24)));
    assert!(bomb.body.len() < 1 << 15, "{}", bomb.body.len());
    let refusal = bomb.read().unwrap_err();
    assert!(refusal.to_string().contains("too large"), "{refusal}");
}

#[test]
fn what_is_not_one_whole_member_is_refused() {
    let body = gzip(br#"{"TableName":"t"}"#);
    let second = [body.clone(), gzip(b" ")].concat();
    let cut = body.split_at(body.len() - 4).0.to_vec();
    let trailing = [body.clone(), b"x".to_vec()].concat();
    let plain = br#"{"TableName":"t"}"#.to_vec();
    for body in [second, cut, trailing, plain] {
        let sent = Sent { body, ..describe() }.header("content-encoding", "gzip");
        let refusal = sent.read().unwrap_err();
        assert!(matches!(refusal, Refusal::Malformed(_)), "{refusal}");
    }
}

#[test]
fn a_form_cannot_hide_parameters_in_gzips_comment() {
    let mut encoder = GzBuilder::new()
        .comment("&Action=DeleteUser&UserName=root&x=")
        .write(Vec::new(), Compression::none());
    encoder
        .write_all(b"Action=ListUsers&Version=2010-05-08")
        .unwrap();
    let sent = Sent {
        body: encoder.finish().unwrap(),
        ..query("iam", "")
    };
    let refusal = sent.header("content-encoding", "gzip").read().unwrap_err();
    assert!(!matches!(refusal, Refusal::Internal), "{refusal}");

    let list = query("iam", "Action=ListUsers&Version=2010-05-08");
    list.read().unwrap();
    let refusal = compressed(list.clone()).read().unwrap_err();
    assert!(matches!(refusal, Refusal::Unsupported(_)), "{refusal}");
    let claimed = list.header("content-encoding", "gzip");
    let refusal = claimed.read().unwrap_err();
    assert!(matches!(refusal, Refusal::Malformed(_)), "{refusal}");
}

#[test]
fn a_compressed_form_is_read_where_the_model_has_one() {
    let metrics = "Action=PutMetricData&Version=2010-08-01&Namespace=n\
                   &MetricData.member.1.MetricName=m&MetricData.member.1.Value=1";
    let plain = query("monitoring", metrics);
    let call = compressed(plain.clone()).read().unwrap();
    assert_eq!(call.params(), plain.read().unwrap().params());

    let alarms = query(
        "monitoring",
        "Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a",
    );
    alarms.read().unwrap();
    let refusal = compressed(alarms).read().unwrap_err();
    assert!(matches!(refusal, Refusal::Unsupported(_)), "{refusal}");
}

#[test]
fn an_opaque_payload_may_not_be_wrapped() {
    let invoke = Sent::new("lambda", "POST", "/2015-03-31/functions/f/invocations").body("{}");
    invoke.read().unwrap();
    let refusal = compressed(invoke).read().unwrap_err();
    assert!(matches!(refusal, Refusal::Unsupported(_)), "{refusal}");
}
