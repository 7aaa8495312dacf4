//! Where a session's calls land: its connection's account and partition, and the regions it may
//! use.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_core::access::Session;
use portcullis_core::call::Call;
use portcullis_core::catalog::Catalog;
use portcullis_core::destination::{Destination, Target, Variant};
use portcullis_core::interpret::Place;
use portcullis_core::reach::Reach;
use portcullis_core::refusal::Refusal;

use crate::config::Config;

/// One place a connection, made once.
#[derive(Debug)]
pub struct Places {
    config: Arc<Config>,
    by_connection: HashMap<String, Place>,
}

impl Places {
    /// The places of all connections.
    pub fn new(config: Arc<Config>) -> Self {
        let hostnames: Vec<String> = config.listen.hostname.clone().into_iter().collect();
        let place = |connection: &crate::config::Connection| Place {
            partition: connection.partition.clone(),
            account: connection.account.clone(),
            hostnames: hostnames.clone(),
            unknown_members: connection.unknown_members.clone(),
        };
        let by_connection = config
            .connections
            .iter()
            .map(|connection| (connection.name.clone(), place(connection)))
            .collect();
        Self {
            config,
            by_connection,
        }
    }

    /// Where a session's calls land. A token only says what was true when it was issued, so the
    /// configuration has the last word.
    ///
    /// # Errors
    /// [`Refusal::RoleNotPermitted`] when its connection or role is no longer configured, or no
    /// longer open to any of its groups.
    pub fn of(&self, session: &Session) -> Result<&Place, Refusal> {
        let gone = || Refusal::RoleNotPermitted {
            role: session.role.clone(),
        };
        let connection = self.config.connection(&session.connection);
        let role = connection
            .and_then(|connection| {
                connection
                    .roles
                    .iter()
                    .find(|role| role.name == session.role)
            })
            .ok_or_else(gone)?;
        let groups = &session.principal.groups;
        if !role.groups.iter().any(|group| groups.contains(group)) {
            return Err(gone());
        }
        self.by_connection.get(&session.connection).ok_or_else(gone)
    }

    /// Holds a call, and one presigned inside it, to its connection's regions. A global service is
    /// where any of them is; a call for a set of regions must name some of them and no other.
    ///
    /// # Errors
    /// [`Refusal::RegionNotAllowed`].
    pub fn check_region(&self, session: &Session, call: &Call) -> Result<(), Refusal> {
        let connection = self
            .config
            .connection(&session.connection)
            .ok_or(Refusal::SessionInvalid)?;
        let Some(regions) = &connection.regions else {
            return Ok(());
        };
        let served = |wanted: &str| {
            regions.iter().any(|region| region == wanted)
                || regions.iter().any(|region| is_global(call, region, wanted))
        };
        match call.reaches().find(|reach| !reach.is_within(served)) {
            None => Ok(()),
            Some(reach) => Err(Refusal::RegionNotAllowed {
                connection: connection.name.clone(),
                region: reach.to_string(),
                allowed: allowed(regions, reach),
            }),
        }
    }
}

/// The regions, with the way to name them where the signature has to.
fn allowed(regions: &[String], reach: &Reach) -> String {
    match reach {
        Reach::Region(_) => regions.join(", "),
        Reach::Set(_) => format!(
            "{}; name no others, e.g. `AWS_SIGV4A_SIGNING_REGION_SET={}`",
            regions.join(", "),
            regions.join(",")
        ),
    }
}

/// Whether the service's endpoint for `region` is in the wanted region all the same, as IAM's is in
/// `us-east-1`.
fn is_global(call: &Call, region: &str, wanted: &str) -> bool {
    let target = Target {
        service: call.service(),
        operation: call.operation(),
        partition: call.partition(),
        region,
        variant: Variant::Plain, // one region whichever endpoint
    };
    Destination::build(Catalog::embedded(), &target, call.host_prefix())
        .is_ok_and(|destination| destination.signing_region() == wanted)
}
