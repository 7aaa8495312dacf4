//! An issuer's signing keys: found by OpenID Connect discovery, kept, and asked for again in
//! bounded ways only.
//!
//! Keys live for ten minutes; an unknown key id may bring one refresh in ten seconds; one question
//! is under way at a time. An issuer that fails never loses the keys it had, but they serve for an
//! hour at most: then nobody signs in.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use arc_swap::ArcSwapOption;
use http::Uri;
use openidconnect::AsyncHttpClient as _;
use portcullis_core::refusal::Refusal;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::client::{HttpClient, may_ask};
use super::jwt::Header;

mod key_set;

pub(super) use key_set::KeySet;

/// The shortest time between refreshes that unknown key ids bring about, and between questions to
/// an issuer that fails. There are as many issuers as configured, so this bounds them all.
const PAUSE: Duration = Duration::seconds(10);
/// How long keys serve an issuer that cannot be asked.
const STALE: Duration = Duration::hours(1);

/// What is known of an issuer's keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerState {
    /// The issuer.
    pub issuer: String,
    /// When its keys were last read; `None` if never.
    pub keys_read_at: Option<OffsetDateTime>,
    /// Why they could not be read the last time, where they could not.
    pub failure: Option<String>,
}

#[derive(Debug)]
pub(super) struct KeySource {
    issuer: String,
    discovery: Uri,
    client: HttpClient,
    keys: ArcSwapOption<KeySet>,
    failure: ArcSwapOption<String>,
    attempts: Arc<Mutex<Attempts>>,
}

#[derive(Debug, Default)]
struct Attempts {
    forced: Option<OffsetDateTime>,
    failed: Option<OffsetDateTime>,
}

/// The two members of discovery metadata that checking tokens needs. Issuers for workloads leave
/// out much of what OpenID Connect wants there.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl KeySource {
    pub(super) fn new(issuer: &str, client: HttpClient) -> Result<Self> {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let discovery: Uri = format!("{base}/.well-known/openid-configuration")
            .parse()
            .context("it is not a URL")?;
        ensure!(
            may_ask(&discovery) && discovery.query().is_none() && !issuer.contains(['#', '@']),
            "it must be https (or http on this machine) without query, fragment or user"
        );
        Ok(Self {
            issuer: issuer.to_owned(),
            discovery,
            client,
            keys: ArcSwapOption::empty(),
            failure: ArcSwapOption::empty(),
            attempts: Arc::default(),
        })
    }

    pub(super) fn state(&self) -> IssuerState {
        IssuerState {
            issuer: self.issuer.clone(),
            keys_read_at: self.keys.load().as_ref().map(|keys| keys.read_at()),
            failure: self.failure.load().as_deref().cloned(),
        }
    }

    /// Keys to check a token with. They may lack the token's key, if the issuer does.
    pub(super) async fn keys_for(
        self: &Arc<Self>,
        header: &Header,
        now: OffsetDateTime,
    ) -> Result<Arc<KeySet>, Refusal> {
        if let Some(keys) = self.fresh(now)
            && keys.knows(header)
        {
            return Ok(keys);
        }
        let mut attempts = Arc::clone(&self.attempts).lock_owned().await;
        // Whoever held the lock may just have asked.
        let fresh = self.fresh(now);
        if let Some(keys) = &fresh
            && keys.knows(header)
        {
            return Ok(Arc::clone(keys));
        }
        if recent(attempts.failed, now) {
            return self.after_failure(header, now);
        }
        if let Some(keys) = fresh {
            if recent(attempts.forced, now) {
                return Ok(keys);
            }
            attempts.forced = Some(now);
        }
        if self.refresh(attempts, now).await {
            self.fresh(now).ok_or(Refusal::IdentityProviderUnavailable)
        } else {
            self.after_failure(header, now)
        }
    }

    fn fresh(&self, now: OffsetDateTime) -> Option<Arc<KeySet>> {
        self.keys.load_full().filter(|keys| keys.is_fresh(now))
    }

    /// Old keys still answer for themselves; that a key is unknown cannot be told from them.
    fn after_failure(&self, header: &Header, now: OffsetDateTime) -> Result<Arc<KeySet>, Refusal> {
        self.keys
            .load_full()
            .filter(|keys| keys.is_younger_than(STALE, now) && keys.knows(header))
            .ok_or(Refusal::IdentityProviderUnavailable)
    }

    /// Asks the issuer and says whether it answered. An agent that goes away meanwhile must not
    /// make the next one ask again, so the question outlives its asker and keeps the lock.
    async fn refresh(
        self: &Arc<Self>,
        mut attempts: OwnedMutexGuard<Attempts>,
        now: OffsetDateTime,
    ) -> bool {
        let source = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "bounded by the HTTP client's time-out; awaited unless the agent goes away"
        )]
        let question = tokio::spawn(async move {
            let read = source.read(now).await;
            attempts.failed = read.is_err().then_some(now);
            source.note(read)
        });
        question.await.unwrap_or(false)
    }

    fn note(&self, read: Result<KeySet>) -> bool {
        match read {
            Ok(keys) => {
                self.keys.store(Some(Arc::new(keys)));
                self.failure.store(None);
                true
            }
            Err(error) => {
                let failure = format!("{error:#}");
                tracing::warn!(
                    issuer = self.issuer,
                    failure,
                    "cannot read an issuer's keys"
                );
                self.failure.store(Some(Arc::new(failure)));
                false
            }
        }
    }

    /// Discovery is repeated each time: it is one small document, and issuers move their keys.
    async fn read(&self, now: OffsetDateTime) -> Result<KeySet> {
        let metadata = self
            .get(&self.discovery)
            .await
            .context("asking for its metadata")?;
        let metadata: Metadata =
            serde_json::from_slice(metadata.body()).context("reading its metadata")?;
        ensure!(
            metadata.issuer == self.issuer,
            "its metadata names another issuer"
        );
        let jwks_uri: Uri = metadata.jwks_uri.parse().context("reading `jwks_uri`")?;
        ensure!(
            self.discovery.scheme() == jwks_uri.scheme(),
            "its `jwks_uri` has another scheme"
        );
        let jwks = self.get(&jwks_uri).await.context("asking for its keys")?;
        KeySet::parse(&jwks, now).context("reading its keys")
    }

    async fn get(&self, uri: &Uri) -> Result<openidconnect::HttpResponse> {
        let request = http::Request::get(uri)
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new())?;
        let response = self.client.call(request).await?;
        ensure!(
            response.status() == http::StatusCode::OK,
            "it answered {}",
            response.status()
        );
        Ok(response)
    }
}

fn recent(attempt: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
    attempt.is_some_and(|attempt| (attempt - now).abs() < PAUSE)
}
