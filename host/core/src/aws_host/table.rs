//! The table of host names, made from the catalog's endpoint rules.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AwsHosts, Before, Row};
use crate::catalog::{EndpointRule, Entry, Index, Partition, Service};
use crate::destination::Variant;
use crate::directory_bucket::DirectoryBucket;
use crate::s3_name::Kind;

/// Names that AWS served before it settled on `<service>.<region>`, with the region they stand for
/// where they name none. AWS CLI version 1 still prefers those of SQS and RDS.
const LEGACY: [(&str, &str, Option<&str>); 13] = [
    (
        "autoscaling",
        "autoscaling.amazonaws.com",
        Some("us-east-1"),
    ),
    ("ec2", "ec2.amazonaws.com", Some("us-east-1")),
    (
        "elb",
        "elasticloadbalancing.amazonaws.com",
        Some("us-east-1"),
    ),
    (
        "elbv2",
        "elasticloadbalancing.amazonaws.com",
        Some("us-east-1"),
    ),
    ("emr", "elasticmapreduce.amazonaws.com", Some("us-east-1")),
    ("emr", "{region}.elasticmapreduce.{suffix}", None),
    ("cloudwatch", "monitoring.amazonaws.com", Some("us-east-1")),
    ("sqs", "queue.amazonaws.com", Some("us-east-1")),
    ("sqs", "{region}.queue.{suffix}", None),
    ("docdb", "rds.amazonaws.com", Some("us-east-1")),
    ("neptune", "rds.amazonaws.com", Some("us-east-1")),
    ("rds", "rds.amazonaws.com", Some("us-east-1")),
    ("sts", "sts.amazonaws.com", Some("us-east-1")),
];

/// Where the zone of a directory bucket goes.
const ZONE: &str = "{zone}";

/// S3's older names. The global one stands for every region: AWS resolves it by the bucket.
const LEGACY_S3: [(&str, Option<&str>); 2] = [
    ("s3.amazonaws.com", None),
    ("s3-external-1.amazonaws.com", Some("us-east-1")),
];

/// Access points have hosts of their own, which S3's rules make from their ARNs.
const ACCESS_POINTS: [(&str, Kind, Variant); 8] = [
    ("s3-accesspoint", Kind::AccessPoint, Variant::Plain),
    ("s3-accesspoint-fips", Kind::AccessPoint, Variant::Fips),
    (
        "s3-accesspoint.dualstack",
        Kind::AccessPoint,
        Variant::DualStack,
    ),
    (
        "s3-accesspoint-fips.dualstack",
        Kind::AccessPoint,
        Variant::FipsDualStack,
    ),
    ("s3-object-lambda", Kind::ObjectLambda, Variant::Plain),
    ("s3-object-lambda-fips", Kind::ObjectLambda, Variant::Fips),
    ("s3-outposts", Kind::Outpost, Variant::Plain),
    ("s3-outposts-fips", Kind::Outpost, Variant::Fips),
];

/// Names with an account before them, which SDKs prefer once they know the account, of their
/// credentials or of an ARN in the call.
const OF_ACCOUNTS: [(&str, &str); 8] = [
    ("dynamodb", "ddb"),
    ("dynamodb", "search-ddb"),
    ("dynamodbstreams", "streams-ddb"),
    ("eventbridgev2", "eventsv2"),
    ("kinesis", "control-kinesis"),
    ("kinesis", "control-kinesis-queues"),
    ("kinesis", "data-kinesis"),
    ("kinesis", "data-kinesis-queues"),
];

/// The host that a kind of access point hangs under, if there is such a variant.
pub(crate) fn access_point_host(
    kind: Kind,
    variant: Variant,
    region: &str,
    suffix: &str,
) -> Option<String> {
    let mut known = ACCESS_POINTS.iter();
    let (label, ..) = known.find(|(_, own, of)| (*own, *of) == (kind, variant))?;
    Some(format!("{label}.{region}.{suffix}"))
}

