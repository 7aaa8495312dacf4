//! Host names as AWS's clients make them, as hostile clients would, and as nobody should.

use std::collections::HashSet;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Catalog, Operation};
use crate::destination::{Destination, Target};

const VARIANTS: [Variant; 4] = [
    Variant::Plain,
    Variant::DualStack,
    Variant::Fips,
    Variant::FipsDualStack,
];

fn hosts() -> &'static AwsHosts {
    Catalog::embedded().hosts()
}

/// `service partition region variant prefix` of each endpoint behind a name.
fn read(host: &str) -> Result<Vec<String>, HostError> {
    let endpoint = |endpoint: &Endpoint<'_>| {
        format!(
            "{} {} {} {:?} {}",
            endpoint.service(),
            endpoint.partition(),
            endpoint.region().unwrap_or("-"),
            endpoint.variant(),
            endpoint.prefix(),
        )
    };
    Ok(hosts().read(host)?.iter().map(endpoint).collect())
}

fn every_endpoint(mut check: impl FnMut(&Target<'_>, &Destination, Option<&str>)) {
    let catalog = Catalog::embedded();
    for entry in &catalog.index().services {
        let service = catalog.open(&entry.name).unwrap();
        let mut seen = HashSet::new();
        let fresh = |operation: &&Operation| {
            seen.insert((operation.endpoint_class, operation.host_prefix.clone()))
        };
        for operation in service.operations.iter().filter(fresh) {
            let prefix = operation.host_prefix.as_deref().map(filled);
            for partition in &catalog.index().partitions {
                for region in &partition.regions {
                    for variant in VARIANTS {
                        let target = Target {
                            service: &entry.name,
                            operation: &operation.name,
                            partition: &partition.name,
                            region,
                            variant,
                        };
                        if let Ok(built) = Destination::build(catalog, &target, prefix.as_deref()) {
                            check(&target, &built, prefix.as_deref());
                        }
                    }
                }
            }
        }
    }
}

fn filled(template: &str) -> String {
    match template.split_once('{') {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('}').unwrap();
            format!("{before}x{after}")
        }
        None => template.to_owned(),
    }
}

#[test]
fn every_endpoint_of_every_service_is_read_as_what_it_is() {
    let mut compared = 0;
    every_endpoint(|target, built, prefix| {
        compared += 1;
        let read = hosts()
            .read(built.host())
            .unwrap_or_else(|error| panic!("{}: {error}", built.host()));
        let right = |endpoint: &Endpoint<'_>| {
            // Some FIPS and dual-stack endpoints are others' names too: then it is the same host.
            let again = Target {
                variant: endpoint.variant(),
                ..*target
            };
            let again = Destination::build(Catalog::embedded(), &again, prefix);
            let region = endpoint.region();
            endpoint.service() == target.service
                && endpoint.partition() == target.partition
                && endpoint.prefix() == prefix.unwrap_or_default()
                && region.is_none_or(|region| region == built.signing_region())
                && again.is_ok_and(|again| again.host() == built.host())
        };
        assert!(
            read.iter().any(right),
            "{} was read as {read:?}",
            built.host(),
        );
    });
    assert!(compared > 80_000, "{compared}");
}

/// Services that AWS keeps under one name although they sign as different ones.
const SHARED: [[&str; 2]; 3] = [
    ["location", "geo-routes"],
    ["location", "geo-maps"],
    ["location", "geo-places"],
];

#[test]
fn no_endpoint_is_read_as_a_service_that_signs_otherwise() {
    let catalog = Catalog::embedded();
    every_endpoint(|target, built, _| {
        let own = catalog.by_name(target.service).unwrap();
        for endpoint in hosts().read(built.host()).unwrap() {
            let other = catalog.by_name(endpoint.service()).unwrap();
            let pair = |pair: &[&str; 2]| {
                pair.contains(&own.name.as_str()) && pair.contains(&other.name.as_str())
            };
            let same = other.signing_name == own.signing_name || SHARED.iter().any(pair);
            assert!(same, "{}: {} and {}", built.host(), own.name, other.name);
        }
    });
}

