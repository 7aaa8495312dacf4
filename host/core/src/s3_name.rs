//! What S3's clients may put where a bucket goes: a bucket, or an access point by its ARN, in the
//! path or in the host name.
//!
//! An access point is a resource of its own. Which bucket is behind it, only AWS knows.

use std::fmt;

use crate::directory_bucket;
/// What ends the alias of every multi-region access point, and no bucket's name.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const MULTI_REGION: &str = ".mrap";

/// Which service's access point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// S3's own.
    AccessPoint,
    /// S3's own over several regions.
    MultiRegion,
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
    /// None of a multi-region one.
    region: Option<String>,
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
    /// The name of a multi-region access point instead of its ARN.
    #[error(
        "`Bucket` ends in `.mrap`, which no bucket does: name a multi-region access point by its ARN, `arn:aws:s3::<account>:accesspoint/<alias>.mrap`"
    )]
    MultiRegion,
}

impl Kind {
    /// The name in ARNs and in the credential scope.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::AccessPoint | Self::MultiRegion => "s3",
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
            return match bucket.ends_with(MULTI_REGION) {
                true => Err(NameError::MultiRegion),
                false => Ok(None),
            };
        }
        let mut parts = bucket.splitn(6, ':').skip(1);
        let mut part = || parts.next().ok_or(NameError::Arn);
        let (partition, service, region) = (part()?, part()?, part()?);
        let (account, resource) = (part()?, part()?);
        let named = match (service, resource.split_once('/')) {
            ("s3", Some(("accesspoint", name))) if region.is_empty() => {
                Some((Kind::MultiRegion, name, None))
            }
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
        let multi_region = kind == Kind::MultiRegion;
        let legal = is_partition(partition)
            && (is_plain(region) || multi_region)
            && is_account(account)
            && (if multi_region {
                is_multi_region(name)
            } else {
                is_name(name)
            })
            && outpost.is_none_or(is_outpost);
        legal.then_some(()).ok_or(NameError::Arn)?;
        let mut point = Self::new(kind, (name, account), outpost);
        point.partition = partition.to_owned();
        point.region = (!multi_region).then(|| region.to_owned());
        Ok(Some(point))
    }

    /// Reads `<name>-<account>.` or, on Outposts, `<name>-<account>.<outpost>.`; partition and
    /// region are in the rest of the host name. Of a multi-region access point there is only its
    /// alias, `<alias>.mrap.`, and no account anywhere in the name.
    #[must_use]
    pub fn in_host(kind: Kind, prefix: &str) -> Option<Self> {
        let text = prefix.strip_suffix('.')?;
        if kind == Kind::MultiRegion {
            return is_multi_region(text).then(|| Self::new(kind, (text, ""), None));
        }
        let (label, outpost) = match (kind, text.split_once('.')) {
            (Kind::Outpost, Some((label, outpost))) if is_outpost(outpost) => {
                (label, Some(outpost))
            }
            (Kind::AccessPoint | Kind::ObjectLambda, None) => (text, None),
            (Kind::AccessPoint | Kind::MultiRegion | Kind::ObjectLambda | Kind::Outpost, _) => {
                return None;
            }
        };
        let (name, account) = label.rsplit_once('-')?;
        (is_name(name) && is_account(account)).then(|| Self::new(kind, (name, account), outpost))
    }

    /// The same in a partition and region.
    #[must_use]
    pub fn located(mut self, partition: &str, region: &str) -> Self {
        partition.clone_into(&mut self.partition);
        self.region = Some(region.to_owned());
        self
    }

    /// The same in a partition's account.
    #[must_use]
    pub fn owned(mut self, partition: &str, account: &str) -> Self {
        partition.clone_into(&mut self.partition);
        account.clone_into(&mut self.account);
        self
    }

    fn new(kind: Kind, (name, account): (&str, &str), outpost: Option<&str>) -> Self {
        Self {
            kind,
            partition: String::new(),
            region: None,
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

    /// e.g. `us-east-1`; none of a multi-region one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What AWS's clients put before the endpoint's name, with its dot.
    #[must_use]
    pub fn host_prefix(&self) -> String {
        if self.kind == Kind::MultiRegion {
            return format!("{}.", self.name);
        }
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
            Kind::AccessPoint | Kind::MultiRegion | Kind::Outpost => format!("{self}/object/{key}"),
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
        let region = region.as_deref().unwrap_or_default();
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

/// What S3 makes up: letters and digits.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/multi-region-access-point-naming.html>
fn is_multi_region(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.strip_suffix(MULTI_REGION)
        .is_some_and(|alias| (1..=50).contains(&alias.len()) && alias.bytes().all(legal))
}

fn is_outpost(text: &str) -> bool {
    text.len() <= 63 && text.strip_prefix("op-").is_some_and(is_plain)
}
