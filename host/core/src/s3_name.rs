//! What S3's clients may put where a bucket goes: a bucket, or an access point by its ARN, in the
//! path or in the host name.
//!
//! An access point is a resource of its own. Which bucket is behind it, only AWS knows.

use std::fmt;

use crate::directory_bucket;

/// Which service's access point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// S3's own.
    AccessPoint,
    /// Object Lambda's.
    ObjectLambda,
    /// S3 on Outposts'.
    Outpost,
}

/// An access point that S3 takes in place of a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessPoint {
    kind: Kind,
    partition: String,
    region: String,
    account: String,
    name: String,
    outpost: Option<String>,
}

/// Why a name cannot stand where a bucket goes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// An ARN that S3 does not take there.
    #[error("`Bucket` is an ARN, but none of an access point as S3 writes it")]
    Arn,
    /// A multi-region access point.
    #[error(
        "multi-region access points need a signature that this gateway does not make; use an access point of one region"
    )]
    MultiRegion,
}

impl Kind {
    /// The name in ARNs and in the credential scope.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::AccessPoint => "s3",
            Self::ObjectLambda => "s3-object-lambda",
            Self::Outpost => "s3-outposts",
        }
    }

    /// The kind that is signed for as `service`, where it is not S3's own.
    #[must_use]
    pub fn signed_as(service: &str) -> Option<Self> {
        [Self::ObjectLambda, Self::Outpost]
            .into_iter()
            .find(|kind| kind.service() == service)
    }
}

impl AccessPoint {
    /// Reads what stands where a bucket goes; `None` where it is no ARN.
    ///
    /// # Errors
    /// [`NameError`] for other ARNs.
    pub fn parse(bucket: &str) -> Result<Option<Self>, NameError> {
        if !bucket.starts_with("arn:") {
            return Ok(None);
        }
        let mut parts = bucket.splitn(6, ':').skip(1);
        let mut part = || parts.next().ok_or(NameError::Arn);
        let (partition, service, region) = (part()?, part()?, part()?);
        let (account, resource) = (part()?, part()?);
        if region.is_empty() || resource.ends_with(".mrap") {
            return Err(NameError::MultiRegion);
        }
        let named = match (service, resource.split_once('/')) {
            ("s3", Some(("accesspoint", name))) => Some((Kind::AccessPoint, name, None)),
            ("s3-object-lambda", Some(("accesspoint", name))) => {
                Some((Kind::ObjectLambda, name, None))
            }
            ("s3-outposts", Some(("outpost", rest))) => rest
                .split_once("/accesspoint/")
                .map(|(outpost, name)| (Kind::Outpost, name, Some(outpost))),
            _ => None,
        };
        let (kind, name, outpost) = named.ok_or(NameError::Arn)?;
        let legal = is_partition(partition)
            && is_plain(region)
            && is_account(account)
            && is_name(name)
            && outpost.is_none_or(is_outpost);
        legal.then_some(()).ok_or(NameError::Arn)?;
        let mut point = Self::new(kind, (name, account), outpost);
        point.partition = partition.to_owned();
        point.region = region.to_owned();
        Ok(Some(point))
    }

    /// Reads `<name>-<account>.` or, on Outposts, `<name>-<account>.<outpost>.`; partition and
    /// region are in the rest of the host name.
    #[must_use]
    pub fn in_host(kind: Kind, prefix: &str) -> Option<Self> {
        let text = prefix.strip_suffix('.')?;
        let (label, outpost) = match (kind, text.split_once('.')) {
            (Kind::Outpost, Some((label, outpost))) if is_outpost(outpost) => {
                (label, Some(outpost))
            }
            (Kind::AccessPoint | Kind::ObjectLambda, None) => (text, None),
            (Kind::AccessPoint | Kind::ObjectLambda | Kind::Outpost, _) => return None,
        };
        let (name, account) = label.rsplit_once('-')?;
        (is_name(name) && is_account(account)).then(|| Self::new(kind, (name, account), outpost))
    }

    /// The same in a partition and region.
    #[must_use]
    pub fn located(mut self, partition: &str, region: &str) -> Self {
        partition.clone_into(&mut self.partition);
        region.clone_into(&mut self.region);
        self
    }

    fn new(kind: Kind, (name, account): (&str, &str), outpost: Option<&str>) -> Self {
        Self {
            kind,
            partition: String::new(),
            region: String::new(),
            account: account.to_owned(),
            name: name.to_owned(),
            outpost: outpost.map(str::to_owned),
        }
    }

    /// Which service's it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// e.g. `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// e.g. `us-east-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// What AWS's clients put before the endpoint's name, with its dot.
    #[must_use]
    pub fn host_prefix(&self) -> String {
        let label = format!("{}-{}.", self.name, self.account);
        match &self.outpost {
            Some(outpost) => format!("{label}{outpost}."),
            None => label,
        }
    }

    /// The ARN of one object, or with Object Lambda, where objects are no resources, of the access
    /// point.
    #[must_use]
    pub fn object(&self, key: &str) -> String {
        match self.kind {
            Kind::AccessPoint | Kind::Outpost => format!("{self}/object/{key}"),
            Kind::ObjectLambda => self.to_string(),
        }
    }
}

/// The ARN.
impl fmt::Display for AccessPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            name,
            ..
        } = self;
        let service = self.kind.service();
        write!(f, "arn:{partition}:{service}:{region}:{account}:")?;
        if let Some(outpost) = &self.outpost {
            write!(f, "outpost/{outpost}/")?;
        }
        write!(f, "accesspoint/{name}")
    }
}

/// Whether a name is one that S3 is signed for, whatever stands where a bucket goes. All of them
/// sign their path as sent, encoded once (AWS's endpoint rules call it `disableDoubleEncoding`),
/// and bind a body in every way that S3 does.
#[must_use]
pub fn is_signing_name(service: &str) -> bool {
    ["s3", directory_bucket::SIGNING_NAME].contains(&service) || Kind::signed_as(service).is_some()
}

/// Whether a bucket's name is one that AWS gives to access points only. It does not say which one.
#[must_use]
pub fn is_alias(bucket: &str) -> bool {
    ["-s3alias", "--ol-s3", "--op-s3"]
        .iter()
        .any(|end| bucket.ends_with(end))
}

fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && is_plain(text)
}

fn is_plain(text: &str) -> bool {
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(legal) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-restrictions-limitations-naming-rules.html>
fn is_name(text: &str) -> bool {
    (3..=50).contains(&text.len()) && is_plain(text)
}

fn is_outpost(text: &str) -> bool {
    text.len() <= 63 && text.strip_prefix("op-").is_some_and(is_plain)
}