/// Host; service, partition, region, variant and prefix as [`read`] has them.
const FORMS: &str = "
    s3.us-west-2.amazonaws.com                     s3 aws us-west-2 Plain
    my-bucket.s3.us-west-2.amazonaws.com           s3 aws us-west-2 Plain my-bucket.
    my.dotted.bucket.s3.us-west-2.amazonaws.com    s3 aws us-west-2 Plain my.dotted.bucket.
    s3.amazonaws.com                               s3 aws - Plain
    my-bucket.s3.amazonaws.com                     s3 aws - Plain my-bucket.
    s3-us-west-2.amazonaws.com                     s3 aws us-west-2 Plain
    my-bucket.s3-us-west-2.amazonaws.com           s3 aws us-west-2 Plain my-bucket.
    s3-external-1.amazonaws.com                    s3 aws us-east-1 Plain
    s3.dualstack.us-west-2.amazonaws.com           s3 aws us-west-2 DualStack
    my-bucket.s3.dualstack.us-west-2.amazonaws.com s3 aws us-west-2 DualStack my-bucket.
    my-bucket.s3-fips.us-west-2.amazonaws.com      s3 aws us-west-2 Fips my-bucket.
    b-1.s3-fips.dualstack.us-west-2.amazonaws.com  s3 aws us-west-2 FipsDualStack b-1.
    my-bucket.s3.cn-north-1.amazonaws.com.cn       s3 aws-cn cn-north-1 Plain my-bucket.
    my-bucket.s3.us-gov-west-1.amazonaws.com       s3 aws-us-gov us-gov-west-1 Plain my-bucket.
    my-bucket.s3.us-iso-east-1.c2s.ic.gov          s3 aws-iso us-iso-east-1 Plain my-bucket.
    s3-fips.s3.us-east-1.amazonaws.com             s3 aws us-east-1 Plain s3-fips.
    s3.us-east-1.s3.eu-west-1.amazonaws.com        s3 aws eu-west-1 Plain s3.us-east-1.
    s3.us-east-1.s3.amazonaws.com                  s3 aws - Plain s3.us-east-1.
    dynamodb.us-east-1.s3.eu-west-1.amazonaws.com  s3 aws eu-west-1 Plain dynamodb.us-east-1.
    iam.amazonaws.com.s3.eu-west-1.amazonaws.com   s3 aws eu-west-1 Plain iam.amazonaws.com.
    execute-api.s3.eu-west-1.amazonaws.com         s3 aws eu-west-1 Plain execute-api.
    dualstack.s3.eu-west-1.amazonaws.com           s3 aws eu-west-1 Plain dualstack.
    us-west-2.s3.eu-west-1.amazonaws.com           s3 aws eu-west-1 Plain us-west-2.
    x-123456789012.s3.eu-west-1.amazonaws.com      s3 aws eu-west-1 Plain x-123456789012.
    my-ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com s3 aws eu-west-1 Plain my-ap-123456789012.
    my-ap-123456789012.s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com s3 aws us-east-1 FipsDualStack my-ap-123456789012.
    my-ap-123456789012.s3-object-lambda.eu-west-1.amazonaws.com s3 aws eu-west-1 Plain my-ap-123456789012.
    io-route.s3-object-lambda.eu-west-1.amazonaws.com s3 aws eu-west-1 Plain io-route.
    my-ap-123456789012.op-01ac5d28a6a232904.s3-outposts.eu-west-1.amazonaws.com s3 aws eu-west-1 Plain my-ap-123456789012.op-01ac5d28a6a232904.
    123456789012.s3-control.us-west-2.amazonaws.com s3control aws us-west-2 Plain 123456789012.
    123456789012.s3-control-fips.dualstack.us-west-2.amazonaws.com s3control aws us-west-2 FipsDualStack 123456789012.
    123456789012.ddb.us-east-1.amazonaws.com       dynamodb aws us-east-1 Plain
    123456789012.ddb.us-east-1.api.aws             dynamodb aws us-east-1 DualStack
    123456789012.data-kinesis-fips.us-west-2.amazonaws.com kinesis aws us-west-2 Fips
    queue.amazonaws.com                            sqs aws us-east-1 Plain
    eu-west-1.queue.amazonaws.com                  sqs aws eu-west-1 Plain
    cn-north-1.queue.amazonaws.com.cn              sqs aws-cn cn-north-1 Plain
    sts.amazonaws.com                              sts aws us-east-1 Plain
    iam.amazonaws.com                              iam aws us-east-1 Plain
    iam.us-gov.amazonaws.com                       iam aws-us-gov us-gov-west-1 Plain
    iam.cn-north-1.amazonaws.com.cn                iam aws-cn cn-north-1 Plain
    ec2.amazonaws.com                              ec2 aws us-east-1 Plain
    us-west-2.elasticmapreduce.amazonaws.com       emr aws us-west-2 Plain
    api.ecr.us-west-2.amazonaws.com                ecr aws us-west-2 Plain
    dynamodb.us-east-1.api.aws                     dynamodb aws us-east-1 DualStack
    dynamodb-fips.us-gov-west-1.api.aws            dynamodb aws-us-gov us-gov-west-1 FipsDualStack
    data-servicediscovery.eu-west-1.amazonaws.com  servicediscovery aws eu-west-1 Plain data-
    lambda.us-isob-east-1.sc2s.sgov.gov            lambda aws-iso-b us-isob-east-1 Plain
