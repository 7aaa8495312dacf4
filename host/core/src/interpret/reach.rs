//! How far a call may reach: into one region of the partition, or, where AWS has no region to sign
//! for, into a signed set of them. The two kinds of calls have nothing in common, so that no
//! signature can be exchanged for one of the other kind.

use super::Place;
use crate::catalog::Catalog;
use crate::codec::text::quote;
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::s3_name::{AccessPoint, Kind};

/// Checks that every region there is named exists.
///
/// # Errors
/// [`Refusal::InvalidInput`].
pub(super) fn check(catalog: &Catalog, reach: &Reach, place: &Place) -> Result<(), Refusal> {
    match reach {
        Reach::Region(region) => check_region(catalog, region, place),
        Reach::Set(set) => {
            // What a pattern stands for is AWS's to say: it is never taken for regions here.
            let mut named = set.members().filter(|member| !member.contains('*'));
            named.try_for_each(|region| check_region(catalog, region, place))
        }
    }
}

/// A region that the partition does not have would end in a host name nobody has vetted.
pub(crate) fn check_region(catalog: &Catalog, region: &str, place: &Place) -> Result<(), Refusal> {
    let known = catalog.index().partitions.iter().any(|partition| {
        partition.name == place.partition && partition.regions.iter().any(|own| own == region)
    });
    if known {
        return Ok(());
    }
    Err(Refusal::InvalidInput(format!(
        "region `{}` does not exist in partition `{}`",
        quote(region),
        place.partition
    )))
}

/// Checks that a call to a multi-region access point, and no other, reaches into a set of regions.
/// `service` is the name that it is signed as.
///
/// # Errors
/// [`Refusal::Unsupported`], with the way out.
pub(super) fn check_point(
    reach: &Reach,
    service: &str,
    point: Option<&AccessPoint>,
) -> Result<(), Refusal> {
    let multi_region = point.filter(|point| point.kind() == Kind::MultiRegion);
    let text = match (reach, multi_region, service) {
        (Reach::Region(_), None, _) | (Reach::Set(_), Some(_), _) => return Ok(()),
        (Reach::Region(_), Some(point), _) => format!(
            "calls to `{point}` are signed for a set of regions, with Signature Version 4A \
             (boto3: `pip install awscrt`; JavaScript: `@aws-sdk/signature-v4a`)"
        ),
        (Reach::Set(_), None, "events" | "ses") => "global endpoints (`EndpointId`) cannot be used through this gateway: only AWS knows which \
             regions' resources they stand for; call one region without `EndpointId`"
            .to_owned(),
        (Reach::Set(_), None, "cloudfront-keyvaluestore") => {
            "the data of CloudFront's key value stores cannot be used through this gateway: it is \
             signed with Signature Version 4A only, which is taken for S3 multi-region access \
             points alone"
                .to_owned()
        }
        (Reach::Set(_), None, _) => "Signature Version 4A is taken for S3 multi-region access points alone; sign for one \
             region (`AWS_AUTH_SCHEME_PREFERENCE=sigv4`, or `auth_scheme_preference` in the \
             profile)"
            .to_owned(),
    };
    Err(Refusal::Unsupported(text))
}
