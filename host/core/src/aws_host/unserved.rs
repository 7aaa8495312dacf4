//! Names of AWS that no call in the catalog is sent to, and what to tell whoever asked for one.

use super::HostError;

const OTHER: &str = "it is a name of AWS, but none of an API that this gateway can decode";
const EXPRESS: &str =
    "it is S3 Express One Zone, but no directory bucket of that zone stands before it";

/// By a label, with what it stands for.
const LABELS: [(&str, &str); 21] = [
    (
        "vpce",
        "it is a VPC endpoint, which is reached from its network only; use the service's public name",
    ),
    (
        "s3-accelerate",
        "it is S3 Transfer Acceleration, which this gateway does not use; use the regional name",
    ),
    (
        "s3-global",
        "it is under the name of S3's multi-region access points, but none is called so; they are called `<alias>.mrap.accesspoint.s3-global.amazonaws.com`",
    ),
    (
        "mrap",
        "it is under the name of S3's multi-region access points, but none is called so; they are called `<alias>.mrap.accesspoint.s3-global.amazonaws.com`",
    ),
    (
        "cloudfront-kvs",
        "it is the data of CloudFront's key value stores, which is signed with Signature Version 4A only; this gateway takes that for S3 multi-region access points alone",
    ),
    (
        "endpoint",
        "it is a global endpoint, and only AWS knows which regions' resources it stands for; call one region without `EndpointId`",
    ),
    (
        "endpoints",
        "it is a global endpoint, and only AWS knows which regions' resources it stands for; call one region without `EndpointId`",
    ),
    (
        "s3-website",
        "it is a website on S3, not an API; use S3's own name",
    ),
    (
        "execute-api",
        "it is an API behind API Gateway, which no model describes; the gateway decodes AWS's own APIs only",
    ),
    (
        "lambda-url",
        "it is a Lambda function URL, which no model describes; use lambda:Invoke",
    ),
    (
        "appsync-api",
        "it is a GraphQL API behind AppSync, which no model describes; the gateway decodes AWS's own APIs only",
    ),
    (
        "appsync-realtime-api",
        "it is a GraphQL API behind AppSync, which no model describes; the gateway decodes AWS's own APIs only",
    ),
    (
        "iot",
        "it is an account's own IoT endpoint; use data-ats.iot.<region> for IoT's data API",
    ),
    (
        "dkr",
        "it is a container registry, not an AWS API; images cannot be moved through this gateway",
    ),
    ("eks", "it is a Kubernetes API server, not an AWS API"),
    (
        "es",
        "it is a search domain of its own, which no model describes",
    ),
    (
        "aoss",
        "it is a search collection of its own, which no model describes",
    ),
    ("elb", "it is a load balancer, not an AWS API"),
    ("compute", "it is a machine on EC2, not an AWS API"),
    ("rds", "it is a database, not an AWS API"),
    ("cache", "it is a cache, not an AWS API"),
];

/// What a name is, by the labels before AWS's own part of it, the last first.
pub(super) fn reason(rest: &str) -> &'static str {
    for label in rest.rsplit('.') {
        if label.starts_with("s3express-") {
            return EXPRESS;
        }
        // Websites have the region behind a dash in older regions.
        let label = if label.starts_with("s3-website-") {
            "s3-website"
        } else {
            label
        };
        let known = LABELS.iter().find(|(known, _)| *known == label);
        if let Some((_, reason)) = known {
            return reason;
        }
    }
    OTHER
}

/// Names of AWS outside its partitions' own domains.
pub(super) fn elsewhere(host: &str) -> HostError {
    let on = |domain: &str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    if on("on.aws") {
        return HostError::Unserved(reason(host));
    }
    if on("aws.amazon.com") || on("aws.dev") || on("signin.aws") || on("awsapps.com") {
        return HostError::Unserved(OTHER);
    }
    HostError::Foreign
}