";

#[test]
fn documented_forms_are_read() {
    for row in FORMS.trim().lines() {
        let (host, expected) = row.trim().split_once(' ').unwrap();
        let found = read(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        let expected = expected.trim();
        let right = |found: &String| found.trim_end() == expected;
        assert!(found.iter().any(right), "{host}: {found:?}, not {expected}");
    }
    let three = read("rds.amazonaws.com").unwrap();
    let names: HashSet<&str> = three
        .iter()
        .filter_map(|row| row.split(' ').next())
        .collect();
    assert_eq!(names, HashSet::from(["docdb", "neptune", "rds"]));
}

#[test]
fn only_s3_takes_a_bucket_and_only_where_buckets_go() {
    for host in [
        "bucket.dynamodb.us-east-1.amazonaws.com",
        "evil-dynamodb.us-east-1.amazonaws.com",
        "x.data-servicediscovery.eu-west-1.amazonaws.com",
        "12345.s3-control.extra.us-west-2.amazonaws.com",
        "a.b.s3-control.us-west-2.amazonaws.com",
        "ddb.us-west-2.amazonaws.com",
        "12345678901.ddb.us-west-2.amazonaws.com",
        "a.123456789012.ddb.us-west-2.amazonaws.com",
        "s3-accesspoint.us-west-2.amazonaws.com",
        "no-account.s3-accesspoint.us-west-2.amazonaws.com",
        "a.my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
        "my-ap-123456789012.x.s3-outposts.us-west-2.amazonaws.com",
        "ab.s3.us-west-2.amazonaws.com",
        "-bucket.s3.us-west-2.amazonaws.com",
        "bucket-s3.us-west-2.amazonaws.com",
        "b_b_b.s3.us-west-2.amazonaws.com",
        "s3.us-nowhere-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com",
        "s3.us-west-2.amazonaws.com.cn",
        "dynamodb.us-west-2.amazonaws.com.cn",
        "dynamodb.us-iso-east-1.amazonaws.com",
        "dynamodb.amazonaws.com",
        "rds.amazonaws.com.cn",
        "iam.us-west-2.amazonaws.com",
        "us-west-2.dynamodb.amazonaws.com",
        "amazonaws.com",
        "us-west-2.amazonaws.com",
    ] {
        assert!(read(host).is_err(), "{host}: {:?}", read(host));
    }
}

#[test]
fn a_directory_bucket_stands_before_its_own_zone() {
    for (host, bucket, variant) in [
        (
            "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            Some("b--use1-az4--x-s3"),
            Variant::Plain,
        ),
        (
            "b--use1-az4--x-s3.s3express-fips-use1-az4.dualstack.us-east-1.amazonaws.com",
            Some("b--use1-az4--x-s3"),
            Variant::FipsDualStack,
        ),
        (
            "s3express-control.us-east-1.amazonaws.com",
            None,
            Variant::Plain,
        ),
        (
            "s3express-control-fips.us-east-1.amazonaws.com",
            None,
            Variant::Fips,
        ),
    ] {
        let endpoints = hosts().read(host).unwrap();
        let of_s3 = |endpoint: &&Endpoint<'_>| endpoint.service() == "s3";
        let endpoint = endpoints.iter().find(of_s3).unwrap();
        assert_eq!(endpoint.bucket(), bucket, "{host}");
        assert_eq!(endpoint.variant(), variant, "{host}");
        assert_eq!(endpoint.region(), Some("us-east-1"), "{host}");
    }
    for host in [
        "s3express-use1-az4.us-east-1.amazonaws.com",
        "b.s3express-use1-az4.us-east-1.amazonaws.com",
        "x.b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
        "b--use1-az4--x-s3.s3express-use1-az4.mars-1.amazonaws.com",
    ] {
        assert!(hosts().read(host).is_err(), "{host}");
    }
}

#[test]
fn what_no_model_describes_is_refused_by_name() {
    for (host, word) in [
        (
            "vpce-0a-1b.dynamodb.us-east-1.vpce.amazonaws.com",
            "VPC endpoint",
        ),
        (
            "bucket.vpce-0a.s3.us-east-1.vpce.amazonaws.com",
            "VPC endpoint",
        ),
        ("bucket.s3-accelerate.amazonaws.com", "Acceleration"),
        (
            "bucket.s3-accelerate.dualstack.amazonaws.com",
            "Acceleration",
        ),
        ("bucket.s3-website-us-east-1.amazonaws.com", "website"),
        ("bucket.s3-website.eu-central-1.amazonaws.com", "website"),
        ("m.accesspoint.s3-global.amazonaws.com", "multi-region"),
        (
            "b--use1-az5--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            "Express",
        ),
        ("abc.execute-api.us-east-1.amazonaws.com", "API Gateway"),
        ("abc.lambda-url.us-east-1.on.aws", "function URL"),
        ("abc.appsync-api.us-east-1.amazonaws.com", "AppSync"),
        ("abc-ats.iot.us-east-1.amazonaws.com", "IoT"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "registry"),
        ("x.gr7.us-east-1.eks.amazonaws.com", "Kubernetes"),
        ("db.abc.us-east-1.rds.amazonaws.com", "database"),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", "none of an API"),
        ("eu-west-1.console.aws.amazon.com", "none of an API"),
    ] {
        match hosts().read(host) {
            Err(HostError::Unserved(reason)) => assert!(reason.contains(word), "{host}: {reason}"),
            other => panic!("{host}: {other:?}"),
        }
        assert!(hosts().is_aws(host), "{host}");
    }
}

#[test]
fn other_names_are_not_aws() {
    for host in [
        "",
        ".",
        "localhost",
        "127.0.0.1",
        "169.254.169.254",
        "[::1]",
        "example.com",
        "s3.amazonaws.com.evil.com",
        "evil-amazonaws.com",
        "evilamazonaws.com",
        "s3.us-east-1.amazonaws.com.",
        "s3..us-east-1.amazonaws.com",
        ".s3.us-east-1.amazonaws.com",
        "S3.us-east-1.amazonaws.com",
        "s3.us-east-1.amazonaws.com:443",
        "user@s3.us-east-1.amazonaws.com",
        "s3.us-east-1.amazonaws.com/x",
        "s3.us-east-1.amazonaws.com?x",
        "s3.us-east-1.amazonaws.com#x",
        "s3.us-east-1.amazonaws.com\0",
        "s3.us-east-1.amazonaws.com ",
        "s3.us-east-1.amazonaws\u{3002}com",
        "\u{455}3.us-east-1.amazonaws.com",
        "s3.{region}.amazonaws.com",
        "s3%2eus-east-1.amazonaws.com",
        "api.aws.evil",
        "evilon.aws",
        "evilaws.dev",
        "aws",
    ] {
        let refused = hosts().read(host);
        assert!(
            matches!(refused, Err(HostError::Foreign | HostError::Malformed)),
            "{host}: {refused:?}"
        );
        assert!(!hosts().is_aws(host), "{host}");
    }
}

#[test]
fn aws_own_domains_are_aws_without_a_name_before_them() {
    for host in ["amazonaws.com", "api.aws", "amazonaws.com.cn"] {
        assert!(hosts().is_aws(host), "{host}");
    }
}

#[test]
fn names_that_are_too_long_are_no_names() {
    let label = "x".repeat(64);
    let many = "x.".repeat(130);
    for before in [format!("{label}."), many] {
        let read = hosts().read(&format!("{before}amazonaws.com")).map(drop);
        assert_eq!(read, Err(HostError::Malformed), "{before}");
    }
}

#[test]
fn what_is_nearly_a_bucket_or_an_account_is_neither() {
    for host in [
        "-bucket.s3.us-east-1.amazonaws.com",
        "bucket-.s3.us-east-1.amazonaws.com",
        "12345678901a.ddb.us-east-1.amazonaws.com",
        "1234567890123.ddb.us-east-1.amazonaws.com",
    ] {
        assert!(read(host).is_err(), "{host}: {:?}", read(host));
    }
}

#[test]
fn an_old_name_without_a_region_is_of_one_region_of_one_partition() {
    for name in [
        "ec2",
        "elasticloadbalancing",
        "monitoring",
        "queue",
        "rds",
        "sts",
    ] {
        let host = format!("{name}.amazonaws.com");
        for endpoint in read(&host).unwrap() {
            assert!(
                endpoint.contains(" aws us-east-1 Plain"),
                "{host}: {endpoint}"
            );
        }
    }
}

/// Every name that a region goes into, with it.
fn with_regions() -> impl Iterator<Item = (String, &'static [Row], &'static str)> {
    let holed = hosts().rows.iter().filter(|(host, _)| host.contains('{'));
    holed.flat_map(|(host, rows)| {
        let regions = hosts().regions.keys();
        regions.map(move |region| (host.replace("{region}", region), &**rows, &**region))
    })
}

#[test]
fn a_name_that_the_rules_have_for_one_region_is_no_other_regions() {
    let mut compared = 0;
    for (host, rows, region) in with_regions() {
        let mut limited = rows.iter().filter(|row| row.only.is_some()).peekable();
        let served = |service: &str| {
            let mut rows = rows.iter().filter(|row| *row.service == *service);
            rows.any(|row| row.only.as_deref().is_none_or(|only| only == region))
        };
        let Some(row) = limited.find(|row| !served(&row.service)) else {
            continue;
        };
        compared += 1;
        let endpoints = hosts().read(&host).unwrap_or_default();
        let same = |endpoint: &&Endpoint<'_>| {
            endpoint.service() == &*row.service && endpoint.prefix().is_empty()
        };
        assert!(!endpoints.iter().any(|endpoint| same(&endpoint)), "{host}");
    }
    assert!(compared > 0);
}

