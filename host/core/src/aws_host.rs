//! AWS's own host names, read: which service, partition, region and variant an agent addressed that
//! reaches the gateway as a proxy.
//!
//! The names are those that the catalog's endpoint rules make, older names that AWS still serves,
//! and what S3 and the models put before them. A name is looked up from its end, label by label, so
//! that nothing a bucket is called can pass for a service. What is read here only chooses among
//! readings of a request; the destination is built anew by [`crate::destination`].

mod names;
mod table;
mod unserved;

use std::collections::HashMap;
use std::sync::Arc;

use crate::destination::Variant;
use crate::s3_name::{AccessPoint, Kind};

pub(crate) use table::{access_point_host, express_host, multi_region_host};

/// The longest host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// Every host name of AWS that has an API behind it.
#[derive(Debug)]
pub struct AwsHosts {
    /// By host name, with `{region}` and `{zone}` where those go.
    rows: HashMap<String, Vec<Row>>,
    /// The partition of each region.
    regions: HashMap<String, Arc<str>>,
    /// What AWS's names end with.
    suffixes: Vec<String>,
    /// The host prefixes of each service's operations.
    prefixes: HashMap<Arc<str>, Vec<String>>,
}

/// One endpoint of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    service: Arc<str>,
    partition: Arc<str>,
    variant: Variant,
    /// Where the host stands for one region only.
    only: Option<String>,
    /// The region to sign for, where it is not the one in the name.
    home: Option<String>,
    before: Before,
}

/// What may stand before an endpoint's own name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Before {
    /// An access point and its account, and nothing else.
    AccessPoint(Kind),
    /// An account, which only tells AWS where to look; the call names its resources itself.
    Account,
    /// A bucket, or nothing.
    Bucket,
    /// A host prefix of the model, or nothing.
    Prefix,
}

/// One of the services behind a host name.
#[derive(Clone, Debug)]
pub struct Endpoint<'h> {
    prefix: &'h str,
    service: Arc<str>,
    partition: Arc<str>,
    variant: Variant,
    region: Option<String>,
    before: Before,
}

/// Why a host name was not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HostError {
    /// Not AWS's.
    #[error("it is not a host name of AWS")]
    Foreign,
    /// Not a plain lower-case host name.
    #[error("it is not a plain host name in lower case")]
    Malformed,
    /// AWS's, but nothing this gateway can decode calls for; the text says what it is.
    #[error("{0}")]
    Unserved(&'static str),
}

