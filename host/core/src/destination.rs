//! Where a call is sent and what it is signed for, built from the catalog alone.
//!
//! Nothing an agent sends chooses a host: the region must be one of the partition's, a host prefix
//! must fit the operation's own template label by label, and a bucket becomes a label only if it
//! could be nothing else. A [`Destination`] has no public constructor but these.

use crate::aws_host::{access_point_host, express_host, multi_region_host};
use crate::catalog::{Catalog, EndpointRule, Entry, Operation, Partition, Service};
use crate::directory_bucket::{DirectoryBucket, SIGNING_NAME, is_regional};
use crate::s3_name::{AccessPoint, Kind};

/// A host that the model names, and the credential scope it wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination {
    host: String,
    signing_region: String,
    signing_name: String,
    addressing: Addressing,
}

/// What a destination is built from.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// botocore's service name.
    pub service: &'a str,
    /// The operation's name.
    pub operation: &'a str,
    /// The connection's partition.
    pub partition: &'a str,
    /// The call's region.
    pub region: &'a str,
    /// Which of the service's endpoints.
    pub variant: Variant,
}

/// The four endpoints a service may have in a region.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Variant {
    /// IPv6 as well as IPv4.
    DualStack,
    /// FIPS 140 validated.
    Fips,
    /// Both.
    FipsDualStack,
    /// The usual one.
    #[default]
    Plain,
}

impl Variant {
    /// Whether it is FIPS 140 validated.
    #[must_use]
    pub fn is_fips(self) -> bool {
        matches!(self, Self::Fips | Self::FipsDualStack)
    }

    /// Whether it has IPv6 as well as IPv4.
    #[must_use]
    pub fn is_dual_stack(self) -> bool {
        matches!(self, Self::DualStack | Self::FipsDualStack)
    }
}

/// A host that is in no region: what is sent there is signed for a set of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Regionless {
    host: String,
}

impl Regionless {
    /// Builds the destination of a call to a multi-region access point, named by its ARN.
    /// `variant` is what was asked for; there is only the usual one.
    ///
    /// # Errors
    /// [`DestinationError::Bucket`] for any other name, and for one of another partition;
    /// [`DestinationError::MultiRegionVariant`].
    pub fn s3(
        catalog: &Catalog,
        partition: &str,
        bucket: &str,
        variant: Variant,
    ) -> Result<Self, DestinationError> {
        let unnamed = || DestinationError::Bucket(bucket.to_owned());
        let point = AccessPoint::parse(bucket).ok().flatten();
        let point = point
            .filter(|point| point.kind() == Kind::MultiRegion && point.partition() == partition)
            .ok_or_else(unnamed)?;
        if variant != Variant::Plain {
            return Err(DestinationError::MultiRegionVariant);
        }
        let mut partitions = catalog.index().partitions.iter();
        let own = partitions.find(|own| own.name == partition);
        let host = multi_region_host(&own.ok_or_else(unnamed)?.dns_suffix);
        Ok(Self {
            host: format!("{}{host}", point.host_prefix()),
        })
    }

    /// The host name, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Where S3's bucket is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// In the path, or nowhere.
    Path,
    /// As the first label of the host.
    VirtualHost,
}

/// Why there is no destination.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationError {
    /// A bucket name that S3 does not allow, or one that needs another kind of endpoint.
    #[error("bucket `{0}` cannot be addressed through this gateway")]
    Bucket(String),
    /// The prefix is not what the operation's template makes.
    #[error("the host prefix of `{0}` is not a valid host label")]
    HostPrefix(String),
    /// Multi-region access points have the usual endpoint only.
    #[error("multi-region access points have neither a FIPS nor a dual-stack endpoint")]
    MultiRegionVariant,
    /// AWS has no such endpoint.
    #[error("AWS has no such endpoint of `{service}` in region `{region}`")]
    NoEndpoint {
        /// botocore's service name.
        service: String,
        /// The region asked for.
        region: String,
    },
    /// Not an operation of the service.
    #[error("`{0}` is not in the service catalog")]
    Unknown(String),
    /// Not a region of the partition.
    #[error("partition `{partition}` has no region `{region}`")]
    UnknownRegion {
        /// The connection's partition.
        partition: String,
        /// The region asked for.
        region: String,
    },
}