/// The host of S3 Express: a zone's, or the region's control endpoint.
pub(crate) fn express_host(
    zone: Option<&str>,
    variant: Variant,
    region: &str,
    suffix: &str,
) -> String {
    let fips = if variant.is_fips() { "-fips" } else { "" };
    let dual_stack = if variant.is_dual_stack() {
        ".dualstack"
    } else {
        ""
    };
    match zone {
        Some(zone) => format!("s3express{fips}-{zone}{dual_stack}.{region}.{suffix}"),
        None => format!("s3express-control{fips}{dual_stack}.{region}.{suffix}"),
    }
}

/// A zone's host name with `{zone}` in its place, if the bucket before it is of that very zone.
pub(super) fn with_zone_hole(prefix: &str, name: &str) -> Option<String> {
    let bucket = DirectoryBucket::parse(prefix.strip_suffix('.')?)?;
    let (label, rest) = name.split_once('.')?;
    let label = label.strip_suffix(bucket.zone())?;
    let express = ["s3express-", "s3express-fips-"].contains(&label);
    express.then(|| format!("{label}{ZONE}.{rest}"))
}

/// The host that multi-region access points hang under.
pub(crate) fn multi_region_host(suffix: &str) -> String {
    format!("accesspoint.s3-global.{suffix}")
}

impl AwsHosts {
    /// Makes the table; `services` are read one after the other and not kept.
    pub(crate) fn new<'c>(
        index: &Index,
        services: impl Iterator<Item = (&'c Entry, Service)>,
    ) -> Self {
        let mut hosts = Self {
            rows: HashMap::new(),
            regions: HashMap::new(),
            suffixes: Vec::new(),
            prefixes: HashMap::new(),
        };
        for partition in &index.partitions {
            hosts.partition(partition);
        }
        let mut usual = Vec::new();
        for (entry, service) in services {
            hosts.service(&service);
            usual.extend(usual_names(entry, &service, &index.partitions));
        }
        usual.retain(|(host, row)| !hosts.has(host, &row.partition));
        for (host, row) in usual {
            hosts.push(&host, row);
        }
        hosts.legacy(&index.partitions);
        hosts.s3(&index.partitions);
        hosts.accounts(&index.partitions);
        hosts
    }

    fn partition(&mut self, partition: &Partition) {
        let name: Arc<str> = partition.name.as_str().into();
        for region in &partition.regions {
            self.regions.insert(region.clone(), name.clone());
        }
        for suffix in [&partition.dns_suffix, &partition.dual_stack_dns_suffix] {
            if !self.suffixes.contains(suffix) {
                self.suffixes.push(suffix.clone());
            }
        }
    }

    fn service(&mut self, service: &Service) {
        let name: Arc<str> = service.name.as_str().into();
        let templates = service.operations.iter();
        let mut templates: Vec<String> = templates
            .filter_map(|operation| operation.host_prefix.clone())
            .collect();
        templates.sort_unstable();
        templates.dedup();
        if !templates.is_empty() {
            self.prefixes.insert(name.clone(), templates);
        }
        let rules = &service.endpoints;
        for rule in rules.defaults.iter().chain(&rules.exceptions) {
            self.rule(&name, rule);
        }
    }

    fn rule(&mut self, service: &Arc<str>, rule: &EndpointRule) {
        if rule.host.is_empty() {
            return;
        }
        let holed = rule.host.split('.').any(|label| label == "{region}");
        let region = rule.region.clone();
        let row = Row {
            service: service.clone(),
            partition: rule.partition.as_str().into(),
            variant: Variant::of(rule),
            only: region.clone().filter(|_| holed),
            home: rule.signing_region.clone().or(region.filter(|_| !holed)),
            before: before(service, &rule.host),
        };
        self.push(&rule.host, row);
    }