#[test]
fn the_usual_variant_comes_first() {
    let mut several = 0;
    for (host, ..) in with_regions() {
        let endpoints = hosts().read(&host).unwrap_or_default();
        let usual = |endpoint: &Endpoint<'_>| {
            (
                endpoint.variant().is_fips(),
                endpoint.variant().is_dual_stack(),
            )
        };
        several += usize::from(
            endpoints
                .iter()
                .any(|one| usual(one) != usual(&endpoints[0])),
        );
        assert!(endpoints.is_sorted_by_key(usual), "{host}");
    }
    assert!(several > 0);
}

/// Every name without what may stand before it, gathered from the destinations and not from the
/// table.
fn known_names() -> &'static HashSet<String> {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = HashSet::new();
        every_endpoint(|_, built, prefix| {
            let name = built.host().strip_prefix(prefix.unwrap_or_default());
            names.insert(name.unwrap().to_owned());
        });
        let catalog = Catalog::embedded();
        for partition in &catalog.index().partitions {
            let suffix = &partition.dns_suffix;
            for region in &partition.regions {
                for entry in &catalog.index().services {
                    names.insert(format!("{}.{region}.{suffix}", entry.endpoint_prefix));
                }
                for own in ["ddb", "search-ddb", "data-kinesis", "data-kinesis-queues"] {
                    for end in ["", "-fips"] {
                        for suffix in [suffix, &partition.dual_stack_dns_suffix] {
                            names.insert(format!("123456789012.{own}{end}.{region}.{suffix}"));
                        }
                    }
                }
                for old in ["queue", "elasticmapreduce"] {
                    names.insert(format!("{region}.{old}.{suffix}"));
                }
                names.insert(format!("s3-{region}.{suffix}"));
                for point in ["s3-accesspoint", "s3-object-lambda", "s3-outposts"] {
                    for kind in ["", "-fips", ".dualstack", "-fips.dualstack"] {
                        names.insert(format!("{point}{kind}.{region}.{suffix}"));
                    }
                }
            }
        }
        for old in [
            "autoscaling",
            "ec2",
            "elasticloadbalancing",
            "elasticmapreduce",
            "monitoring",
            "queue",
            "rds",
            "s3",
            "s3-external-1",
            "sts",
        ] {
            names.insert(format!("{old}.amazonaws.com"));
        }
        names
    })
}

