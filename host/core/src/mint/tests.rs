//! What `mint` promises, as tests.

use super::*;
use crate::sigv4::SignedRequest;
use crate::sigv4::tests::support::{Sample, now, secret};

fn place() -> Place {
    Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: Vec::new(),
        unknown_members: Vec::new(),
    }
}

fn pairs(order: &Order) -> Vec<(String, String)> {
    let catalog = Catalog::embedded();
    let stands_for = order.stands_for(catalog, "eu-west-1", &place()).unwrap();
    let pair = |action: &Action| (action.name.clone(), action.resource.clone());
    stands_for.iter().map(pair).collect()
}

fn parse(kind: &str, body: &str) -> Result<Order, Refusal> {
    Order::parse(kind, body.as_bytes())
}

#[test]
fn orders_are_read_with_their_defaults() {
    let url = |method, expires| {
        Ok(Order::PresignedUrl(PresignedUrl {
            method,
            bucket: "b".to_owned(),
            key: "a b/ü".to_owned(),
            expires,
        }))
    };
    let body = r#"{"bucket":"b","key":"a b/ü"}"#;
    assert_eq!(parse("presign", body), url(UrlMethod::Get, 900));
    let body = r#"{"bucket":"b","key":"a b/ü","method":"PUT","expires":60}"#;
    assert_eq!(parse("presign", body), url(UrlMethod::Put, 60));
    assert_eq!(parse("ecr", "{}"), Ok(Order::EcrLogin));
    let cluster = "prod-1".to_owned();
    let body = r#"{"cluster":"prod-1"}"#;
    assert_eq!(parse("eks", body), Ok(Order::EksToken { cluster }));
}

