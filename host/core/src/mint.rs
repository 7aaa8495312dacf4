//! Artefacts that work outside the gateway: presigned URLs, EKS and RDS tokens, ECR logins. Asked
//! for under `/_portcullis/mint/`, judged like any call, and made by `host` only then.
//!
//! An [`Order`] becomes a [`Call`] to service `portcullis` with two IAM actions at least: the
//! minting itself, `portcullis:Mint…`, and what the artefact stands for. A policy that permits
//! only the latter does not permit the former.

use serde::Deserialize;

use crate::call::{AccessLevel, Action, Call, Value};
use crate::catalog::{Catalog, Protocol};
use crate::destination::{Addressing, Variant};
use crate::interpret::{self, Hypothetical, Place};
use crate::refusal::Refusal;
use crate::sigv4::{Payload, VerifiedRequest};

/// What a request to mint is signed for, and the service of its call.
pub const SERVICE: &str = "portcullis";
/// What the path of such a request starts with.
pub const PATH: &str = "/_portcullis/mint/";

/// AWS's own ceiling for a presigned URL, in seconds.
const MAX_EXPIRES: u32 = 604_800;
const DEFAULT_EXPIRES: u32 = 900;

/// What is to be minted, well-formed and not yet permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// A password for `docker login`.
    EcrLogin,
    /// A bearer token for a Kubernetes API.
    EksToken {
        /// The cluster's name.
        cluster: String,
    },
    /// A URL for one object.
    PresignedUrl(PresignedUrl),
    /// A password for a database.
    RdsToken {
        /// The database's host name.
        host: String,
        /// Its port.
        port: u16,
        /// The database user.
        user: String,
    },
}

/// A URL for one object and one method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PresignedUrl {
    /// What it is good for.
    pub method: UrlMethod,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The seconds asked for.
    pub expires: u32,
}

/// What a presigned URL is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum UrlMethod {
    /// Reading the object.
    Get,
    /// Writing it.
    Put,
}

impl UrlMethod {
    /// The HTTP method.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }

    /// S3's operation.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Put => "PutObject",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Eks {
    cluster: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presign {
    bucket: String,
    key: String,
    #[serde(default = "get")]
    method: UrlMethod,
    #[serde(default = "default_expires")]
    expires: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rds {
    host: String,
    port: u16,
    user: String,
}

impl Order {
    /// Reads a verified request to mint; `None` for a request to any other path.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] for another signing name or kind, [`Refusal::Ambiguous`] with a
    /// query, [`Refusal::InvalidInput`] for a body that is not what the kind takes.
    pub fn of(request: &VerifiedRequest) -> Result<Option<Self>, Refusal> {
        let head = request.head();
        let Some(kind) = head.path.strip_prefix(PATH) else {
            return Ok(None);
        };
        if request.scope().service != SERVICE {
            return Err(Refusal::Unsupported(format!(
                "a request to mint must be signed for service `{SERVICE}`"
            )));
        }
        if head.query.is_some() {
            return Err(Refusal::Ambiguous("a query string".to_owned()));
        }
        let Payload::Whole(body) = request.payload() else {
            return Err(Refusal::Unsupported(
                "the body cannot be streamed".to_owned(),
            ));
        };
        Self::parse(kind, body).map(Some)
    }

    fn parse(kind: &str, body: &[u8]) -> Result<Self, Refusal> {
        match kind {
            "ecr" => read::<Nothing>(body).map(|Nothing {}| Self::EcrLogin),
            "eks" => read::<Eks>(body)?.order(),
            "presign" => read::<Presign>(body)?.order(),
            "rds" => read::<Rds>(body)?.order(),
            _ => Err(Refusal::Unsupported(
                "only `ecr`, `eks`, `presign` and `rds` can be minted".to_owned(),
            )),
        }
    }

    /// The call it stands for, in the region of the request's scope.
    ///
    /// # Errors
    /// [`Refusal::InvalidInput`] for a region the partition does not have.
    pub fn call(
        &self,
        catalog: &Catalog,
        request: &VerifiedRequest,
        place: &Place,
    ) -> Result<Call, Refusal> {
        let region = request.scope().reach.region().ok_or_else(|| {
            Refusal::Unsupported(
                "a request to mint is signed for one region, with Signature Version 4".to_owned(),
            )
        })?;
        interpret::check_region(catalog, region, place)?;
        let stands_for = self.stands_for(catalog, region, place)?;
        let minting = stands_for.iter().map(|action| Action {
            name: format!("{SERVICE}:{}", self.operation()),
            resource: action.resource.clone(),
            access: AccessLevel::Permissions,
        });
        let mut actions: Vec<Action> = minting.collect();
        actions.dedup();
        actions.extend(stands_for);
        Ok(Call {
            service: SERVICE.to_owned(),
            operation: self.operation().to_owned(),
            protocol: Protocol::RestJson,
            partition: place.partition.clone(),
            reach: region.into(),
            account: place.account.clone(),
            params: self.params(),
            actions,
            host_prefix: None,
            signing_name: SERVICE.to_owned(),
            variant: Variant::Plain,
            addressing: Addressing::Path,
            embedded: None,
            unmodelled: Vec::new(),
        })
    }

    /// The operation's name in policies and records.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::EcrLogin => "MintEcrLogin",
            Self::EksToken { .. } => "MintEksToken",
            Self::PresignedUrl(_) => "MintPresignedUrl",
            Self::RdsToken { .. } => "MintRdsToken",
        }
    }