/// Pieces that host names of AWS are made of, and some that they are not.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "s3",
        "s3-fips",
        "dualstack",
        "us-east-1",
        "cn-north-1",
        "us-gov-west-1",
        "amazonaws",
        "com",
        "cn",
        "api",
        "aws",
        "dynamodb",
        "iam",
        "queue",
        "data",
        "vpce",
        "ddb",
        "123456789012",
        "s3-accesspoint",
        "my-ap-123456789012",
        "s3-control",
        "op-1",
        "s3-outposts",
        "evil",
        "rds",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "[a-z0-9-]{0,8}",
        1 => "[A-Z_@:%/ \u{e9}.]{1,2}",
    ]
}

fn host_name() -> impl Strategy<Value = String> {
    let suffixes = [
        "",
        "",
        "amazonaws.com",
        "amazonaws.com.cn",
        "api.aws",
        "c2s.ic.gov",
    ];
    let body = proptest::collection::vec(
        (piece(), proptest::sample::select(vec![".", ".", "-"])),
        0..6,
    );
    (body, proptest::sample::select(suffixes.to_vec())).prop_map(|(pieces, suffix)| {
        let text: String = pieces
            .iter()
            .map(|(piece, joint)| format!("{piece}{joint}"))
            .collect();
        text + suffix
    })
}

fn is_of_model(endpoint: &Endpoint<'_>) -> bool {
    let service = Catalog::embedded().open(endpoint.service()).unwrap();
    let mut templates = service
        .operations
        .iter()
        .filter_map(|operation| operation.host_prefix.as_deref());
    templates.any(|template| match template.split_once('{') {
        Some((before, _)) => endpoint.prefix().starts_with(before),
        None => endpoint.prefix() == template,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn nothing_but_a_known_name_with_a_known_prefix_is_read(host in host_name()) {
        for endpoint in hosts().read(&host).unwrap_or_default() {
            let prefix = endpoint.prefix();
            let name = host.strip_prefix(prefix).unwrap();
            prop_assert!(known_names().contains(name), "{host} was read as {name}");
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            prop_assert!(prefix.bytes().all(plain));
            let explained = prefix.is_empty()
                || endpoint.bucket().is_some()
                || endpoint.access_point("123456789012").is_some()
                || is_of_model(&endpoint);
            prop_assert!(explained, "{host}");
        }
    }

    #[test]
    fn reading_never_fails_on_any_text(host in ".{0,80}") {
        let _read = hosts().read(&host);
    }
}
