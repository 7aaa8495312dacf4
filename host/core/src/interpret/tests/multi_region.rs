//! Calls signed for a set of regions: to multi-region access points and to nothing else.

use super::*;
use crate::destination::{Addressing, Variant};
use crate::s3_name::AccessPoint;

const POINT: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
const HOST: &str = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";

impl Sent {
    fn signed_for(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }
}

fn proxied(sent: Sent, host: &str) -> Sent {
    Sent {
        proxied: true,
        ..sent.at(host)
    }
}

fn in_path(arn: &str) -> String {
    format!("/{}", arn.replace(':', "%3A").replace('/', "%2F"))
}

fn pairs(call: &Call) -> Vec<String> {
    let pair = |action: &Action| format!("{} {} {}", action.name, action.resource, action.access);
    call.actions().iter().map(pair).collect()
}

fn advice(sent: &Sent) -> String {
    match sent.read() {
        Err(Refusal::Unsupported(text)) => text,
        other => panic!("{sent:?}: {other:?}"),
    }
}

#[test]
fn an_access_point_of_many_regions_is_a_resource_of_its_own() {
    for (sent, addressing) in [
        (proxied(s3("GET", "/dir/k"), HOST), Addressing::VirtualHost),
        (
            proxied(s3("GET", "/dir/k"), &format!("{HOST}:443")),
            Addressing::VirtualHost,
        ),
        (
            s3("GET", "/dir/k").at("mfzwi23gnjvgw.mrap.gw.example"),
            Addressing::VirtualHost,
        ),
        (
            s3("GET", &format!("{}/dir/k", in_path(POINT))),
            Addressing::Path,
        ),
    ] {
        let call = sent.signed_for("*").read().unwrap();
        let bucket = call.params().get("Bucket").and_then(Value::as_str);
        assert_eq!(bucket, Some(POINT));
        assert_eq!(
            pairs(&call),
            [format!("s3:GetObject {POINT}/object/dir/k read")]
        );
        assert_eq!(call.reach().as_str(), "*");
        assert_eq!(call.reach().region(), None);
        assert_eq!(call.addressing(), addressing);
        assert_eq!(call.variant(), Variant::Plain);
    }
}

#[test]
fn its_lists_uploads_and_copies_name_it_too() {
    let of = |sent: Sent| {
        let call = proxied(sent, HOST).signed_for("us-east-1,eu-west-1").read();
        pairs(&call.unwrap())
    };
    assert_eq!(
        of(s3("GET", "/?list-type=2")),
        [format!("s3:ListBucket {POINT} list")]
    );
    assert!(of(s3("PUT", "/k")).contains(&format!("s3:PutObject {POINT}/object/k write")));
    assert_eq!(
        of(s3("DELETE", "/k")),
        [format!("s3:DeleteObject {POINT}/object/k write")]
    );
    let copy = of(s3("PUT", "/k").header("x-amz-copy-source", "from/a"));
    assert!(
        copy.contains(&"s3:GetObject arn:aws:s3:::from/a read".to_owned())
            && copy.contains(&format!("s3:PutObject {POINT}/object/k write")),
        "{copy:?}"
    );
}

/// Its host does not name the account, so that the ARN of another could not be held to.
#[test]
fn one_of_another_account_or_partition_is_refused() {
    for arn in [
        "arn:aws:s3::999999999999:accesspoint/mfzwi23gnjvgw.mrap",
        "arn:aws-cn:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
    ] {
        let sent = s3("GET", &format!("{}/k", in_path(arn))).signed_for("*");
        assert!(advice(&sent).contains(arn), "{arn}");
    }
    let china = format!("{HOST}.cn");
    let sent = proxied(s3("GET", "/k"), &china).signed_for("*");
    assert!(sent.read().is_err());
}

