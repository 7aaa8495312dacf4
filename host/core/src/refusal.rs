//! Why a call was not carried out: one variant for everything an operator or an agent would act on
//! differently. How a refusal looks on the wire is known only to `refusal/wire.rs`.

use std::fmt;

pub mod wire;

/// A call that was not carried out. `Display` is what the agent reads: it says what was refused
/// and what to do next, and never carries a secret, a signature or an upstream body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A reading of the request that another parser could disagree with.
    #[error("the request can be read in two ways and was refused: {0}")]
    Ambiguous(String),

    /// AWS's answer broke off before it was read.
    #[error("AWS answered, but its answer broke off; the call was probably carried out")]
    AnswerLost,

    /// Policy wants a person's yes first.
    #[error(
        "this call needs a person's approval, and this gateway has no approver configured. {reason} (rule `{rule}`)"
    )]
    ApprovalRequired {
        /// `plugin/rule`.
        rule: String,
        /// The policy's own words.
        reason: String,
    },

    /// The audit log cannot be written, so nothing may be sent.
    #[error(
        "the gateway cannot write its audit log, so it sends nothing to AWS; try again later or tell the gateway's operator"
    )]
    AuditUnavailable,

    /// The request's date is outside the window.
    #[error("the request's signing time {signed} is too far from the gateway's time {now}")]
    ClockSkew {
        /// What the client said, ISO 8601 basic format.
        signed: String,
        /// The gateway's time, the same format.
        now: String,
    },

    /// No AWS credential could be obtained for the role.
    #[error(
        "the gateway could not obtain AWS credentials for role `{role}`; this is not the agent's fault: tell the gateway's operator"
    )]
    CredentialsUnavailable {
        /// The gateway's name of the role.
        role: String,
    },

    /// Policy said no.
    #[error("{reason} (rule `{rule}`)")]
    Denied {
        /// `plugin/rule`, or one of the gateway's own rules.
        rule: String,
        /// The policy's own words.
        reason: String,
    },

    /// The OIDC token is past its end.
    #[error("the web identity token has expired; sign in again")]
    IdentityExpired,

    /// The OIDC token was not accepted.
    #[error("the web identity token was not accepted: {0}")]
    IdentityInvalid(String),

    /// The issuer cannot be asked for its keys.
    #[error("the identity provider cannot be reached to check the token; try again")]
    IdentityProviderUnavailable,

    /// A defect of the gateway.
    #[error("the gateway failed; the call was not sent")]
    Internal,

    /// The input does not fit the operation's model.
    #[error("{0}")]
    InvalidInput(String),

    /// Bytes that are not a request this gateway reads.
    #[error("malformed request: {0}")]
    Malformed(String),

    /// A method no AWS service uses.
    #[error("method `{0}` is not allowed")]
    MethodNotAllowed(String),

    /// The agent took too long to send its body.
    #[error("the request body did not arrive in time")]
    BodyTimeout,

    /// Too many connections or bytes in flight.
    #[error("the gateway is at its limit of {0}; try again")]
    Overloaded(&'static str),

    /// The body is not the one that was signed.
    #[error("the SHA-256 of the body received does not match `x-amz-content-sha256`")]
    PayloadMismatch,

    /// The checksum trailer does not match the body.
    #[error("the {0} checksum sent does not match the body received")]
    ChecksumMismatch(String),

    /// The body is over the limit.
    #[error(
        "the request body is larger than this gateway's limit of {limit} bytes for a call that must be read whole"
    )]
    PayloadTooLarge {
        /// In bytes.
        limit: u64,
    },

    /// All plugin instances stayed busy.
    #[error("the gateway's policy engine is busy; try again")]
    PluginOverloaded,

    /// The connection does not serve that region.
    #[error("connection `{connection}` does not serve region `{region}`; allowed: {allowed}")]
    RegionNotAllowed {
        /// The connection's name.
        connection: String,
        /// The region asked for.
        region: String,
        /// What may be used instead.
        allowed: String,
    },

    /// No such role, or not for this principal: the answer does not say which.
    #[error(
        "role `{role}` does not exist here or is not open to your groups; ask the gateway's operator which role to use"
    )]
    RoleNotPermitted {
        /// What was asked for.
        role: String,
    },

    /// The session is over.
    #[error("the gateway's session has expired; sign in again for new credentials")]
    SessionExpired,

    /// The session token does not open or does not belong to the access key.
    #[error("the session token is not valid with this access key")]
    SessionInvalid,

    /// The signature is not the one the session's secret makes.
    #[error(
        "the signature does not match; check that the client uses the gateway's credentials unchanged"
    )]
    SignatureMismatch,

    /// An access key this gateway did not issue.
    #[error(
        "the access key was not issued by this gateway; get credentials from it with AssumeRoleWithWebIdentity"
    )]
    UnknownAccessKey,

    /// An operation the resolved service's model does not have.
    #[error("{0}")]
    UnknownOperation(String),

    /// A service the catalog does not have.
    #[error("no AWS service signs as `{0}` in this gateway's catalog")]
    UnknownService(String),

    /// A header that matters arrived outside the signature.
    #[error("header `{0}` must be signed")]
    UnsignedHeader(String),

    /// No signature at all.
    #[error(
        "the request is not signed; get credentials from this gateway with AssumeRoleWithWebIdentity and sign with them"
    )]
    Unsigned,

    /// A way of signing or sending that this gateway does not take; the text names the way out.
    #[error("{0}")]
    Unsupported(String),

    /// A presigned URL is past its end.
    #[error("the presigned URL ended at {ended}; presign a new one")]
    UrlExpired {
        /// ISO 8601 basic format.
        ended: String,
    },

    /// AWS, or what stands in for it, did not answer.
    #[error("the gateway could not reach {host}; {state}")]
    UpstreamUnreachable {
        /// The host name the gateway built.
        host: String,
        /// Whether the call may have been carried out.
        state: Delivery,
    },
}

/// What is known of a call whose connection failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// Nothing was sent.
    NotSent,
    /// Some bytes were sent; the outcome is unknown.
    Unknown,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSent => "nothing was sent",
            Self::Unknown => "the call may have been carried out",
        })
    }
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The agent's side.
    Downstream,
    /// The gateway's own.
    Internal,
    /// AWS's side or the identity provider's.
    Upstream,
}

impl Fault {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Internal => "internal",
            Self::Upstream => "upstream",
        }
    }
}