#[test]
fn what_is_not_an_order_is_refused() {
    for (kind, body) in [
        ("", "{}"),
        ("ecr/", "{}"),
        ("sts", "{}"),
        ("ecr", ""),
        ("ecr", r#"{"registry":"x"}"#),
        ("ecr", "{} {}"),
        ("eks", "{}"),
        ("eks", r#"{"cluster":""}"#),
        ("eks", r#"{"cluster":"a/b"}"#),
        ("eks", r#"{"cluster":"a*"}"#),
        ("eks", r#"{"cluster":"a","cluster":"b"}"#),
        ("presign", r#"{"bucket":"b"}"#),
        ("presign", r#"{"bucket":"","key":"k"}"#),
        ("presign", r#"{"bucket":"b/c","key":"k"}"#),
        (
            "presign",
            r#"{"bucket":"arn:aws:s3:us-east-1:1:accesspoint/p","key":"k"}"#,
        ),
        ("presign", r#"{"bucket":"b","key":""}"#),
        ("presign", r#"{"bucket":"b","key":"a/../b"}"#),
        ("presign", r#"{"bucket":"b","key":"a//b"}"#),
        ("presign", r#"{"bucket":"b","key":"./b"}"#),
        ("presign", r#"{"bucket":"b","key":"k","method":"get"}"#),
        ("presign", r#"{"bucket":"b","key":"k","method":"DELETE"}"#),
        ("presign", r#"{"bucket":"b","key":"k","expires":0}"#),
        ("presign", r#"{"bucket":"b","key":"k","expires":604801}"#),
        ("presign", r#"{"bucket":"b","key":"k","expires":-1}"#),
        ("presign", r#"{"bucket":"b","key":"k","Expires":1}"#),
        ("rds", r#"{"host":"db.example","port":5432}"#),
        ("rds", r#"{"host":"db.example/x","port":5432,"user":"u"}"#),
        (
            "rds",
            r#"{"host":"db.example@evil","port":5432,"user":"u"}"#,
        ),
        ("rds", r#"{"host":"db.example","port":0,"user":"u"}"#),
        ("rds", r#"{"host":"db.example","port":65536,"user":"u"}"#),
        (
            "rds",
            r#"{"host":"db.example","port":5432,"user":"u&Action=x"}"#,
        ),
        ("rds", r#"{"host":"db.example","port":5432,"user":"*"}"#),
    ] {
        assert!(parse(kind, body).is_err(), "{kind} {body}");
    }
}

#[test]
fn names_have_the_lengths_that_aws_allows() {
    let long = |length: usize| "x".repeat(length);
    let host = |labels: usize| vec![long(49); labels].join(".");
    for (kind, name, longest, body) in [
        ("eks", long(100), long(101), r#"{"cluster":"$"}"#),
        (
            "presign",
            long(1024),
            long(1025),
            r#"{"bucket":"b","key":"$"}"#,
        ),
        (
            "rds",
            long(128),
            long(129),
            r#"{"host":"h","port":1,"user":"$"}"#,
        ),
        (
            "rds",
            long(63),
            long(64),
            r#"{"host":"$","port":1,"user":"u"}"#,
        ),
        (
            "rds",
            host(5),
            host(6),
            r#"{"host":"$","port":1,"user":"u"}"#,
        ),
    ] {
        assert!(
            parse(kind, &body.replace('$', &name)).is_ok(),
            "{kind} {name}"
        );
        let refused = parse(kind, &body.replace('$', &longest));
        assert!(refused.is_err(), "{kind} {longest}");
    }
    let nobody = r#"{"host":"h","port":1,"user":""}"#;
    assert!(parse("rds", nobody).is_err());
}

#[test]
fn each_order_stands_for_the_action_that_its_artefact_allows() {
    let check = |kind: &str, body: &str, action: &str, resource: &str| {
        let order = parse(kind, body).unwrap();
        let expected = (action.to_owned(), resource.to_owned());
        assert!(pairs(&order).contains(&expected), "{:?}", pairs(&order));
    };
    let get = r#"{"bucket":"b","key":"a/k"}"#;
    let put = r#"{"bucket":"b","key":"a/k","method":"PUT"}"#;
    check("presign", get, "s3:GetObject", "arn:aws:s3:::b/a/k");
    check("presign", put, "s3:PutObject", "arn:aws:s3:::b/a/k");
    check("ecr", "{}", "ecr:GetAuthorizationToken", "*");
    check(
        "eks",
        r#"{"cluster":"prod"}"#,
        "eks:AccessKubernetesApi",
        "arn:aws:eks:eu-west-1:123456789012:cluster/prod",
    );
    check(
        "rds",
        r#"{"host":"db.example","port":5432,"user":"app"}"#,
        "rds-db:connect",
        "arn:aws:rds-db:eu-west-1:123456789012:dbuser:*/app",
    );
}

fn ordered(service: &str, region: &'static str, target: &str) -> Result<Option<Call>, Refusal> {
    let body: &[u8] = match target.strip_prefix(PATH) {
        Some("eks") => br#"{"cluster":"prod-1"}"#,
        _ => b"{}",
    };
    let sample = Sample {
        region,
        body: body.to_vec(),
        ..Sample::new(service, "POST", target)
    };
    let (head, payload) = sample.sign();
    let verified = SignedRequest::parse(head)?.verify(&secret(), payload, now())?;
    let order = Order::of(&verified)?;
    let call = |order: Order| order.call(Catalog::embedded(), &verified, &place());
    order.map(call).transpose()
}

#[test]
fn an_order_is_signed_for_minting_in_a_region_that_there_is() {
    let ecr = format!("{PATH}ecr");
    let call = ordered(SERVICE, "eu-west-1", &ecr).unwrap().unwrap();
    assert_eq!(call.operation(), "MintEcrLogin");
    let elsewhere = ordered(SERVICE, "eu-west-1", "/somewhere/else");
    assert!(matches!(elsewhere, Ok(None)), "{elsewhere:?}");
    for (service, region, target) in [
        ("ecr", "eu-west-1", ecr.clone()),
        ("s3", "eu-west-1", ecr.clone()),
        (SERVICE, "eu-west-1", format!("{ecr}?registry=x")),
        (SERVICE, "eu-west-1", format!("{ecr}?")),
        (SERVICE, "cn-north-1", ecr.clone()),
        // Which no call to AWS stands for, whose region would be checked too.
        (SERVICE, "xx-nowhere-1", format!("{PATH}eks")),
    ] {
        let seen = ordered(service, region, &target);
        assert!(seen.is_err(), "{service} {region} {target}: {seen:?}");
    }
}
