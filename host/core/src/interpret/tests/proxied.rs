//! Requests that came by way of the proxy: host, signature and model must tell one story.

use serde_json::json;

use super::*;
use crate::destination::{Addressing, Variant};

impl Sent {
    pub(super) fn through(mut self, host: &str) -> Self {
        self.authority = host.to_owned();
        self.proxied = true;
        self
    }

    fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }
}

fn name(sent: &Sent) -> String {
    match sent.read() {
        Ok(call) => format!("{}:{} {}", call.service(), call.operation(), call.reach()),
        Err(refusal) => format!("{refusal}"),
    }
}

fn resources(sent: &Sent) -> Vec<String> {
    let call = sent.read().unwrap();
    let pair = |action: &Action| format!("{} {} {}", action.name, action.resource, action.access);
    call.actions().iter().map(pair).collect()
}

fn bucket(sent: &Sent) -> String {
    let call = sent.read().unwrap();
    call.params()
        .get("Bucket")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

const POINT: &str = "arn:aws:s3:us-east-1:999999999999:accesspoint/my-point";
const POINT_HOST: &str = "my-point-999999999999.s3-accesspoint.us-east-1.amazonaws.com";

#[test]
fn host_signature_and_model_together_name_the_call() {
    let queues = || {
        Sent::new("sqs", "POST", "/")
            .header("x-amz-target", "AmazonSQS.ListQueues")
            .header("content-type", "application/x-amz-json-1.0")
            .body("{}")
    };
    for (sent, expected) in [
        (
            dynamodb("ListTables", "{}").through("dynamodb.us-east-1.amazonaws.com"),
            "dynamodb:ListTables us-east-1",
        ),
        (
            dynamodb("ListTables", "{}").through("dynamodb.us-east-1.amazonaws.com:443"),
            "dynamodb:ListTables us-east-1",
        ),
        (
            queues().through("queue.amazonaws.com"),
            "sqs:ListQueues us-east-1",
        ),
        (
            queues()
                .region("eu-west-1")
                .through("eu-west-1.queue.amazonaws.com"),
            "sqs:ListQueues eu-west-1",
        ),
        (
            query("rds", "Action=DescribeDBInstances&Version=2014-10-31")
                .through("rds.amazonaws.com"),
            "rds:DescribeDBInstances us-east-1",
        ),
        (
            query("iam", "Action=ListUsers&Version=2010-05-08").through("iam.amazonaws.com"),
            "iam:ListUsers us-east-1",
        ),
        (
            s3("GET", "/k")
                .region("eu-west-1")
                .through("my-bucket.s3.amazonaws.com"),
            "s3:GetObject eu-west-1",
        ),
        (
            s3("GET", "/").through("s3.us-east-1.amazonaws.com"),
            "s3:ListBuckets us-east-1",
        ),
    ] {
        assert_eq!(name(&sent), expected);
    }
}

#[test]
fn a_host_of_another_service_region_or_partition_is_refused() {
    let list = || dynamodb("ListTables", "{}");
    for (sent, word) in [
        (
            list().through("sqs.us-east-1.amazonaws.com"),
            "signs as `dynamodb`",
        ),
        (
            list().through("my-bucket.s3.us-east-1.amazonaws.com"),
            "signs as `dynamodb`",
        ),
        (
            list().through("dynamodb.eu-west-1.amazonaws.com"),
            "region `us-east-1`",
        ),
        (
            list().through("dynamodb.cn-north-1.amazonaws.com.cn"),
            "partition `aws`",
        ),
        (
            list()
                .region("eu-west-1")
                .through("dynamodb.us-east-1.amazonaws.com"),
            "region `eu-west-1`",
        ),
        (
            query("iam", "Action=ListUsers&Version=2010-05-08")
                .region("eu-west-1")
                .through("iam.amazonaws.com"),
            "region `eu-west-1`",
        ),
        (list().through("gw.example"), "not a host name of AWS"),
        (
            list().through("dynamodb.us-east-1.amazonaws.com:80"),
            "not served",
        ),
        (
            list().through("abc.execute-api.us-east-1.amazonaws.com"),
            "API Gateway",
        ),
        (
            list().at("dynamodb.us-east-1.amazonaws.com"),
            "not a name of this gateway",
        ),
        (
            s3("GET", "/k")
                .region("eu-west-1")
                .through("b-1.s3-us-west-2.amazonaws.com"),
            "region",
        ),
    ] {
        let refusal = sent.read().expect_err(word).to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn what_stands_before_the_host_is_the_operations_own() {
    let discover = Sent::new("servicediscovery", "POST", "/")
        .header(
            "x-amz-target",
            "Route53AutoNaming_v20170314.DiscoverInstances",
        )
        .header("content-type", "application/x-amz-json-1.1")
        .body(r#"{"NamespaceName":"n","ServiceName":"s"}"#);
    let at = |host: &str| discover.clone().through(host).read();
    let call = at("data-servicediscovery.us-east-1.amazonaws.com").unwrap();
    assert_eq!(call.host_prefix(), Some("data-"));
    let list = Sent::new("servicediscovery", "POST", "/")
        .header("x-amz-target", "Route53AutoNaming_v20170314.ListServices")
        .header("content-type", "application/x-amz-json-1.1")
        .body("{}");
    assert!(
        list.clone()
            .through("servicediscovery.us-east-1.amazonaws.com")
            .read()
            .is_ok()
    );
    assert!(
        list.through("data-servicediscovery.us-east-1.amazonaws.com")
            .read()
            .is_err()
    );
    let account =
        Sent::new("s3", "GET", "/v20180820/accesspoint").header("x-amz-account-id", "123456789012");
    let own = account
        .clone()
        .through("123456789012.s3-control.us-east-1.amazonaws.com");
    assert_eq!(name(&own), "s3control:ListAccessPoints us-east-1");
    let other = account.through("999999999999.s3-control.us-east-1.amazonaws.com");
    assert!(other.read().is_err());
}

#[test]
fn fips_and_dual_stack_are_read_from_the_host() {
    for (host, variant) in [
        ("b-1.s3.us-east-1.amazonaws.com", Variant::Plain),
        ("b-1.s3-fips.us-east-1.amazonaws.com", Variant::Fips),
        (
            "b-1.s3.dualstack.us-east-1.amazonaws.com",
            Variant::DualStack,
        ),
        (
            "b-1.s3-fips.dualstack.us-east-1.amazonaws.com",
            Variant::FipsDualStack,
        ),
    ] {
        let call = s3("GET", "/k").through(host).read().unwrap();
        assert_eq!(call.variant(), variant, "{host}");
        assert_eq!(call.addressing(), Addressing::VirtualHost);
    }
}

#[test]
fn no_bucket_name_passes_for_anything_else() {
    for name in [
        "s3x",
        "s3-fips",
        "s3.us-east-1",
        "my.dotted.name",
        "dynamodb",
        "iam.amazonaws.com",
    ] {
        for host in [
            "s3.us-east-1.amazonaws.com",
            "s3.amazonaws.com",
            "s3-fips.us-east-1.amazonaws.com",
        ] {
            let sent = s3("GET", "/a//../k").through(&format!("{name}.{host}"));
            let call = sent.read().unwrap();
            let expected = json!({"Bucket": name, "Key": "a//../k"});
            assert_eq!(call.params().to_json(), expected, "{name} {host}");
            let path = s3("GET", &format!("/{name}/a//../k")).through(host);
            assert_eq!(path.read().unwrap().params().to_json(), expected);
        }
    }
}

#[test]
fn an_access_point_is_a_resource_of_its_own() {
    let encoded = POINT.replace(':', "%3A").replace('/', "%2F");
    for sent in [
        s3("GET", "/dir/k").through(POINT_HOST),
        s3("GET", &format!("/{encoded}/dir/k")).through("s3.us-east-1.amazonaws.com"),
        s3("GET", &format!("/{encoded}/dir/k")),
    ] {
        assert_eq!(bucket(&sent), POINT);
        assert_eq!(
            resources(&sent),
            [format!("s3:GetObject {POINT}/object/dir/k read")]
        );
    }
    let list = s3("GET", "/?list-type=2").through(POINT_HOST);
    assert_eq!(resources(&list), [format!("s3:ListBucket {POINT} list")]);
}

#[test]
fn object_lambda_and_outposts_sign_and_act_as_themselves() {
    let lambda = |service| {
        Sent::new(service, "GET", "/k")
            .through("my-point-999999999999.s3-object-lambda.us-east-1.amazonaws.com")
    };
    let arn = "arn:aws:s3-object-lambda:us-east-1:999999999999:accesspoint/my-point";
    assert_eq!(
        resources(&lambda("s3-object-lambda")),
        [format!("s3-object-lambda:GetObject {arn} read")]
    );
    assert!(matches!(lambda("s3").read(), Err(Refusal::Ambiguous(_))));
    let outpost = Sent::new("s3-outposts", "GET", "/k")
        .through("my-point-999999999999.op-0123.s3-outposts.us-east-1.amazonaws.com");
    let arn = "arn:aws:s3-outposts:us-east-1:999999999999:outpost/op-0123/accesspoint/my-point";
    assert_eq!(
        resources(&outpost),
        [format!("s3-outposts:GetObject {arn}/object/k read")]
    );
    // With an endpoint of their own SDKs put the same before it.
    let own = Sent::new("s3-outposts", "GET", "/k").at("my-point-999999999999.op-0123.gw.example");
    assert_eq!(bucket(&own), arn);
}

#[test]
fn an_access_point_elsewhere_or_signed_otherwise_is_refused() {
    let path = |arn: &str| format!("/{}/k", arn.replace(':', "%3A").replace('/', "%2F"));
    for arn in [
        "arn:aws:s3:eu-west-1:999999999999:accesspoint/my-point",
        "arn:aws-cn:s3:us-east-1:999999999999:accesspoint/my-point",
        "arn:aws:s3::999999999999:accesspoint/my-point.mrap",
        "arn:aws:s3-object-lambda:us-east-1:999999999999:accesspoint/my-point",
        "arn:aws:s3:us-east-1:999:accesspoint/my-point",
        "arn:aws:s3:us-east-1:999999999999:accesspoint/my-point/object/k",
        "arn:aws:s3:us-east-1:999999999999:accesspoint/My.Point",
        "arn:aws:s3:::my-bucket",
        "arn:aws:dynamodb:us-east-1:999999999999:table/t",
        "arn:",
    ] {
        let sent = s3("GET", &path(arn));
        assert!(sent.read().is_err(), "{arn}");
    }
    for service in ["s3-object-lambda", "s3-outposts"] {
        let bucket = Sent::new(service, "GET", "/my-bucket/k");
        assert!(
            matches!(bucket.read(), Err(Refusal::Ambiguous(_))),
            "{service}"
        );
    }
}

#[test]
fn an_alias_is_never_judged_as_a_bucket() {
    for alias in ["my-point-abcdef-s3alias", "my-point-abcdef--ol-s3"] {
        let sent = s3("GET", &format!("/{alias}/k"));
        assert_eq!(resources(&sent), ["s3:GetObject * unknown"]);
        let copy = s3("PUT", "/to/k").header("x-amz-copy-source", &format!("{alias}/k"));
        let found = resources(&copy);
        assert!(
            found.contains(&"s3:GetObject * unknown".to_owned()),
            "{found:?}"
        );
    }
}

#[test]
fn sign_in_is_taken_at_sts_alone() {
    let head = |host: &str| query("sts", "").through(host).head();
    let takes = |host: &str| takes_sign_in(Catalog::embedded(), &head(host));
    assert!(takes("sts.us-east-1.amazonaws.com"));
    assert!(takes("sts.amazonaws.com"));
    assert!(takes("sts-fips.us-east-1.amazonaws.com:443"));
    assert!(!takes("sqs.us-east-1.amazonaws.com"));
    assert!(!takes("sts.us-east-1.amazonaws.com.evil.com"));
    assert!(takes_sign_in(Catalog::embedded(), &query("sts", "").head()));
}
