//! Hosts and credential scopes as AWS's own clients build them.

use super::*;

fn target<'a>(
    service: &'a str,
    operation: &'a str,
    partition: &'a str,
    region: &'a str,
) -> Target<'a> {
    Target {
        service,
        operation,
        partition,
        region,
        variant: Variant::Plain,
    }
}

fn summary(destination: &Destination) -> String {
    let Destination {
        host,
        signing_region,
        signing_name,
        ..
    } = destination;
    format!("{host} {signing_name}/{signing_region}")
}

/// Service, operation, partition, region; host and scope.
const DESTINATIONS: &str = "
    dynamodb ListTables aws eu-west-1 dynamodb.eu-west-1.amazonaws.com dynamodb/eu-west-1
    dynamodb ListTables aws-cn cn-north-1 dynamodb.cn-north-1.amazonaws.com.cn dynamodb/cn-north-1
    iam ListUsers aws eu-west-1 iam.amazonaws.com iam/us-east-1
    iam ListUsers aws-cn cn-northwest-1 iam.cn-north-1.amazonaws.com.cn iam/cn-north-1
    iam ListUsers aws-us-gov us-gov-east-1 iam.us-gov.amazonaws.com iam/us-gov-west-1
    route53 ListHostedZones aws ap-south-1 route53.amazonaws.com route53/us-east-1
    cloudfront ListDistributions aws eu-west-1 cloudfront.amazonaws.com cloudfront/us-east-1
    organizations ListRoots aws eu-west-1 organizations.us-east-1.amazonaws.com organizations/us-east-1
    sts GetCallerIdentity aws eu-west-1 sts.eu-west-1.amazonaws.com sts/eu-west-1
    ec2 DescribeInstances aws-us-gov us-gov-west-1 ec2.us-gov-west-1.amazonaws.com ec2/us-gov-west-1
    opensearch ListDomainNames aws us-west-2 es.us-west-2.amazonaws.com es/us-west-2
    ecr DescribeRepositories aws us-west-2 api.ecr.us-west-2.amazonaws.com ecr/us-west-2
    s3 ListBuckets aws us-east-1 s3.us-east-1.amazonaws.com s3/us-east-1
    cloudwatch ListMetrics aws eu-north-1 monitoring.eu-north-1.amazonaws.com monitoring/eu-north-1
    kinesis ListStreams aws us-east-1 kinesis.us-east-1.amazonaws.com kinesis/us-east-1
    kinesis ListQueues aws us-east-1 kinesis-queues.us-east-1.amazonaws.com kinesis/us-east-1
";

#[test]
fn destinations_follow_partition_region_and_service() {
    for row in DESTINATIONS.trim().lines() {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [service, operation, partition, region, host, scope] = words[..] else {
            panic!("{row}")
        };
        let target = target(service, operation, partition, region);
        let built = Destination::build(Catalog::embedded(), &target, None).unwrap();
        assert_eq!(summary(&built), format!("{host} {scope}"));
    }
}

#[test]
fn variants_have_their_own_hosts() {
    let check = |service, operation, variant, expected: &str| {
        let target = Target {
            variant,
            ..target(service, operation, "aws", "us-east-1")
        };
        let built = Destination::build(Catalog::embedded(), &target, None).unwrap();
        assert_eq!(built.host(), expected);
    };
    check(
        "dynamodb",
        "ListTables",
        Variant::Fips,
        "dynamodb-fips.us-east-1.amazonaws.com",
    );
    check(
        "dynamodb",
        "ListTables",
        Variant::DualStack,
        "dynamodb.us-east-1.api.aws",
    );
    check(
        "ec2",
        "DescribeInstances",
        Variant::FipsDualStack,
        "ec2-fips.us-east-1.api.aws",
    );
    check(
        "s3",
        "ListBuckets",
        Variant::DualStack,
        "s3.dualstack.us-east-1.amazonaws.com",
    );
    check(
        "s3",
        "ListBuckets",
        Variant::Fips,
        "s3-fips.us-east-1.amazonaws.com",
    );
    check(
        "kms",
        "ListKeys",
        Variant::Fips,
        "kms-fips.us-east-1.amazonaws.com",
    );
}

