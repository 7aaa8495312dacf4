//! What a signed-in agent may ask of the gateway's own STS, read from the decoded call.
//!
//! A parameter that would narrow or mark the session in AWS and is not carried out here is refused
//! by its name: an answer that ignored it would promise something that is not so.

use std::ops::RangeInclusive;

use super::{MAX_DURATION, MIN_DURATION, RoleArn, SessionName};
use crate::call::{Call, Value};
use crate::refusal::Refusal;

/// AWS's bounds for `DurationSeconds` of `GetSessionToken` and `GetFederationToken`.
const TOKEN_DURATION: RangeInclusive<u32> = MIN_DURATION..=129_600;

/// A signed-in agent's request, in bounds but not yet permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// A session in another role.
    AssumeRole {
        /// The role asked for.
        role: RoleArn,
        /// The agent's own name for the session.
        session_name: SessionName,
        /// Seconds, where the agent asked for a length.
        duration: Option<u32>,
    },
    /// Who asks.
    GetCallerIdentity,
    /// Which account an access key belongs to.
    GetAccessKeyInfo {
        /// Any text.
        access_key_id: String,
    },
    /// A session of the same role under another name.
    GetFederationToken {
        /// The agent's own name for the session.
        session_name: SessionName,
        /// Seconds, where the agent asked for a length.
        duration: Option<u32>,
    },
    /// A session of the same role and name.
    GetSessionToken {
        /// Seconds, where the agent asked for a length.
        duration: Option<u32>,
    },
}

impl Request {
    /// Reads a call to STS; `None` for a call to another service.
    ///
    /// # Errors
    /// [`Refusal::Denied`] for an operation that is not carried out here, and
    /// [`Refusal::InvalidInput`] for a parameter that is missing, out of bounds or not taken.
    pub fn of(call: &Call) -> Result<Option<Self>, Refusal> {
        if call.service() != "sts" {
            return Ok(None);
        }
        let members = Members(call.params());
        match call.operation() {
            "AssumeRole" => members.assume_role(),
            "GetAccessKeyInfo" => Ok(Self::GetAccessKeyInfo {
                access_key_id: members.required("AccessKeyId")?.to_owned(),
            }),
            "GetCallerIdentity" => Ok(Self::GetCallerIdentity),
            "GetFederationToken" => members.federation_token(),
            "GetSessionToken" => {
                members.only(&["DurationSeconds"])?;
                let duration = members.duration(TOKEN_DURATION)?;
                Ok(Self::GetSessionToken { duration })
            }
            other => Err(refuse(other)),
        }
        .map(Some)
    }
}

/// Why an operation of STS is not carried out for anybody, and what to do instead.
#[must_use]
pub fn refuse(operation: &str) -> Refusal {
    let instead = match operation {
        "AssumeRoleWithSAML" => {
            "it takes a SAML assertion and this gateway knows OIDC issuers only; sign in with \
             AssumeRoleWithWebIdentity"
        }
        "AssumeRoleWithWebIdentity" => {
            "it signs in with a token of its own, so send it unsigned, as SDKs do"
        }
        "AssumeRoot" => {
            "no session of this gateway is ever a member account's root; ask for a role of the \
             gateway's configuration with AssumeRole"
        }
        "DecodeAuthorizationMessage" => {
            "only AWS can decode its own messages and the answer tells how the gateway's role is \
             set up; give the message to the gateway's operator"
        }
        "GetDelegatedAccessToken" | "GetWebIdentityToken" => {
            "its answer works outside this gateway; call AWS services through the gateway with the \
             credentials you have"
        }
        _ => {
            "this gateway answers STS itself and does not know it; use AssumeRole for another role \
             and GetCallerIdentity to see who you are"
        }
    };
    Refusal::Denied {
        rule: "gateway/sts".to_owned(),
        reason: format!("`sts:{operation}` is not carried out: {instead}"),
    }
}

/// The decoded input of a call.
struct Members<'a>(&'a Value);

impl<'a> Members<'a> {
    /// `ExternalId` is taken because AWS too ignores one that the role does not ask for; policies
    /// see it.
    fn assume_role(&self) -> Result<Request, Refusal> {
        self.only(&[
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "ExternalId",
        ])?;
        Ok(Request::AssumeRole {
            role: RoleArn::parse(self.required("RoleArn")?)?,
            session_name: SessionName::parse(self.required("RoleSessionName")?)?,
            duration: self.duration(MIN_DURATION..=MAX_DURATION)?,
        })
    }

    fn federation_token(&self) -> Result<Request, Refusal> {
        self.only(&["Name", "DurationSeconds"])?;
        Ok(Request::GetFederationToken {
            session_name: SessionName::federated(self.required("Name")?)?,
            duration: self.duration(TOKEN_DURATION)?,
        })
    }

    fn only(&self, taken: &[&str]) -> Result<(), Refusal> {
        let Value::Structure(members) = self.0 else {
            return Err(Refusal::Internal);
        };
        let mut names = members.iter().map(|(name, _)| name.as_str());
        match names.find(|name| !taken.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Refusal::InvalidInput(format!(
                "`{name}` is not taken here, so leave it out: {}",
                why_not(name)
            ))),
        }
    }

    fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::InvalidInput(format!("parameter `{name}` is missing")))
    }

    fn duration(&self, bounds: RangeInclusive<u32>) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.0.get("DurationSeconds") else {
            return Ok(None);
        };
        let seconds = if let Value::Integer(seconds) = value {
            u32::try_from(*seconds).ok()
        } else {
            None
        };
        let within = seconds.filter(|seconds| bounds.contains(seconds));
        within.map(Some).ok_or_else(|| {
            Refusal::InvalidInput(format!(
                "`DurationSeconds` must be a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            ))
        })
    }
}

fn why_not(parameter: &str) -> &'static str {
    match parameter {
        "Policy" | "PolicyArns" => {
            "the gateway's own policies decide every call, and a session policy would be ignored"
        }
        "ProvidedContexts" => "the gateway cannot check another provider's context",
        "SerialNumber" | "TokenCode" => {
            "the gateway cannot check an MFA device; the identity provider that signed you in does"
        }
        "SourceIdentity" => "it is always the principal that signed in",
        "Tags" | "TransitiveTagKeys" => {
            "the gateway itself tags its sessions in AWS with the principal that signed in"
        }
        _ => "this gateway does not know it",
    }
}

#[cfg(test)]
mod tests;
