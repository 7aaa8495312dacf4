//! The only door to AWS: takes a permit, signs with the real credential, sends, and streams back.
//!
//! A destination comes from a [`Route`], never from a header; redirects are handed to the agent,
//! never followed. A request is sent at most once: what may have reached AWS is not retried.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portcullis_core::access::{Permit, Session};
use portcullis_core::head::Head;
use portcullis_core::interpret::Embedded;
use portcullis_core::refusal::{Delivery, Refusal};
use portcullis_core::sigv4::PayloadMode;
use time::OffsetDateTime;

use crate::audit::Recorded;
use crate::body::{Idle, ResponseBody, StreamFailure, StreamingBody};
use crate::config::{Config, Connection, Limits};

mod answer;
mod connect;
mod envelope;
mod mint;
mod prepare;
mod progress;
mod rechunk;
mod request;
mod route;

pub use connect::Versions;
pub use mint::Means;
pub use route::{Bucket, Route};

pub(crate) use connect::Connector;
use progress::{Progress, Watched};

/// Idle connections are given up before AWS gives them up, so that a call seldom meets a dead one.
const POOL_IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept for one principal in one role and destination.
const POOL_SIZE: usize = 32;
/// Principals with connections of their own.
const POOLS: u64 = 4096;

/// Connections to AWS and what stands in for it.
pub struct Upstream {
    connections: HashMap<String, Connection>,
    connectors: HashMap<(String, Versions), Connector>,
    /// One pool for each principal in each role: bytes left over on a connection can then never
    /// be an answer to somebody else.
    pools: moka::future::Cache<PoolKey, Client<Connector, Watched>>,
    limits: Limits,
}

/// A call as it is to be sent, before it is signed.
#[derive(Debug)]
pub struct Outgoing {
    /// The head as it was verified.
    pub head: Head,
    /// S3's bucket and where the agent wrote it.
    pub bucket: Option<Bucket>,
    /// Where it goes and what it is signed for.
    pub route: Route,
    /// A call that is presigned inside this one, and where that would go.
    pub embedded: Option<(Embedded, Route)>,
    /// What it is sent over.
    pub versions: Versions,
    /// How the agent bound the body, which is how the gateway binds it.
    pub payload_mode: PayloadMode,
    /// The body.
    pub body: OutgoingBody,
}

/// What follows the head.
#[derive(Debug)]
pub enum OutgoingBody {
    /// Checked while it is sent.
    Stream(Box<StreamingBody>),
    /// At hand, and already checked.
    Whole(Bytes),
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct PoolKey {
    connection: String,
    role: String,
    principal: String,
    versions: Versions,
}

impl Upstream {
    /// Reads the certificate authorities of all connections; connects to nothing.
    ///
    /// # Errors
    /// When a CA file cannot be read.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let connector = |(connection, versions): (&Connection, Versions)| {
            let ca = connection.endpoint.as_ref().and_then(|it| it.ca.as_deref());
            let connector = Connector::new(ca, versions)
                .with_context(|| format!("trusting the CA of connection `{}`", connection.name))?;
            Ok(((connection.name.clone(), versions), connector))
        };
        let both = |connection| {
            let versions = [Versions::Negotiated, Versions::One];
            versions.map(|versions| (connection, versions))
        };
        let named = |connection: &Connection| (connection.name.clone(), connection.clone());
        Ok(Self {
            connections: config.connections.iter().map(named).collect(),
            connectors: config
                .connections
                .iter()
                .flat_map(both)
                .map(connector)
                .collect::<anyhow::Result<_>>()?,
            pools: moka::future::Cache::builder()
                .max_capacity(POOLS)
                .time_to_idle(POOL_IDLE * 4)
                .build(),
            limits: config.listen.limits,
        })
    }

    /// Sends a permitted and recorded call and returns the head of AWS's answer, its body still
    /// to come.
    ///
    /// `_recorded` is the proof that the intent is durable; the permit is used up.
    ///
    /// # Errors
    /// [`Refusal::UpstreamUnreachable`] with what is known of the delivery, what stopped a
    /// streamed body, or [`Refusal::CredentialsUnavailable`] when AWS did not accept the
    /// gateway's own signature.
    pub async fn send(
        &self,
        permit: Permit,
        _recorded: &Recorded,
        outgoing: Outgoing,
        credentials: &Credentials,
        now: OffsetDateTime,
    ) -> Result<Response<ResponseBody>, Refusal> {
        self.exchange(permit.session(), outgoing, credentials, now)
            .await
    }

    async fn exchange(
        &self,
        session: &Session,
        outgoing: Outgoing,
        credentials: &Credentials,
        now: OffsetDateTime,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let client = self.client(session, outgoing.versions).await?;
        let host = outgoing.route.host().to_owned();
        let (failure, conversation) = match &outgoing.body {
            OutgoingBody::Stream(body) => (body.failure(), body.conversation()),
            OutgoingBody::Whole(_) => (StreamFailure::default(), None),
        };
        let (request, progress) = request::signed(outgoing, credentials, now)?;
        let answered = self.await_answer(client.request(request), &progress).await;
        let outcome = match answered {
            Ok(response) => {
                let paced = |body| Idle::new(body, self.limits.upstream_timeout);
                let paced = response.map(|body| paced(body).within(conversation.clone()));
                let checked = answer::checked(paced, session).await;
                checked.map(|answer| answer.map(|body| body.within(conversation)))
            }
            Err(delivery) => Err(failure.refusal().unwrap_or(Refusal::UpstreamUnreachable {
                host,
                state: delivery,
            })),
        };
        let label = if outcome.is_ok() {
            "answered"
        } else {
            "failed"
        };
        metrics::counter!("portcullis_upstream_calls_total", "outcome" => label).increment(1);
        outcome
    }

    async fn client(
        &self,
        session: &Session,
        versions: Versions,
    ) -> Result<Client<Connector, Watched>, Refusal> {
        let connector = self
            .connectors
            .get(&(session.connection.clone(), versions))
            .ok_or(Refusal::Internal)?;
        let key = PoolKey {
            connection: session.connection.clone(),
            role: session.role.clone(),
            principal: session.principal.to_string(),
            versions,
        };
        Ok(self.pools.get_with(key, async { pool(connector) }).await)
    }

    /// Waits for the head of the answer, for at most the upstream time-out since the last byte of
    /// the request went out.
    async fn await_answer<F>(
        &self,
        answer: F,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Delivery>
    where
        F: Future<Output = Result<Response<Incoming>, hyper_util::client::legacy::Error>>,
    {
        tokio::select! {
            answer = answer => answer.map_err(|error| delivery(&error)),
            () = progress.stalled_for(self.limits.upstream_timeout) => {
                tracing::warn!("AWS did not answer in time");
                Err(Delivery::Unknown)
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// A pooled connection that turns out closed is replaced by a fresh one, but only
/// while the library still holds the whole request, so nothing can have been sent.
fn pool(connector: &Connector) -> Client<Connector, Watched> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .retry_canceled_requests(true)
        .set_host(false)
        .build(connector.clone())
}

fn delivery(error: &hyper_util::client::legacy::Error) -> Delivery {
    tracing::warn!(%error, cause = error.source(), "AWS was not reached");
    if error.is_connect() {
        Delivery::NotSent
    } else {
        Delivery::Unknown
    }
}

/// What is sent over a connection.
type SignedCall = Request<Watched>;

#[cfg(test)]
mod tests;