#[test]
fn what_is_not_quite_one_is_refused() {
    for arn in [
        "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw",
        "arn:aws:s3::123456789012:accesspoint/my-point.mrap",
        "arn:aws:s3::123456789012:accesspoint/A.mrap",
        "arn:aws:s3::123456789012:accesspoint/.mrap",
        "arn:aws:s3::123456789012:accesspoint/a.b.mrap",
        "arn:aws:s3::123456789012:accesspoint/a.mrap/object/k",
        "arn:aws:s3::12345:accesspoint/a.mrap",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/a.mrap",
        "arn:aws:s3-outposts::123456789012:accesspoint/a.mrap",
        "mfzwi23gnjvgw.mrap",
    ] {
        for region in ["*", "us-east-1"] {
            let sent = s3("GET", &format!("{}/k", in_path(arn))).signed_for(region);
            assert!(sent.read().is_err(), "{arn} for {region}");
        }
    }
    for host in [
        "mfzwi23gnjvgw.accesspoint.s3-global.amazonaws.com",
        "accesspoint.s3-global.amazonaws.com",
        "a.mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
        "mrap.accesspoint.s3-global.amazonaws.com",
        "mfzwi23gnjvgw.mrap.s3-accesspoint.us-east-1.amazonaws.com",
    ] {
        let sent = proxied(s3("GET", "/k"), host).signed_for("*");
        assert!(sent.read().is_err(), "{host}");
    }
}

#[test]
fn neither_signature_does_for_the_other() {
    for sent in [
        proxied(s3("GET", "/k"), HOST),
        s3("GET", &format!("{}/k", in_path(POINT))),
        s3("GET", "/k").at("mfzwi23gnjvgw.mrap.gw.example"),
    ] {
        let text = advice(&sent);
        assert!(text.contains("awscrt"), "{text}");
    }
    let point = "arn:aws:s3:us-east-1:123456789012:accesspoint/my-point";
    for sent in [
        s3("GET", "/bucket/k"),
        s3("GET", "/"),
        s3("GET", "/k").at("bucket.gw.example"),
        proxied(s3("GET", "/bucket/k"), "s3.amazonaws.com"),
        dynamodb("ListTables", "{}"),
        query("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
    ] {
        let text = advice(&sent.signed_for("*"));
        assert!(text.contains("AWS_AUTH_SCHEME_PREFERENCE=sigv4"), "{text}");
    }
    for sent in [
        s3("GET", &format!("{}/k", in_path(point))),
        proxied(s3("GET", "/bucket/k"), "s3.us-east-1.amazonaws.com"),
        Sent::new("s3-outposts", "GET", "/k").at("my-point-999999999999.op-0123.gw.example"),
    ] {
        for region in ["*", "us-east-1,eu-west-1"] {
            let sent = sent.clone().signed_for(region);
            assert!(sent.read().is_err(), "{sent:?}");
        }
    }
}

#[test]
fn global_endpoints_are_refused_by_name() {
    let events = Sent::new("events", "POST", "/")
        .header("x-amz-target", "AWSEvents.PutEvents")
        .header("content-type", "application/x-amz-json-1.1")
        .body(r#"{"Entries": [], "EndpointId": "abc.veo"}"#)
        .signed_for("*");
    assert!(advice(&events).contains("`EndpointId`"));
    let mut sent = events;
    sent = proxied(sent, "abc.veo.endpoint.events.amazonaws.com");
    assert!(advice(&sent).contains("`EndpointId`"));
}

#[test]
fn every_region_that_a_set_names_must_exist() {
    let sent = |set| proxied(s3("GET", "/k"), HOST).signed_for(set).read();
    assert!(sent("us-east-1,eu-west-1").is_ok());
    assert!(sent("us-*").is_ok());
    assert!(sent("us-east-1,xx-nowhere-1").is_err());
    assert!(sent("cn-north-1,us-east-1").is_err());
}

#[test]
fn policies_can_be_asked_about_it_with_a_set_only() {
    let params = serde_json::json!({"Bucket": POINT, "Key": "k"});
    let asked = |reach: Reach, params: &serde_json::Value| {
        let wanted = Hypothetical {
            service: "s3",
            operation: "GetObject",
            reach: &reach,
            params,
        };
        actions_of(Catalog::embedded(), &wanted, &place())
    };
    let every = || Reach::Set(RegionSet::parse("*").unwrap());
    let actions = asked(every(), &params).unwrap();
    assert_eq!(actions[0].resource, format!("{POINT}/object/k"));
    assert!(asked("us-east-1".into(), &params).is_err());
    let plain = serde_json::json!({"Bucket": "bucket", "Key": "k"});
    assert!(asked(every(), &plain).is_err());
}

#[test]
fn its_arn_and_host_say_the_same() {
    let point = AccessPoint::parse(POINT).unwrap().unwrap();
    assert_eq!(point.to_string(), POINT);
    assert_eq!(point.host_prefix(), "mfzwi23gnjvgw.mrap.");
    let prefix = point.host_prefix();
    let again = AccessPoint::in_host(point.kind(), &prefix).unwrap();
    assert_eq!(again.owned("aws", "123456789012"), point);
}