    fn stands_for(
        &self,
        catalog: &Catalog,
        region: &str,
        place: &Place,
    ) -> Result<Vec<Action>, Refusal> {
        let arn = |service: &str, resource: &str| {
            let (partition, account) = (&place.partition, &place.account);
            format!("arn:{partition}:{service}:{region}:{account}:{resource}")
        };
        let one = |name: &str, resource: String, access| Action {
            name: name.to_owned(),
            resource,
            access,
        };
        let (service, operation, params) = match self {
            Self::EcrLogin => ("ecr", "GetAuthorizationToken", serde_json::json!({})),
            Self::EksToken { cluster } => {
                let resource = arn("eks", &format!("cluster/{cluster}"));
                let name = "eks:AccessKubernetesApi";
                return Ok(vec![one(name, resource, AccessLevel::Read)]);
            }
            Self::PresignedUrl(url) => {
                let params = serde_json::json!({"Bucket": url.bucket, "Key": url.key});
                ("s3", url.method.operation(), params)
            }
            // AWS's name of the resource holds an id that only RDS knows.
            Self::RdsToken { user, .. } => {
                let resource = arn("rds-db", &format!("dbuser:*/{user}"));
                return Ok(vec![one("rds-db:connect", resource, AccessLevel::Write)]);
            }
        };
        let reach = region.into();
        let wanted = Hypothetical {
            service,
            operation,
            reach: &reach,
            params: &params,
        };
        interpret::actions_of(catalog, &wanted, place)
    }

    fn params(&self) -> Value {
        let text = |name: &str, value: &str| (name.to_owned(), Value::String(value.to_owned()));
        let number = |name: &str, value: u32| (name.to_owned(), Value::Integer(value.into()));
        Value::Structure(match self {
            Self::EcrLogin => Vec::new(),
            Self::EksToken { cluster } => vec![text("Cluster", cluster)],
            Self::PresignedUrl(url) => vec![
                text("Bucket", &url.bucket),
                number("Expires", url.expires),
                text("Key", &url.key),
                text("Method", url.method.as_str()),
            ],
            Self::RdsToken { host, port, user } => vec![
                text("Host", host),
                number("Port", (*port).into()),
                text("User", user),
            ],
        })
    }
}

impl Eks {
    /// The names EKS allows.
    fn order(self) -> Result<Order, Refusal> {
        let good = (1..=100).contains(&self.cluster.len())
            && self
                .cluster
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let cluster = self.cluster;
        if good {
            Ok(Order::EksToken { cluster })
        } else {
            Err(Refusal::InvalidInput(
                "`cluster` is not the name of a cluster".to_owned(),
            ))
        }
    }
}

impl Presign {
    fn order(self) -> Result<Order, Refusal> {
        let bad = |what: &str| Err(Refusal::InvalidInput(what.to_owned()));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if self.bucket.is_empty() || !self.bucket.bytes().all(letter) {
            return bad("`bucket` must be the name of a bucket");
        }
        if self.key.is_empty() || self.key.len() > 1024 {
            return bad("`key` must have 1 to 1024 bytes");
        }
        // Clients that are handed a URL fold such segments away, and then it names another object.
        if self
            .key
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return bad("a key with empty or dot segments cannot be presigned");
        }
        if !(1..=MAX_EXPIRES).contains(&self.expires) {
            return bad("`expires` must be 1 to 604800 seconds");
        }
        Ok(Order::PresignedUrl(PresignedUrl {
            method: self.method,
            bucket: self.bucket,
            key: self.key,
            expires: self.expires,
        }))
    }
}

impl Rds {
    fn order(self) -> Result<Order, Refusal> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let host = self.host.len() <= 253 && self.host.split('.').all(label);
        let user = (1..=128).contains(&self.user.len())
            && self
                .user
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte));
        if !host || !user || self.port == 0 {
            return Err(Refusal::InvalidInput(
                "`host` must be a host name, `port` a port and `user` a database user of letters, digits and any of _.@-"
                    .to_owned(),
            ));
        }
        Ok(Order::RdsToken {
            host: self.host,
            port: self.port,
            user: self.user,
        })
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::InvalidInput(format!("the order cannot be read: {error}")))
}

fn get() -> UrlMethod {
    UrlMethod::Get
}

fn default_expires() -> u32 {
    DEFAULT_EXPIRES
}

#[cfg(test)]
mod tests;
