//! Who an agent acts for: checks the OIDC token of an issuer that the configuration names.
//!
//! Signatures are verified by `openidconnect`; what a token may say is checked here, strictly:
//! ID tokens and RFC 9068 access tokens, exact issuer and audience, an algorithm list that no token
//! can change. Nothing a token names is ever fetched. Start at [`Identity::authenticate`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use portcullis_core::access::Principal;
use portcullis_core::refusal::Refusal;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::config;

mod claims;
mod client;
mod jwt;
mod key_source;

pub use client::{FetchError, HttpClient};
pub use key_source::IssuerState;

use jwt::Jwt;
use key_source::KeySource;

/// Sign-ins of one issuer's users that may wait at once, so that a slow issuer costs only its own
/// users.
const WAITING: usize = 64;

/// The issuers whose tokens are accepted.
#[derive(Debug)]
pub struct Identity {
    issuers: Vec<Trusted>,
    /// Anyone may send a token, so checking signatures never takes all processors.
    checks: Semaphore,
}

/// A principal whose token was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authenticated {
    /// Who it is.
    pub principal: Principal,
    /// The configured audience that the token was meant for.
    pub audience: String,
    /// When the token ends.
    pub expires_at: OffsetDateTime,
}

#[derive(Debug)]
struct Trusted {
    issuer: config::Issuer,
    source: Arc<KeySource>,
    waiting: Semaphore,
}

impl Identity {
    /// Asks nobody yet: an issuer that is down keeps no gateway from starting.
    ///
    /// # Errors
    /// When an issuer's URL could not be asked safely, appears twice or has no audience.
    pub fn new(issuers: &[config::Issuer]) -> Result<Self> {
        Self::with_timeout(issuers, client::TIMEOUT)
    }

    fn with_timeout(issuers: &[config::Issuer], timeout: Duration) -> Result<Self> {
        let client = HttpClient::new(timeout)?;
        let mut trusted: Vec<Trusted> = Vec::new();
        for issuer in issuers {
            let name = &issuer.issuer;
            let known = trusted.iter().any(|other| other.issuer.issuer == *name);
            ensure!(!known, "issuer `{name}` is configured twice");
            ensure!(
                !issuer.audience.is_empty(),
                "issuer `{name}` has no audience"
            );
            let source =
                KeySource::new(name, client.clone()).with_context(|| format!("issuer `{name}`"))?;
            trusted.push(Trusted {
                issuer: issuer.clone(),
                source: Arc::new(source),
                waiting: Semaphore::new(WAITING),
            });
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            issuers: trusted,
            checks: Semaphore::new((processors / 2).max(1)),
        })
    }

    /// Checks a token that an agent presents.
    ///
    /// # Errors
    /// [`Refusal::IdentityInvalid`] with the check that failed, [`Refusal::IdentityExpired`],
    /// [`Refusal::IdentityProviderUnavailable`] when the issuer's keys cannot be had, and
    /// [`Refusal::Overloaded`].
    pub async fn authenticate(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Refusal> {
        let jwt = Jwt::parse(token)?;
        let trusted = self.issuer_of(&jwt)?;
        let _place = trusted
            .waiting
            .try_acquire()
            .map_err(|_| Refusal::Overloaded("sign-ins"))?;
        let keys = trusted.source.keys_for(jwt.header(), now).await?;
        let key = keys.select(jwt.header())?;
        {
            let _processor = self.checks.acquire().await.map_err(|_| Refusal::Internal)?;
            jwt.verify(key)?;
        }
        claims::check(&jwt, &trusted.issuer, now)
    }

    /// What is known of each issuer, for readiness and for operators.
    pub fn states(&self) -> Vec<IssuerState> {
        let state = |trusted: &Trusted| trusted.source.state();
        self.issuers.iter().map(state).collect()
    }

    /// The token's own `iss` only picks whose keys must have signed it.
    fn issuer_of(&self, jwt: &Jwt<'_>) -> Result<&Trusted, Refusal> {
        let issuer = jwt.issuer()?;
        let trusted = self
            .issuers
            .iter()
            .find(|trusted| trusted.issuer.issuer == issuer)
            .ok_or_else(|| invalid("this gateway does not accept tokens of its issuer (`iss`)"))?;
        if !trusted.issuer.agents {
            return Err(invalid(
                "its issuer is for people signing in to the console, not for agents",
            ));
        }
        Ok(trusted)
    }
}

fn invalid(reason: &str) -> Refusal {
    Refusal::IdentityInvalid(reason.to_owned())
}

#[cfg(test)]
pub(crate) mod test_issuer;
#[cfg(test)]
mod tests;