#[test]
fn what_the_catalog_does_not_name_is_refused() {
    let check = |target: Target<'_>, prefix, expected: DestinationError| {
        let refused = Destination::build(Catalog::embedded(), &target, prefix);
        assert_eq!(refused.unwrap_err(), expected);
    };
    let unknown = |name: &str| DestinationError::Unknown(name.to_owned());
    let region = |partition: &str, region: &str| DestinationError::UnknownRegion {
        partition: partition.to_owned(),
        region: region.to_owned(),
    };
    check(
        target("nope", "ListTables", "aws", "us-east-1"),
        None,
        unknown("nope"),
    );
    check(
        target("dynamodb", "Nope", "aws", "us-east-1"),
        None,
        unknown("Nope"),
    );
    for name in [
        "cn-north-1",
        "us-east-1.evil.example",
        "evil.example/",
        "",
        "US-EAST-1",
        "aws-global",
    ] {
        check(
            target("dynamodb", "ListTables", "aws", name),
            None,
            region("aws", name),
        );
    }
    check(
        target("dynamodb", "ListTables", "nope", "us-east-1"),
        None,
        region("nope", "us-east-1"),
    );
    check(
        target("dynamodb", "ListTables", "aws", "us-east-1"),
        Some("evil."),
        DestinationError::HostPrefix("ListTables".to_owned()),
    );
}

#[test]
fn host_prefixes_are_single_labels_where_the_template_has_a_hole() {
    let target = target("s3control", "ListJobs", "aws", "us-east-1");
    let long = format!("{}.", "a".repeat(64));
    let build = |prefix| Destination::build(Catalog::embedded(), &target, prefix);
    let built = build(Some("123456789012.")).unwrap();
    assert_eq!(
        built.host(),
        "123456789012.s3-control.us-east-1.amazonaws.com"
    );
    for prefix in [
        "",
        ".",
        "123456789012",
        "a.b.",
        "evil.example/",
        "evil.example#.",
        "a@b.",
        "-a.",
        "a-.",
        "ä.",
    ] {
        assert!(build(Some(prefix)).is_err(), "{prefix}");
    }
    assert!(build(Some(&long)).is_err());
    assert!(build(None).is_err());
}

#[test]
fn dns_compatible_buckets_are_labels_and_others_stay_in_the_path() {
    let target = target("s3", "GetObject", "aws", "eu-west-1");
    let check = |bucket: &str, expected: &str, addressing| {
        let built = Destination::s3(Catalog::embedded(), &target, bucket).unwrap();
        assert_eq!(
            (built.host(), built.addressing()),
            (expected, addressing),
            "{bucket}"
        );
        assert_eq!(built.signing_name(), "s3");
    };
    let path = "s3.eu-west-1.amazonaws.com";
    check(
        "my-bucket",
        "my-bucket.s3.eu-west-1.amazonaws.com",
        Addressing::VirtualHost,
    );
    check(
        "abc",
        "abc.s3.eu-west-1.amazonaws.com",
        Addressing::VirtualHost,
    );
    check("my.bucket", path, Addressing::Path);
    check("MyBucket", path, Addressing::Path);
    check("my_bucket", path, Addressing::Path);
    check("-bucket", path, Addressing::Path);
    check("192.168.0.1", path, Addressing::Path);
    check(
        &"a".repeat(63),
        &format!("{}.{path}", "a".repeat(63)),
        Addressing::VirtualHost,
    );
    check(&"a".repeat(64), path, Addressing::Path);
}

#[test]
fn names_that_are_no_bucket_are_refused() {
    let target = target("s3", "GetObject", "aws", "eu-west-1");
    let long = "a".repeat(256);
    for bucket in [
        "",
        "ab",
        "..",
        "...",
        "a..b",
        "evil.example/",
        "a/b",
        "a@b.c",
        "a#b",
        "a%2fb",
        "a b",
        "arn:aws:s3:us-east-1:123456789012:accesspoint/ap",
        "zone--x-s3",
        "alias--op-s3",
        &long,
    ] {
        let refused = Destination::s3(Catalog::embedded(), &target, bucket);
        assert_eq!(
            refused.unwrap_err(),
            DestinationError::Bucket(bucket.to_owned())
        );
    }
}

#[test]
fn directory_buckets_live_in_their_zone() {
    let bucket = "b--use1-az4--x-s3";
    for (operation, variant, host, addressing) in [
        (
            "GetObject",
            Variant::Plain,
            "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            Addressing::VirtualHost,
        ),
        (
            "HeadBucket",
            Variant::FipsDualStack,
            "b--use1-az4--x-s3.s3express-fips-use1-az4.dualstack.us-east-1.amazonaws.com",
            Addressing::VirtualHost,
        ),
        (
            "PutBucketPolicy",
            Variant::Plain,
            "s3express-control.us-east-1.amazonaws.com",
            Addressing::Path,
        ),
        (
            "DeleteBucket",
            Variant::Fips,
            "s3express-control-fips.us-east-1.amazonaws.com",
            Addressing::Path,
        ),
        (
            "CreateBucket",
            Variant::DualStack,
            "s3express-control.dualstack.us-east-1.amazonaws.com",
            Addressing::Path,
        ),
    ] {
        let target = Target {
            service: "s3",
            operation,
            partition: "aws",
            region: "us-east-1",
            variant,
        };
        let destination = Destination::s3(Catalog::embedded(), &target, bucket).unwrap();
        assert_eq!(destination.host(), host);
        assert_eq!(destination.addressing(), addressing, "{operation}");
        assert_eq!(destination.signing_name(), "s3express");
        assert_eq!(destination.signing_region(), "us-east-1");
    }
    let target = Target {
        service: "s3",
        operation: "ListDirectoryBuckets",
        partition: "aws-cn",
        region: "cn-north-1",
        variant: Variant::Plain,
    };
    let destination = Destination::build(Catalog::embedded(), &target, None).unwrap();
    assert_eq!(
        destination.host(),
        "s3express-control.cn-north-1.amazonaws.com.cn"
    );
    assert_eq!(destination.signing_name(), "s3express");
}

