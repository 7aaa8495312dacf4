//! Every host that botocore makes of a bucket or an access point is read as that, and made again.

use portcullis_core::aws_host::Endpoint;
use portcullis_core::catalog::Catalog;
use portcullis_core::destination::{Destination, Regionless, Target, Variant};
use serde_json::Value;

use crate::fixture::{child, client, place};

fn lines() -> Vec<Value> {
    let mut command = child::command(place::venv("python"));
    command.arg(place::clients("s3_hosts.py"));
    client::run(command)
}

fn text<'v>(line: &'v Value, name: &str) -> &'v str {
    line[name].as_str().unwrap()
}

/// The bucket or access point that an endpoint's name holds, or its path.
fn addressed(endpoint: &Endpoint<'_>, path: &str) -> String {
    let point = endpoint
        .access_point("123456789012")
        .map(|point| point.to_string());
    let named = point.or_else(|| endpoint.bucket().map(str::to_owned));
    named.unwrap_or_else(|| path.split('/').nth(1).unwrap().to_owned())
}

#[test]
fn every_host_that_botocore_makes_of_a_bucket_is_read_as_that_bucket() {
    let lines = lines();
    assert!(lines.len() > 200, "{}", lines.len());
    for line in &lines {
        let (host, bucket) = (text(line, "host"), text(line, "bucket"));
        let read = Catalog::embedded().hosts().read(host);
        let endpoints = read.unwrap_or_else(|error| panic!("{line}: {error}"));
        let right = |endpoint: &Endpoint<'_>| {
            endpoint.service() == "s3"
                && endpoint.partition() == text(line, "partition")
                && endpoint
                    .region()
                    .is_none_or(|region| line["region"] == region)
                && addressed(endpoint, text(line, "path")) == bucket
        };
        assert!(endpoints.iter().any(right), "{line}: {endpoints:?}");
    }
}

#[test]
fn an_access_points_host_is_made_as_botocore_makes_it() {
    let lines = lines();
    let mut points = lines
        .iter()
        .filter(|line| text(line, "bucket").starts_with("arn:"))
        .peekable();
    assert!(points.peek().is_some());
    let mut without_region = 0;
    for line in points {
        if line["region"].is_null() {
            let (partition, bucket) = (text(line, "partition"), text(line, "bucket"));
            let built = Regionless::s3(Catalog::embedded(), partition, bucket, Variant::Plain);
            assert_eq!(built.unwrap().host(), text(line, "host"), "{line}");
            without_region += 1;
            continue;
        }
        let target = Target {
            service: "s3",
            operation: "GetObject",
            partition: text(line, "partition"),
            region: text(line, "region"),
            variant: match (line["fips"] == true, line["dual_stack"] == true) {
                (false, false) => Variant::Plain,
                (false, true) => Variant::DualStack,
                (true, false) => Variant::Fips,
                (true, true) => Variant::FipsDualStack,
            },
        };
        let built = Destination::s3(Catalog::embedded(), &target, text(line, "bucket"));
        let built = built.unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(built.host(), text(line, "host"), "{line}");
        assert_eq!(built.signing_name(), text(line, "signing_name"), "{line}");
    }
    assert!(without_region > 0, "awscrt is missing");
}
