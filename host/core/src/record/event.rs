//! What the log says beside calls: credentials issued, generations changed, starts, stops and repairs.

use core::net::IpAddr;

use serde::Serialize;
use time::OffsetDateTime;

use super::text;
use crate::access::Session;

/// Something that happened to the gateway or by it, outside any one call.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// A principal was given gateway credentials.
    CredentialsIssued {
        /// Written as its members.
        #[serde(flatten, serialize_with = "write_session")]
        session: &'a Session,
        /// Where they were handed to.
        #[serde(skip_serializing_if = "Option::is_none")]
        source_ip: Option<IpAddr>,
        /// The `User-Agent` header as sent.
        #[serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "text::short"
        )]
        user_agent: Option<&'a str>,
    },
    /// The log was mended: after a crash, a full disk or a failed write.
    Recovered {
        /// What had happened, for people.
        cause: &'a str,
        /// The segment file concerned.
        segment: &'a str,
        /// The sequence number that the damaged or discarded part began at.
        sequence: u64,
        /// Bytes after the last good record that were taken out of the segment.
        torn_bytes: u64,
        /// SHA-256 of those bytes, hex.
        #[serde(skip_serializing_if = "Option::is_none")]
        torn_sha256: Option<&'a str>,
        /// The file they were copied to.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept_as: Option<&'a str>,
        /// Calls whose outcome nobody knows.
        unknown: u64,
        /// Refusals that could not be recorded meanwhile.
        unrecorded: u64,
    },
    /// A new plugin generation serves.
    Reloaded {
        /// Its number.
        generation: u64,
        /// Name and content digest of every plugin.
        #[serde(serialize_with = "write_plugins")]
        plugins: &'a [(String, String)],
    },
    /// A new plugin generation was not taken; the previous one goes on serving.
    ReloadRefused {
        /// Why.
        reason: &'a str,
    },
    /// The gateway started.
    Started {
        /// Its version.
        version: &'a str,
        /// SHA-256 of the configuration file, hex.
        config_sha256: &'a str,
    },
    /// The gateway stopped in good order.
    Stopped {
        /// Why, e.g. `SIGTERM`.
        reason: &'a str,
    },
    /// Unauthenticated requests that were counted instead of recorded one by one.
    Suppressed(Suppressed),
}

/// Exact counts of unauthenticated requests without a record of their own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Suppressed {
    /// When counting began; it ended when this was written.
    #[serde(serialize_with = "text::time")]
    pub since: OffsetDateTime,
    /// All of them.
    pub total: u64,
    /// The addresses they came from, with a count each.
    #[serde(serialize_with = "write_sources")]
    pub sources: Vec<(IpAddr, u64)>,
    /// From addresses that found no room in `sources`.
    pub other_sources: u64,
}

/// An event and its time, as it is written.
#[derive(Debug, Serialize)]
pub(super) struct Timed<'a> {
    #[serde(serialize_with = "text::time")]
    pub(super) time: OffsetDateTime,
    #[serde(flatten)]
    pub(super) event: &'a Event<'a>,
}

fn write_session<S: serde::Serializer>(
    session: &&Session,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Members<'a> {
        principal: text::Shown<&'a crate::access::Principal>,
        groups: &'a [String],
        session: text::Short<'a>,
        access_key_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_access_key_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        confined_to: Option<&'a crate::directory_bucket::Confinement>,
        role: &'a str,
        connection: &'a str,
        expires: text::Time,
    }
    Members {
        principal: text::Shown(&session.principal),
        groups: &session.principal.groups,
        session: text::Short(&session.name),
        access_key_id: &session.access_key_id,
        parent_access_key_id: session.parent.as_deref(),
        confined_to: session.confined_to.as_ref(),
        role: &session.role,
        connection: &session.connection,
        expires: text::Time(session.expires_at),
    }
    .serialize(serializer)
}

fn write_plugins<S: serde::Serializer>(
    plugins: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text::Pairs(plugins).serialize(serializer)
}

fn write_sources<S: serde::Serializer>(
    sources: &[(IpAddr, u64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text::Pairs(sources).serialize(serializer)
}