#[test]
fn every_service_has_an_ordinary_endpoint_in_some_region() {
    let catalog = Catalog::embedded();
    let without: Vec<_> = catalog
        .index()
        .services
        .iter()
        .filter(|entry| {
            let endpoints = &catalog.open(&entry.name).unwrap().endpoints;
            !endpoints
                .defaults
                .iter()
                .any(|rule| !rule.fips && !rule.dual_stack)
        })
        .map(|entry| entry.name.as_str())
        .collect();
    // Each call to a key value store goes to the host of the store's own account.
    assert_eq!(without, ["cloudfront-keyvaluestore"]);
}

#[test]
fn an_access_point_has_a_host_of_its_own_in_its_own_region() {
    let check = |arn: &str, variant, expected: Option<&str>| {
        let target = Target {
            variant,
            ..target("s3", "GetObject", "aws", "us-east-1")
        };
        let built = Destination::s3(Catalog::embedded(), &target, arn);
        assert_eq!(
            built.ok().map(|built| summary(&built)).as_deref(),
            expected,
            "{arn}"
        );
    };
    let point = "arn:aws:s3:us-east-1:999999999999:accesspoint/my-point";
    check(
        point,
        Variant::Plain,
        Some("my-point-999999999999.s3-accesspoint.us-east-1.amazonaws.com s3/us-east-1"),
    );
    check(
        point,
        Variant::FipsDualStack,
        Some(
            "my-point-999999999999.s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com s3/us-east-1",
        ),
    );
    check(
        "arn:aws:s3-object-lambda:us-east-1:999999999999:accesspoint/my-point",
        Variant::Fips,
        Some(
            "my-point-999999999999.s3-object-lambda-fips.us-east-1.amazonaws.com s3-object-lambda/us-east-1",
        ),
    );
    let outpost = "arn:aws:s3-outposts:us-east-1:999999999999:outpost/op-01/accesspoint/my-point";
    check(
        outpost,
        Variant::Plain,
        Some(
            "my-point-999999999999.op-01.s3-outposts.us-east-1.amazonaws.com s3-outposts/us-east-1",
        ),
    );
    check(outpost, Variant::DualStack, None);
    check(
        "arn:aws:s3:eu-west-1:999999999999:accesspoint/my-point",
        Variant::Plain,
        None,
    );
    check(
        "arn:aws-cn:s3:us-east-1:999999999999:accesspoint/my-point",
        Variant::Plain,
        None,
    );
    check(
        "arn:aws:s3:us-east-1:999999999999:accesspoint/a.b.c",
        Variant::Plain,
        None,
    );
    check(
        "arn:aws:s3::999999999999:accesspoint/m.mrap",
        Variant::Plain,
        None,
    );
}

#[test]
fn a_multi_region_access_point_is_in_no_region() {
    let build = |partition, bucket, variant| {
        Regionless::s3(Catalog::embedded(), partition, bucket, variant)
            .map(|built| built.host().to_owned())
    };
    let point = "arn:aws:s3::999999999999:accesspoint/mfzwi23gnjvgw.mrap";
    assert_eq!(
        build("aws", point, Variant::Plain).as_deref(),
        Ok("mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com")
    );
    for variant in [Variant::Fips, Variant::DualStack, Variant::FipsDualStack] {
        let refused = Err(DestinationError::MultiRegionVariant);
        assert_eq!(build("aws", point, variant), refused);
    }
    for (partition, bucket) in [
        ("aws-cn", point),
        ("aws", "mfzwi23gnjvgw.mrap"),
        ("aws", "bucket"),
        (
            "aws",
            "arn:aws:s3:us-east-1:999999999999:accesspoint/my-point",
        ),
        (
            "aws",
            "arn:aws:s3::999999999999:accesspoint/evil.example/.mrap",
        ),
    ] {
        let refused = Err(DestinationError::Bucket(bucket.to_owned()));
        assert_eq!(
            build(partition, bucket, Variant::Plain),
            refused,
            "{bucket}"
        );
    }
}
