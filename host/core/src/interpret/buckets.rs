//! What S3's `Bucket` names: a bucket, or an access point, which is a resource of its own. Which
//! bucket is behind an access point only AWS knows, so it is never judged as if it were one.

use super::{Place, form};
use crate::call::{AccessLevel, Action, Value};
use crate::catalog::Operation;
use crate::codec::text::quote;
use crate::directory_bucket::{self, DirectoryBucket, SIGNING_NAME, is_express};
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::s3_name::{AccessPoint, Kind, is_alias};
use crate::sigv4::Scope;

/// Checks that what names buckets and objects has one reading: a bucket is a plain name or an ARN,
/// and a copy's source is `[/]bucket/key[?versionId=…]`, percent-encoded, or an ARN. Anything else
/// would be judged as one object and might be read as another.
///
/// # Errors
/// [`Refusal::InvalidInput`] or [`Refusal::Ambiguous`].
pub(super) fn check_names(params: &Value) -> Result<(), Refusal> {
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    if let Some(bucket) = text("Bucket").filter(|bucket| !is_name(bucket)) {
        return Err(Refusal::InvalidInput(format!(
            "`{}` is not the name of a bucket",
            quote(bucket)
        )));
    }
    if let Some(bucket) = text("Bucket").filter(|bucket| is_express(bucket)) {
        DirectoryBucket::parse(bucket).ok_or_else(|| {
            Refusal::Unsupported(format!(
                "`{}` is neither a bucket nor a directory bucket; access points of directory \
                 buckets are not served",
                quote(bucket)
            ))
        })?;
    }
    if let Some(source) = text("CopySource").filter(|source| !is_source(source)) {
        return Err(Refusal::Ambiguous(format!(
            "the copy source `{}` is not `bucket/key`, percent-encoded, with at most a `versionId`",
            quote(source)
        )));
    }
    Ok(())
}

/// Letters, digits and what even the oldest buckets may have, but no step in a path; ARNs are
/// checked by their own rules.
fn is_name(bucket: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    bucket.starts_with("arn:") || bucket.bytes().all(plain) && !["", ".", ".."].contains(&bucket)
}

fn is_source(source: &str) -> bool {
    let (path, query) = source.split_once('?').unwrap_or((source, "versionId="));
    let version = query.strip_prefix("versionId=");
    let one_version = version.is_some_and(|version| !version.contains(['?', '&']));
    // `+` is a space to some readers and itself to others.
    if path.contains('+') {
        return false;
    }
    let Ok(path) = form::decode(path) else {
        return false;
    };
    let path = path.strip_prefix('/').unwrap_or(&path);
    let object = path.split_once('/');
    // What names no object at all is AWS's to refuse.
    let named = object.is_none_or(|(bucket, key)| is_name(bucket) && !key.is_empty());
    one_version && (named || path.starts_with("arn:"))
}

/// The access point that an input names where a bucket goes.
///
/// # Errors
/// [`Refusal::InvalidInput`] for other ARNs.
pub(super) fn access_point(params: &Value) -> Result<Option<AccessPoint>, Refusal> {
    let bucket = params.get("Bucket").and_then(Value::as_str);
    AccessPoint::parse(bucket.unwrap_or_default())
        .map_err(|error| Refusal::InvalidInput(error.to_string()))
}

/// Holds an access point to what the request was signed for.
///
/// # Errors
/// [`Refusal::Ambiguous`] or [`Refusal::InvalidInput`] where they differ.
pub(super) fn check(point: &AccessPoint, scope: &Scope, place: &Place) -> Result<(), Refusal> {
    if point.kind().service() != scope.service {
        return Err(Refusal::Ambiguous(format!(
            "calls to `{point}` are signed as `{}`",
            point.kind().service()
        )));
    }
    match (point.kind(), &scope.reach) {
        (Kind::MultiRegion, Reach::Set(_)) => check_owner(point, place),
        // Refused for that, by name, like every call that reaches too far or not far enough.
        (Kind::MultiRegion, Reach::Region(_)) => Ok(()),
        (Kind::AccessPoint | Kind::ObjectLambda | Kind::Outpost, Reach::Region(region))
            if point.partition() == place.partition && point.region() == Some(region) =>
        {
            Ok(())
        }
        (Kind::AccessPoint | Kind::ObjectLambda | Kind::Outpost, _) => Err(Refusal::InvalidInput(
            format!("`{point}` is not in the region that the request was signed for"),
        )),
    }
}

