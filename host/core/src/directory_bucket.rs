//! S3 Express: directory buckets, whose names end in `--x-s3`, have hosts and a signing name of
//! their own, and SDKs use them with sessions that `CreateSession` hands out as credentials.
//!
//! AWS's sessions never reach an agent. The gateway answers `CreateSession` with credentials of its
//! own that are good for that bucket, and decides every call that is made with them. What it sends
//! is signed with the role, as AWS lets clients do that have switched sessions off.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-s3-express.html>

use quick_xml::escape::escape;
use time::Duration;

use crate::call::{Action, Call, Value};
use crate::refusal::Refusal;
use crate::sts::timestamp;
use crate::token::GatewayCredentials;

/// What requests for directory buckets are signed for.
pub const SIGNING_NAME: &str = "s3express";
/// The header, and the parameter of presigned URLs, that carries a session's token.
pub const SESSION_TOKEN: &str = "x-amz-s3session-token";
/// How long a session lasts: AWS's five minutes.
pub const LIFETIME: Duration = Duration::minutes(5);

/// What ends every directory bucket's name, and no other's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html>
const SUFFIX: &str = "--x-s3";
/// The same for access points of directory buckets.
const POINT_SUFFIX: &str = "--xa-s3";
/// AWS's limit for bucket names, in characters.
const LONGEST: usize = 63;
/// What a read-only session may call.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html>
const READ_ONLY: [&str; 7] = [
    "GetObject",
    "GetObjectAttributes",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectsV2",
    "ListParts",
];

/// The name of a directory bucket: `<name>--<zone id>--x-s3`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DirectoryBucket<'b> {
    name: &'b str,
    zone: &'b str,
}

impl<'b> DirectoryBucket<'b> {
    /// Reads a bucket's name; nothing where it is none of a directory bucket.
    #[must_use]
    pub fn parse(name: &'b str) -> Option<Self> {
        let (base, zone) = name.strip_suffix(SUFFIX)?.rsplit_once("--")?;
        let legal = name.len() <= LONGEST && is_label(base) && is_label(zone);
        legal.then_some(Self { name, zone })
    }

    /// The whole name.
    #[must_use]
    pub fn name(self) -> &'b str {
        self.name
    }

    /// The id of its zone, e.g. `usw2-az1`.
    #[must_use]
    pub fn zone(self) -> &'b str {
        self.zone
    }
}

/// Whether a bucket's name is one that only S3 Express gives, well-formed or not.
#[must_use]
pub fn is_express(bucket: &str) -> bool {
    bucket.ends_with(SUFFIX) || bucket.ends_with(POINT_SUFFIX)
}

/// Whether an operation is about the bucket itself and is sent to the region's control endpoint,
/// not to the bucket's zone: the model's `UseS3ExpressControlEndpoint`.
#[must_use]
pub fn is_regional(operation: &str) -> bool {
    let of_bucket = operation.contains("Bucket") || operation.contains("PublicAccessBlock");
    of_bucket
        && ![
            "GetBucketAbac",
            "HeadBucket",
            "ListBuckets",
            "PutBucketAbac",
        ]
        .contains(&operation)
}

/// All that a session of [`CreateSession`](SessionRequest) may be used for.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Confinement {
    /// The directory bucket's name.
    pub bucket: String,
    /// Whether it may only read.
    pub read_only: bool,
}

impl Confinement {
    /// # Errors
    /// [`Refusal::Denied`] for a call that the session is not for.
    pub fn check(&self, call: &Call) -> Result<(), Refusal> {
        let bucket = call.params().get("Bucket").and_then(Value::as_str);
        let operation = call.operation();
        let here = call.service() == "s3" && bucket == Some(&self.bucket);
        if !here || operation == "CreateSession" {
            return Err(denied(format!(
                "this session is for the directory bucket `{}` only; sign other calls with the \
                 credentials that it was created with",
                self.bucket
            )));
        }
        if self.read_only && !READ_ONLY.contains(&operation) {
            return Err(denied(
                "this session of the directory bucket is read-only".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A call to `CreateSession`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionRequest(Confinement);

impl SessionRequest {
    /// Reads it from a call; nothing for other operations.
    ///
    /// # Errors
    /// [`Refusal::InvalidInput`] for a bucket that has no sessions, [`Refusal::Unsupported`] for
    /// settings that AWS would keep in the session.
    pub fn of(call: &Call) -> Result<Option<Self>, Refusal> {
        if (call.service(), call.operation()) != ("s3", "CreateSession") {
            return Ok(None);
        }
        let text = |name: &str| call.params().get(name).and_then(Value::as_str);
        let bucket = text("Bucket").and_then(DirectoryBucket::parse);
        let bucket = bucket.ok_or_else(|| {
            Refusal::InvalidInput("only directory buckets have sessions".to_owned())
        })?;
        let Value::Structure(members) = call.params() else {
            return Err(Refusal::Internal);
        };
        let known = |name: &str| ["Bucket", "SessionMode"].contains(&name);
        if let Some((other, _)) = members.iter().find(|(name, _)| !known(name)) {
            return Err(Refusal::Unsupported(format!(
                "`{other}` cannot be kept in a session of this gateway; set it on the bucket or on \
                 each object"
            )));
        }
        let read_only = match text("SessionMode") {
            Some("ReadOnly") => true,
            None | Some("ReadWrite") => false,
            Some(_) => {
                return Err(Refusal::InvalidInput(
                    "`SessionMode` is `ReadOnly` or `ReadWrite`".to_owned(),
                ));
            }
        };
        Ok(Some(Self(Confinement {
            bucket: bucket.name().to_owned(),
            read_only,
        })))
    }

    /// What the session will be for.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.0
    }
}

/// The answer to `CreateSession`.
#[must_use]
pub fn session(credentials: &GatewayCredentials) -> String {
    let members = [
        ("SessionToken", credentials.session_token.expose()),
        ("SecretAccessKey", credentials.secret_access_key.expose()),
        ("AccessKeyId", &credentials.access_key_id),
        ("Expiration", &timestamp(credentials.expires_at)),
    ];
    let members = members.map(|(name, text)| format!("<{name}>{}</{name}>", escape(text)));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CreateSessionResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Credentials>{}</Credentials>\
         </CreateSessionResult>",
        members.concat()
    )
}

/// What an S3 action on a directory bucket needs: IAM knows only whole buckets and, for objects,
/// only `CreateSession`. The object's own action is asked for beside it, so that a policy can tell
/// reading from deleting.
#[must_use]
pub(crate) fn judged(
    action: &Action,
    arn: &str,
    key: Option<&str>,
    operation: &str,
) -> Vec<Action> {
    let name = action.name.strip_prefix("s3:").unwrap_or(&action.name);
    let express = |name: &str| Action {
        name: format!("{SIGNING_NAME}:{name}"),
        resource: arn.to_owned(),
        access: action.access,
    };
    if operation == "CreateSession" || is_regional(operation) {
        return vec![express(name)];
    }
    let own = Action {
        resource: key.map_or(arn.to_owned(), |key| format!("{arn}/{key}")),
        ..action.clone()
    };
    vec![own, express("CreateSession")]
}

fn denied(reason: String) -> Refusal {
    Refusal::Denied {
        rule: "session-confined".to_owned(),
        reason,
    }
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests;