impl Destination {
    /// Builds the destination of a call.
    ///
    /// `host_prefix` is the operation's template with the members filled in; it must be given if
    /// and only if the operation has one.
    ///
    /// # Errors
    /// [`DestinationError`] unless everything is in the catalog and fits.
    pub fn build(
        catalog: &Catalog,
        target: &Target<'_>,
        host_prefix: Option<&str>,
    ) -> Result<Self, DestinationError> {
        let unknown = || DestinationError::Unknown(target.service.to_owned());
        let entry = catalog.by_name(target.service).ok_or_else(unknown)?;
        let service = catalog.service(target.service).ok_or_else(unknown)?;
        let operation = service
            .operation(target.operation)
            .ok_or_else(|| DestinationError::Unknown(target.operation.to_owned()))?;
        check_region(&catalog.index().partitions, target)?;
        let prefix = checked_prefix(operation, host_prefix)?;
        let rule = rule(&service, operation, target)?;
        let destination = Self::from_rule(rule, entry, target, prefix);
        if (target.service, target.operation) == ("s3", "ListDirectoryBuckets") {
            return destination.express(catalog, target, None);
        }
        Ok(destination)
    }

    /// Builds the destination of a call on an S3 bucket: the bucket is the first label where that
    /// is a DNS label without dots (AWS's certificate covers one label), and in the path otherwise.
    /// An access point, named by its ARN, and a directory bucket have hosts of their own.
    ///
    /// # Errors
    /// [`DestinationError::Bucket`] if no bucket or access point can have that name; else as [`Self::build`].
    pub fn s3(
        catalog: &Catalog,
        target: &Target<'_>,
        bucket: &str,
    ) -> Result<Self, DestinationError> {
        let unnamed = || DestinationError::Bucket(bucket.to_owned());
        let mut destination = Self::build(catalog, target, None)?;
        if let Some(point) = AccessPoint::parse(bucket).map_err(|_| unnamed())? {
            return destination.at(catalog, target, &point);
        }
        if let Some(bucket) = DirectoryBucket::parse(bucket) {
            return destination.express(catalog, target, Some(bucket));
        }
        if !is_bucket(bucket) {
            return Err(unnamed());
        }
        if is_virtual_hostable(bucket) {
            destination.host = format!("{bucket}.{}", destination.host);
            destination.addressing = Addressing::VirtualHost;
        }
        Ok(destination)
    }

    fn at(
        self,
        catalog: &Catalog,
        target: &Target<'_>,
        point: &AccessPoint,
    ) -> Result<Self, DestinationError> {
        let here = point.partition() == target.partition && point.region() == Some(target.region);
        if !here {
            return Err(DestinationError::Bucket(point.to_string()));
        }
        let host = dns_suffix(catalog, target).and_then(|suffix| {
            access_point_host(point.kind(), target.variant, target.region, suffix)
        });
        let host = host.ok_or_else(|| DestinationError::NoEndpoint {
            service: point.kind().service().to_owned(),
            region: target.region.to_owned(),
        })?;
        Ok(Self {
            host: format!("{}{host}", point.host_prefix()),
            signing_name: point.kind().service().to_owned(),
            addressing: Addressing::VirtualHost,
            ..self
        })
    }

    /// The endpoint of a directory bucket's zone, or the region's for what is about buckets
    /// themselves.
    fn express(
        self,
        catalog: &Catalog,
        target: &Target<'_>,
        bucket: Option<DirectoryBucket<'_>>,
    ) -> Result<Self, DestinationError> {
        let suffix = dns_suffix(catalog, target)
            .ok_or_else(|| DestinationError::Unknown(target.partition.to_owned()))?;
        let zonal = bucket.filter(|_| !is_regional(target.operation));
        let zone = zonal.map(DirectoryBucket::zone);
        let host = express_host(zone, target.variant, target.region, suffix);
        Ok(Self {
            host: zonal.map_or(host.clone(), |bucket| format!("{}.{host}", bucket.name())),
            signing_region: target.region.to_owned(),
            signing_name: SIGNING_NAME.to_owned(),
            addressing: zonal.map_or(Addressing::Path, |_| Addressing::VirtualHost),
        })
    }

    fn from_rule(rule: &EndpointRule, entry: &Entry, target: &Target<'_>, prefix: &str) -> Self {
        let signing_region = rule.signing_region.as_deref().unwrap_or(target.region);
        let signing_name = rule.signing_name.as_ref().unwrap_or(&entry.signing_name);
        Self {
            host: format!("{prefix}{}", rule.host.replace("{region}", target.region)),
            signing_region: signing_region.to_owned(),
            signing_name: signing_name.clone(),
            addressing: Addressing::Path,
        }
    }