/// The host of a multi-region access point does not tell its account, so that one of another
/// account would be judged and its namesake here be used.
fn check_owner(point: &AccessPoint, place: &Place) -> Result<(), Refusal> {
    if (point.partition(), point.account()) == (&place.partition, &place.account) {
        return Ok(());
    }
    Err(Refusal::Unsupported(format!(
        "`{point}` is not of account {}: multi-region access points of other accounts cannot be \
         used through this gateway",
        place.account
    )))
}

/// Holds a call without an access point to the name that it was signed for.
///
/// # Errors
/// [`Refusal::Ambiguous`] or [`Refusal::UnknownOperation`] where they differ.
pub(super) fn check_signed(
    operation: &Operation,
    params: &Value,
    scope: &Scope,
) -> Result<(), Refusal> {
    let bucket = params.get("Bucket").and_then(Value::as_str);
    let directory = bucket.map(|bucket| DirectoryBucket::parse(bucket).is_some());
    let express = scope.service == SIGNING_NAME;
    match directory {
        Some(directory) if directory == express => Ok(()),
        None if express == (operation.name == "ListDirectoryBuckets") => Ok(()),
        Some(_) | None => Err(Refusal::Ambiguous(format!(
            "signed as `{}`: calls for directory buckets, and no others, are signed as \
             `{SIGNING_NAME}`",
            quote(&scope.service)
        ))),
    }
}

/// The actions with the resources that are really touched.
pub(super) fn judged(
    actions: Vec<Action>,
    point: Option<&AccessPoint>,
    facts: &Facts<'_>,
) -> Vec<Action> {
    let buckets = format!("arn:{}:s3:::", facts.place.partition);
    let judge = |action: Action| match action.resource.strip_prefix(&buckets) {
        Some(name) => match in_directory(name) {
            Some((bucket, key)) => {
                let arn = format!(
                    "arn:{}:{SIGNING_NAME}:{}:{}:bucket/{}",
                    facts.place.partition,
                    facts.region,
                    facts.place.account,
                    bucket.name()
                );
                directory_bucket::judged(&action, &arn, key, facts.operation)
            }
            None => vec![judge(name, point).map_or(action.clone(), |judged| judged.of(action))],
        },
        None => vec![action],
    };
    let mut judged: Vec<Action> = actions.into_iter().flat_map(judge).collect();
    judged.sort_by(|a, b| (&a.name, &a.resource).cmp(&(&b.name, &b.resource)));
    judged.dedup();
    judged
}

/// What is judged besides the actions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) place: &'a Place,
    pub(super) region: &'a str,
    pub(super) operation: &'a str,
}

/// The directory bucket of `bucket[/key]`.
fn in_directory(name: &str) -> Option<(DirectoryBucket<'_>, Option<&str>)> {
    let (bucket, key) = match name.split_once('/') {
        Some((bucket, key)) => (bucket, Some(key)),
        None => (name, None),
    };
    Some((DirectoryBucket::parse(bucket)?, key))
}

/// What stands behind a name that is no bucket's.
enum Judged<'p> {
    /// An access point, and perhaps an object.
    Point(&'p AccessPoint, String),
    /// An access point that the name does not tell.
    Unknown,
}

fn judge<'p>(name: &str, point: Option<&'p AccessPoint>) -> Option<Judged<'p>> {
    if let Some(point) = point
        && let Some(rest) = name.strip_prefix(&point.to_string())
    {
        let resource = match rest.strip_prefix('/') {
            Some(key) => point.object(key),
            None => point.to_string(),
        };
        return Some(Judged::Point(point, resource));
    }
    let bucket = name.split('/').next().unwrap_or_default();
    is_alias(bucket).then_some(Judged::Unknown)
}

impl Judged<'_> {
    fn of(self, action: Action) -> Action {
        match self {
            Self::Point(point, resource) => Action {
                name: match action.name.strip_prefix("s3:") {
                    Some(name) => format!("{}:{name}", point.kind().service()),
                    None => action.name,
                },
                resource,
                access: action.access,
            },
            Self::Unknown => Action {
                resource: "*".to_owned(),
                access: AccessLevel::Unknown,
                ..action
            },
        }
    }
}
