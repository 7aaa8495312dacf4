//! Calls inside calls: for copies between regions SDKs presign a second call, to the region of the
//! source, and send its URL as a parameter.

use crate::call::Call;
use crate::refusal::Refusal;

/// The names under which EC2 and the RDS family take such a URL.
const MEMBERS: [&str; 2] = ["PreSignedUrl", "PresignedUrl"];

/// Refuses a call with another inside: it is signed with a credential that AWS does not know, and
/// nobody judged it.
///
/// # Errors
/// [`Refusal::Unsupported`] with the way out.
pub(super) fn refuse(call: &Call) -> Result<(), Refusal> {
    let found = MEMBERS
        .iter()
        .find(|member| call.params().get(member).is_some());
    match found {
        None => Ok(()),
        Some(member) => Err(Refusal::Unsupported(format!(
            "`{member}` holds a call presigned for another region, which AWS would not accept \
             from here; leave `{member}` and `SourceRegion` out, or copy with the source's ARN"
        ))),
    }
}