    /// The host name, without a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The region of the credential scope: not the call's for global services.
    pub fn signing_region(&self) -> &str {
        &self.signing_region
    }

    /// The service of the credential scope.
    pub fn signing_name(&self) -> &str {
        &self.signing_name
    }

    /// Where S3's bucket is to be written.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }
}

impl Variant {
    /// The variant that a rule is for.
    pub(crate) fn of(rule: &EndpointRule) -> Self {
        Self::new(rule.fips, rule.dual_stack)
    }

    pub(crate) fn new(fips: bool, dual_stack: bool) -> Self {
        match (fips, dual_stack) {
            (false, false) => Self::Plain,
            (false, true) => Self::DualStack,
            (true, false) => Self::Fips,
            (true, true) => Self::FipsDualStack,
        }
    }

    /// What either asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::new(
            self.is_fips() || other.is_fips(),
            self.is_dual_stack() || other.is_dual_stack(),
        )
    }

    fn is(self, rule: &EndpointRule) -> bool {
        self == Self::of(rule)
    }
}

fn dns_suffix<'c>(catalog: &'c Catalog, target: &Target<'_>) -> Option<&'c str> {
    let mut partitions = catalog.index().partitions.iter();
    let own = partitions.find(|partition| partition.name == target.partition)?;
    Some(&own.dns_suffix)
}

fn check_region(partitions: &[Partition], target: &Target<'_>) -> Result<(), DestinationError> {
    let known = partitions.iter().any(|partition| {
        partition.name == target.partition
            && partition
                .regions
                .iter()
                .any(|region| region == target.region)
    });
    known
        .then_some(())
        .ok_or_else(|| DestinationError::UnknownRegion {
            partition: target.partition.to_owned(),
            region: target.region.to_owned(),
        })
}

fn rule<'s>(
    service: &'s Service,
    operation: &Operation,
    target: &Target<'_>,
) -> Result<&'s EndpointRule, DestinationError> {
    let fits = |rule: &&EndpointRule| {
        rule.class == operation.endpoint_class
            && rule.partition == target.partition
            && target.variant.is(rule)
    };
    let here = |rule: &&EndpointRule| fits(rule) && rule.region.as_deref() == Some(target.region);
    let exception = service.endpoints.exceptions.iter().find(here);
    let found = exception.or_else(|| service.endpoints.defaults.iter().find(fits));
    found
        .filter(|rule| !rule.host.is_empty())
        .ok_or_else(|| DestinationError::NoEndpoint {
            service: target.service.to_owned(),
            region: target.region.to_owned(),
        })
}

/// The prefix, if it is the operation's template with one host label (RFC 1123 §2.1) in each hole.
fn checked_prefix<'p>(
    operation: &Operation,
    prefix: Option<&'p str>,
) -> Result<&'p str, DestinationError> {
    match (operation.host_prefix.as_deref(), prefix) {
        (None, None) => Some(""),
        (Some(template), Some(prefix)) => fits_template(template, prefix).then_some(prefix),
        (Some(_), None) | (None, Some(_)) => None,
    }
    .ok_or_else(|| DestinationError::HostPrefix(operation.name.clone()))
}

fn fits_template(template: &str, prefix: &str) -> bool {
    let Some((literal, rest)) = template.split_once('{') else {
        return prefix == template;
    };
    let Some((_, template)) = rest.split_once('}') else {
        return false;
    };
    let Some(prefix) = prefix.strip_prefix(literal) else {
        return false;
    };
    let end = prefix
        .find(|letter: char| !is_label_char(letter))
        .unwrap_or(prefix.len());
    let (value, prefix) = prefix.split_at(end);
    is_label(value) && fits_template(template, prefix)
}

fn is_label_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-'
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.chars().all(is_label_char)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>, with the names
/// from before 2018 that only path style reaches. Directory buckets and Outposts live on other
/// hosts.
fn is_bucket(bucket: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    (3..=255).contains(&bucket.len())
        && bucket.chars().all(legal)
        && bucket.chars().any(|letter| letter.is_ascii_alphanumeric())
        && !bucket.contains("..")
        && !bucket.ends_with("--x-s3")
        && !bucket.ends_with("--op-s3")
        && !bucket.ends_with(".mrap")
}

fn is_virtual_hostable(bucket: &str) -> bool {
    is_label(bucket) && !bucket.chars().any(|letter| letter.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