impl AwsHosts {
    /// Reads a host name without a port: which endpoints it is, at least one, the usual variant
    /// first.
    ///
    /// # Errors
    /// [`HostError`] for everything that is not an endpoint of a service in the catalog, with at
    /// most what its operations or S3 put before it.
    pub fn read<'h>(&self, host: &'h str) -> Result<Vec<Endpoint<'h>>, HostError> {
        if !is_plain(host) {
            return Err(HostError::Malformed);
        }
        let mut found = Vec::new();
        for start in starts(host) {
            if let Some((prefix, name)) = host.split_at_checked(start) {
                self.add_endpoints(prefix, name, &mut found);
            }
        }
        if !found.is_empty() {
            // Where one name is several variants, the usual one is asked for.
            found.sort_by_key(|endpoint| {
                let variant = endpoint.variant;
                (variant.is_fips(), variant.is_dual_stack())
            });
            return Ok(found);
        }
        match self.rest(host) {
            Some(rest) => Err(HostError::Unserved(unserved::reason(rest))),
            None => Err(unserved::elsewhere(host)),
        }
    }

    /// Whether a host name, read or not, belongs to AWS: nothing of it is ever passed on blindly.
    #[must_use]
    pub fn is_aws(&self, host: &str) -> bool {
        !matches!(
            self.read(host),
            Err(HostError::Foreign | HostError::Malformed)
        ) || self.suffixes.iter().any(|suffix| suffix == host)
    }

    /// The labels before AWS's own part of the name.
    fn rest<'h>(&self, host: &'h str) -> Option<&'h str> {
        let before = |suffix: &String| host.strip_suffix(suffix.as_str())?.strip_suffix('.');
        self.suffixes
            .iter()
            .filter_map(before)
            .min_by_key(|rest| rest.len())
    }

    fn add_endpoints<'h>(&self, prefix: &'h str, name: &str, found: &mut Vec<Endpoint<'h>>) {
        let zonal = table::with_zone_hole(prefix, name);
        let name = zonal.as_deref().unwrap_or(name);
        self.add_matching(prefix, name, None, found);
        for region in name.split('.') {
            if self.regions.contains_key(region) {
                self.add_matching(prefix, name, Some(region), found);
            }
        }
    }

    fn add_matching<'h>(
        &self,
        prefix: &'h str,
        name: &str,
        region: Option<&str>,
        found: &mut Vec<Endpoint<'h>>,
    ) {
        let rows = match region {
            None => self.rows.get(name),
            Some(region) => self.rows.get(&with_hole(name, region)),
        };
        let fits = |row: &&Row| {
            let partition = region.and_then(|region| self.regions.get(region));
            partition.is_none_or(|partition| *partition == row.partition)
                && (region.is_none() || row.only.is_none() || row.only.as_deref() == region)
                && self.may_precede(prefix, row)
        };
        let rows = rows.into_iter().flatten().filter(fits);
        found.extend(rows.map(|row| Endpoint {
            prefix: match row.before {
                Before::Account => "",
                Before::AccessPoint(_) | Before::Bucket | Before::Prefix => prefix,
            },
            service: row.service.clone(),
            partition: row.partition.clone(),
            variant: row.variant,
            region: row.home.clone().or_else(|| region.map(str::to_owned)),
            before: row.before,
        }));
    }

    fn may_precede(&self, prefix: &str, row: &Row) -> bool {
        let of_model = || {
            let templates = self.prefixes.get(&row.service);
            let mut templates = templates.into_iter().flatten();
            prefix.is_empty() || templates.any(|template| names::fits_prefix(template, prefix))
        };
        match row.before {
            Before::AccessPoint(kind) => AccessPoint::in_host(kind, prefix).is_some(),
            Before::Account => names::is_account(prefix),
            Before::Bucket => prefix.is_empty() || names::is_bucket(prefix),
            Before::Prefix => of_model(),
        }
    }
}

impl<'h> Endpoint<'h> {
    /// What stands before the endpoint's own name, with the dot or dash that ends it; empty if
    /// nothing does.
    #[must_use]
    pub fn prefix(&self) -> &'h str {
        self.prefix
    }

    /// botocore's service name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// e.g. `aws-cn`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region to sign for; none where the name stands for a whole partition.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Which of the service's endpoints it is.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// The bucket that S3's clients put before this endpoint.
    #[must_use]
    pub fn bucket(&self) -> Option<&'h str> {
        match self.before {
            Before::Bucket => self.prefix.strip_suffix('.'),
            Before::AccessPoint(_) | Before::Account | Before::Prefix => None,
        }
    }

    /// The access point before this endpoint, and its account and outpost. The name of a
    /// multi-region one does not tell its account: it is taken for one of `account`.
    #[must_use]
    pub fn access_point(&self, account: &str) -> Option<AccessPoint> {
        match self.before {
            Before::AccessPoint(kind @ Kind::MultiRegion) => {
                Some(AccessPoint::in_host(kind, self.prefix)?.owned(&self.partition, account))
            }
            Before::AccessPoint(kind) => {
                let region = self.region.as_deref()?;
                Some(AccessPoint::in_host(kind, self.prefix)?.located(&self.partition, region))
            }
            Before::Account | Before::Bucket | Before::Prefix => None,
        }
    }
}

/// Labels of letters, digits and dashes; the empty label, and with it a dot at the end, is none.
fn is_plain(host: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    host.len() <= MAX_HOST && host.split('.').all(label)
}

/// Where an endpoint's name may begin: at a label, or within one after a dash, as `data-` does.
fn starts(host: &str) -> impl Iterator<Item = usize> + '_ {
    let after = host
        .bytes()
        .enumerate()
        .filter(|(_, byte)| matches!(byte, b'.' | b'-'))
        .map(|(at, _)| at + 1);
    std::iter::once(0).chain(after)
}

/// The name with a hole for each label that is the region.
fn with_hole(name: &str, region: &str) -> String {
    let labels: Vec<&str> = name
        .split('.')
        .map(|label| if label == region { "{region}" } else { label })
        .collect();
    labels.join(".")
}

#[cfg(test)]
mod tests;
