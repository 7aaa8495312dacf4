//! The gateway's own Security Token Service: what an agent may ask of it and how the answers look.
//!
//! AWS's STS hands out credentials, so its operations are answered here and never forwarded. Start
//! at [`parse`] for signing in with a web identity token, and at [`Request::of`] for what somebody
//! who is signed in may ask.

use std::fmt;

use crate::refusal::Refusal;

mod answer;
mod form;
mod request;

pub use answer::{AssumedRole, Identified, access_key_info, caller_identity, issued, timestamp};
pub use request::{Request, refuse};

use form::Form;

/// Bytes of a form. The largest thing in it is a web identity token.
pub const MAX_FORM: usize = 32 * 1024;
/// AWS's floor for `DurationSeconds`.
pub const MIN_DURATION: u32 = 900;
/// AWS's ceiling for `DurationSeconds`; a role's own ceiling may be lower.
pub const MAX_DURATION: u32 = 43_200;

/// The API version every SDK sends.
const VERSION: &str = "2011-06-15";

/// A well-formed `AssumeRoleWithWebIdentity` whose token nobody has checked yet.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
#[derive(Debug, Eq, PartialEq)]
pub struct SignIn {
    /// The role asked for.
    pub role: RoleArn,
    /// The agent's own name for the session.
    pub session_name: SessionName,
    /// The OIDC token.
    pub token: WebIdentityToken,
    /// Seconds, where the agent asked for a length.
    pub duration: Option<u32>,
}

/// `arn:<partition>:iam::<account>:role/<name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleArn {
    /// e.g. `aws`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Everything after `role/`.
    pub name: String,
}

impl RoleArn {
    /// # Errors
    /// [`Refusal::InvalidInput`] for text that is not a role's ARN.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::read(text).ok_or_else(|| {
            Refusal::InvalidInput(
                "`RoleArn` must have the form arn:aws:iam::<12-digit account>:role/<name>"
                    .to_owned(),
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let arn = parts.next()?;
        let partition = parts.next()?;
        let [service, region] = [parts.next()?, parts.next()?];
        let account = parts.next()?;
        let name = parts.next()?.strip_prefix("role/")?;
        let good = arn == "arn"
            && is_word(partition, 1..=20, b"-")
            && service == "iam"
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && is_word(name, 1..=512, b"+=,.@-/");
        good.then(|| Self {
            partition: partition.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:iam::{}:role/{}",
            self.partition, self.account, self.name
        )
    }
}

/// A `RoleSessionName`: 2 to 64 of the characters AWS takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionName(String);

impl SessionName {
    /// # Errors
    /// [`Refusal::InvalidInput`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::read("RoleSessionName", text, 64)
    }

    /// The `Name` of `GetFederationToken`, which is half as long at most.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn federated(text: &str) -> Result<Self, Refusal> {
        Self::read("Name", text, 32)
    }

    fn read(parameter: &str, text: &str, longest: usize) -> Result<Self, Refusal> {
        if is_word(text, 2..=longest, b"+=,.@-") {
            return Ok(Self(text.to_owned()));
        }
        Err(Refusal::InvalidInput(format!(
            "`{parameter}` must be 2 to {longest} letters, digits or any of _+=,.@-"
        )))
    }

    /// The nearest session name to any text: other characters become `-`.
    #[must_use]
    pub fn resembling(text: &str) -> Self {
        let mut name: String = text
            .chars()
            .take(64)
            .map(|c| {
                let kept = c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
                if kept { c } else { '-' }
            })
            .collect();
        while name.len() < 2 {
            name.push('-');
        }
        Self(name)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An OIDC token nobody has checked. Not printable: it is a credential at its issuer.
#[derive(Clone, Eq, PartialEq)]
pub struct WebIdentityToken(String);

impl WebIdentityToken {
    /// Takes the token over as it is.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The token, to check it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebIdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebIdentityToken(…)")
    }
}

/// Reads the form of an unsigned STS request, which can only be a sign-in.
///
/// # Errors
/// [`Refusal::PayloadTooLarge`], [`Refusal::Malformed`], [`Refusal::Ambiguous`] or
/// [`Refusal::InvalidInput`] by what is wrong with it; [`Refusal::Unsigned`] for an operation
/// that AWS wants signed.
pub fn parse(form: &[u8]) -> Result<SignIn, Refusal> {
    let mut form = Form::parse(form)?;
    match form.required("Action")?.as_str() {
        "AssumeRoleWithWebIdentity" => {}
        "AssumeRoleWithSAML" => return Err(refuse("AssumeRoleWithSAML")),
        _ => return Err(Refusal::Unsigned),
    }
    if form.required("Version")? != VERSION {
        return Err(Refusal::InvalidInput(format!(
            "`Version` must be {VERSION}"
        )));
    }
    form.refuse_policies()?;
    let sign_in = SignIn {
        role: RoleArn::parse(&form.required("RoleArn")?)?,
        session_name: SessionName::parse(&form.required("RoleSessionName")?)?,
        token: WebIdentityToken::new(form.required("WebIdentityToken")?),
        duration: form
            .optional("DurationSeconds")
            .as_deref()
            .map(duration)
            .transpose()?,
    };
    form.finish()?;
    Ok(sign_in)
}

fn duration(text: &str) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds
        .filter(|seconds| (MIN_DURATION..=MAX_DURATION).contains(seconds))
        .ok_or_else(|| {
            Refusal::InvalidInput(format!(
                "`DurationSeconds` must be a whole number from {MIN_DURATION} to {MAX_DURATION}"
            ))
        })
}

fn is_word(text: &str, length: std::ops::RangeInclusive<usize>, punctuation: &[u8]) -> bool {
    length.contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || punctuation.contains(&byte))
}

#[cfg(test)]
mod tests;