    fn has(&self, host: &str, partition: &str) -> bool {
        let rows = self.rows.get(host).into_iter().flatten();
        rows.into_iter().any(|row| *row.partition == *partition)
    }

    fn legacy(&mut self, partitions: &[Partition]) {
        for (service, host, home) in LEGACY {
            for partition in partitions {
                if home.is_some() && partition.name != "aws" {
                    continue;
                }
                let host = host.replace("{suffix}", &partition.dns_suffix);
                self.push(&host, Row::usual(service, &partition.name, home));
            }
        }
    }

    fn s3(&mut self, partitions: &[Partition]) {
        let bucket = |row| Row {
            before: Before::Bucket,
            ..row
        };
        for (host, home) in LEGACY_S3 {
            self.push(host, bucket(Row::usual("s3", "aws", home)));
        }
        for partition in partitions {
            let suffix = &partition.dns_suffix;
            for region in &partition.regions {
                let row = bucket(Row::usual("s3", &partition.name, Some(region)));
                self.push(&format!("s3-{region}.{suffix}"), row);
            }
            for (fips, dual_stack) in [(false, false), (false, true), (true, false), (true, true)] {
                let variant = Variant::new(fips, dual_stack);
                let row = Row {
                    variant,
                    ..Row::usual("s3", &partition.name, None)
                };
                let host = |zone| express_host(zone, variant, "{region}", suffix);
                self.push(&host(None), row.clone());
                self.push(&host(Some(ZONE)), bucket(row));
            }
            let row = Row {
                before: Before::AccessPoint(Kind::MultiRegion),
                ..Row::usual("s3", &partition.name, None)
            };
            self.push(&multi_region_host(suffix), row);
            for (label, kind, variant) in ACCESS_POINTS {
                let row = Row {
                    variant,
                    before: Before::AccessPoint(kind),
                    ..Row::usual("s3", &partition.name, None)
                };
                self.push(&format!("{label}.{{region}}.{suffix}"), row);
            }
        }
    }

    fn accounts(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            for (service, label) in OF_ACCOUNTS {
                for (end, fips) in [("", false), ("-fips", true)] {
                    for (suffix, dual_stack) in [
                        (&partition.dns_suffix, false),
                        (&partition.dual_stack_dns_suffix, true),
                    ] {
                        let row = Row {
                            variant: Variant::new(fips, dual_stack),
                            before: Before::Account,
                            ..Row::usual(service, &partition.name, None)
                        };
                        self.push(&format!("{label}{end}.{{region}}.{suffix}"), row);
                    }
                }
            }
        }
    }

    fn push(&mut self, host: &str, row: Row) {
        let rows = self.rows.entry(host.to_owned()).or_default();
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
}

impl Row {
    fn usual(service: &str, partition: &str, home: Option<&str>) -> Self {
        Self {
            service: service.into(),
            partition: partition.into(),
            variant: Variant::Plain,
            only: None,
            home: home.map(str::to_owned),
            before: Before::Prefix,
        }
    }
}

/// `<service>.<region>.<suffix>`, which AWS keeps for regional services whose rules prefer another
/// name.
fn usual_names(entry: &Entry, service: &Service, partitions: &[Partition]) -> Vec<(String, Row)> {
    let regional = |partition: &&Partition| {
        let mut rules = service.endpoints.defaults.iter();
        rules.any(|rule| {
            rule.partition == partition.name
                && rule.host.contains("{region}")
                && Variant::of(rule) == Variant::Plain
        })
    };
    let name = |partition: &Partition| {
        let host = format!(
            "{}.{{region}}.{}",
            entry.endpoint_prefix, partition.dns_suffix
        );
        (host, Row::usual(&entry.name, &partition.name, None))
    };
    partitions.iter().filter(regional).map(name).collect()
}

fn before(service: &str, host: &str) -> Before {
    match service {
        "s3" if !host.starts_with("s3-object-lambda") => Before::Bucket,
        _ => Before::Prefix,
    }
}
