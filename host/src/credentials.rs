//! AWS credentials for permitted calls: one `AssumeRole` for each session in each role, kept until
//! two thirds of its life.
//!
//! A connection's own credential comes from the one source its configuration names, never from
//! the SDK's default chain. The cache key is everything that went into the credential, so that
//! no session is ever served with another's. Secrets never reach a log: AWS's type hides them.

use std::collections::HashMap;
use std::sync::Arc;

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::error::CredentialsError;
use portcullis_core::access::{Permit, Session};
use portcullis_core::reach::Reach;
use portcullis_core::refusal::Refusal;
use time::OffsetDateTime;

use crate::config::{Connection, Role};

mod assume;
mod base;
mod http;
mod names;
mod shelf;

use assume::Assumption;
use base::Base;
use shelf::Shelf;

/// Credentials kept for sessions; the least used ones go first.
const SHELF_SIZE: u64 = 10_000;

/// Mints credentials for all connections.
#[derive(Debug)]
pub struct Credentials {
    connections: HashMap<String, Source>,
    bases: Shelf<String>,
    assumed: Shelf<Assumption>,
}

/// One connection's own credential and what it may become.
#[derive(Debug)]
struct Source {
    base: Arc<Base>,
    roles: Vec<Role>,
}

impl Credentials {
    /// Prepares all connections; asks nobody for anything yet.
    ///
    /// # Errors
    /// When the CA of a connection's endpoint cannot be read.
    pub fn new(connections: &[Connection]) -> anyhow::Result<Self> {
        let source = |connection: &Connection| {
            let source = Source {
                base: Arc::new(Base::new(connection)?),
                roles: connection.roles.clone(),
            };
            Ok((connection.name.clone(), source))
        };
        Ok(Self {
            connections: connections
                .iter()
                .map(source)
                .collect::<anyhow::Result<_>>()?,
            bases: Shelf::new(SHELF_SIZE),
            assumed: Shelf::new(SHELF_SIZE),
        })
    }

    /// The credential to send a permitted call with.
    ///
    /// # Errors
    /// [`Refusal::CredentialsUnavailable`]; the reason is in the log only.
    pub async fn mint(
        &self,
        permit: &Permit,
        now: OffsetDateTime,
    ) -> Result<AwsCredentials, Refusal> {
        self.for_session(permit.session(), permit.call().reach(), now)
            .await
    }

    async fn for_session(
        &self,
        session: &Session,
        reach: &Reach,
        now: OffsetDateTime,
    ) -> Result<AwsCredentials, Refusal> {
        let unavailable = || Refusal::CredentialsUnavailable {
            role: session.role.clone(),
        };
        let source = self
            .connections
            .get(&session.connection)
            .ok_or_else(unavailable)?;
        // Every region's own STS gives tokens that are good in all regions, which the global one
        // does not: a call without a region is served by one that the account surely has.
        let region = reach.region().unwrap_or_else(|| source.base.region());
        self.minted(source, session, region, now)
            .await
            .map_err(|error| {
                let cause = aws_sdk_sts::error::DisplayErrorContext(&error);
                tracing::error!(
                    connection = session.connection,
                    role = session.role,
                    %cause,
                    "no AWS credential; for AssumeRole check that the role's trust policy allows \
                     sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity to the gateway"
                );
                unavailable()
            })
    }

    async fn minted(
        &self,
        source: &Source,
        session: &Session,
        region: &str,
        now: OffsetDateTime,
    ) -> Result<AwsCredentials, Arc<CredentialsError>> {
        let named = |role: &&Role| role.name == session.role;
        let role = source.roles.iter().find(named).ok_or_else(|| {
            Arc::new(CredentialsError::invalid_configuration(
                "the connection has no such role",
            ))
        })?;
        let fetch_base = || source.base.fetch();
        let base = self
            .bases
            .get(session.connection.clone(), now, fetch_base)
            .await?;
        let Some(arn) = &role.assume else {
            return Ok(base);
        };
        let assumption = Assumption::of(session, role, (arn, region), &base);
        let fetch = || source.base.assume(&assumption, &base);
        self.assumed.get(assumption.clone(), now, fetch).await
    }
}

#[cfg(test)]
mod tests;
