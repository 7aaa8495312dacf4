//! What the audit log says of a call: the records, their JSON form and the frames they are kept in.
//!
//! A call that goes ahead leaves an [`Intent`] before anything is sent and an [`Outcome`] before
//! anything is answered; a call that is refused leaves both in one record. [`Draft`] turns either
//! into bytes, [`frame`] and [`segment`] say how those bytes lie in a file and how they are chained,
//! and [`entry`] merges what belongs together for people who read. Nothing here does I/O.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::access::Session;
use crate::call::{AccessLevel, Action, Call};

pub mod draft;
pub mod entry;
pub mod event;
pub mod frame;
pub mod segment;
pub mod text;

pub use draft::{Draft, TooLarge};
pub use event::{Event, Suppressed};

/// What is known of a call when it is decided. Refused calls have the same members, as far as the
/// gateway came to understand them.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The call's id.
    pub id: RequestId,
    /// When the request arrived.
    pub time: OffsetDateTime,
    /// The agent's address.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header as sent.
    pub user_agent: Option<&'a str>,
    /// Who asked; absent where nobody was authenticated.
    pub session: Option<&'a Session>,
    /// What was asked; absent where it was not understood.
    pub called: Option<Called<'a>>,
    /// What was decided.
    pub decision: Decision,
    /// The rules that decided, as `plugin/rule`.
    pub rules: &'a [String],
    /// The decisive rule's own words.
    pub reason: Option<&'a str>,
    /// Id of the approval that was spent.
    pub approval: Option<&'a str>,
    /// The plugin generation that decided.
    pub generation: Option<u64>,
    /// Name and content digest of every plugin of that generation.
    pub plugins: &'a [(String, String)],
    /// SHA-256 of the canonical call.
    pub digest: Option<[u8; 32]>,
    /// How long each step took, in microseconds.
    pub timings: &'a [(&'static str, u32)],
    /// The typed request, with everything secret already left out by the caller.
    pub params: Option<&'a serde_json::Value>,
}

impl Intent<'_> {
    /// An intent that says nothing yet but when; its decision is [`Decision::Error`] until set.
    pub fn new(id: RequestId, time: OffsetDateTime) -> Self {
        Self {
            id,
            time,
            source_ip: None,
            user_agent: None,
            session: None,
            called: None,
            decision: Decision::Error,
            rules: &[],
            reason: None,
            approval: None,
            generation: None,
            plugins: &[],
            digest: None,
            timings: &[],
            params: None,
        }
    }
}

/// `params` is left out: [`Draft`] appends it, because it alone may have to be cut.
impl Serialize for Intent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("time", &text::Time(self.time))?;
        self.serialize_source(&mut map)?;
        if let Some(called) = &self.called {
            called.serialize_into(&mut map)?;
        }
        self.serialize_decision(&mut map)?;
        if !self.timings.is_empty() {
            map.serialize_entry("timings_us", &text::Pairs(self.timings))?;
        }
        map.end()
    }
}

impl Intent<'_> {
    fn serialize_source<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(ip) = self.source_ip {
            map.serialize_entry("source_ip", &text::Shown(ip))?;
        }
        if let Some(agent) = self.user_agent {
            map.serialize_entry("user_agent", &text::Short(agent))?;
        }
        let Some(session) = self.session else {
            return Ok(());
        };
        map.serialize_entry("principal", &text::Shown(&session.principal))?;
        map.serialize_entry("groups", &session.principal.groups)?;
        map.serialize_entry("session", &text::Short(&session.name))?;
        map.serialize_entry("access_key_id", &session.access_key_id)?;
        if let Some(parent) = &session.parent {
            map.serialize_entry("parent_access_key_id", parent)?;
        }
        if let Some(confinement) = &session.confined_to {
            map.serialize_entry("confined_to", confinement)?;
        }
        map.serialize_entry("role", &session.role)?;
        map.serialize_entry("connection", &session.connection)
    }

    fn serialize_decision<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("decision", self.decision.as_str())?;
        if !self.rules.is_empty() {
            map.serialize_entry("rules", self.rules)?;
        }
        if let Some(reason) = self.reason {
            map.serialize_entry("reason", &text::Short(reason))?;
        }
        if let Some(approval) = self.approval {
            map.serialize_entry("approval", approval)?;
        }
        if let Some(generation) = self.generation {
            map.serialize_entry("generation", &generation)?;
        }
        if !self.plugins.is_empty() {
            map.serialize_entry("plugins", &text::Pairs(self.plugins))?;
        }
        match &self.digest {
            Some(digest) => map.serialize_entry("digest", &text::Hex(digest)),
            None => Ok(()),
        }
    }
}

/// The call itself, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// botocore's service name.
    pub service: &'a str,
    /// The API operation.
    pub operation: &'a str,
    /// The region of the credential scope, or the region set that was signed, e.g. `*`.
    pub region: &'a str,
    /// The connection's account, twelve digits.
    pub account: &'a str,
    /// The strongest access level among the actions.
    pub access: AccessLevel,
    /// Every (IAM action, resource) pair.
    pub actions: &'a [Action],
    /// Paths of parameters that the catalog does not know.
    pub unknown_members: &'a [String],
}

impl<'a> From<&'a Call> for Called<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            service: call.service(),
            operation: call.operation(),
            region: call.reach().as_str(),
            account: call.account(),
            access: call.access(),
            actions: call.actions(),
            unknown_members: call.unmodelled(),
        }
    }
}

impl Called<'_> {
    fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("service", self.service)?;
        map.serialize_entry("operation", self.operation)?;
        map.serialize_entry("region", self.region)?;
        map.serialize_entry("account", self.account)?;
        map.serialize_entry("access", self.access.as_str())?;
        map.serialize_entry("pairs", &text::ActionPairs(self.actions))?;
        if self.unknown_members.is_empty() {
            return Ok(());
        }
        map.serialize_entry("unknown_members", self.unknown_members)
    }
}

/// What was decided about a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may be sent.
    Allow,
    /// A person has to say yes first.
    Approval,
    /// Policy said no.
    Deny,
    /// The gateway could not or would not take it as far as policy.
    Error,
    /// Nobody was authenticated.
    Unauthenticated,
}

impl Decision {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approval => "approval",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// How a call ended. Members that are not known stay absent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome<'a> {
    /// What became of it.
    pub outcome: End,
    /// When.
    #[serde(rename = "ended", serialize_with = "text::time")]
    pub time: OffsetDateTime,
    /// The HTTP status the agent is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The HTTP status AWS gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// AWS's own request id: the join with CloudTrail.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "text::short"
    )]
    pub aws_request_id: Option<&'a str>,
    /// Bytes of the response body, where it was read whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// The error code the agent is given, by the gateway or by AWS, e.g. `AccessDeniedException`;
    /// also of an error that AWS answered behind a status of success.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "text::short"
    )]
    pub error_code: Option<&'a str>,
    /// Whose fault an error is: `downstream`, `upstream` or `internal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<&'a str>,
    /// What the gateway told the agent. AWS's own words are not kept: they may repeat parameters.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "text::short"
    )]
    pub error_message: Option<&'a str>,
    /// The access key of the session that the answer carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_access_key_id: Option<&'a str>,
    /// How long each step took, in microseconds.
    #[serde(
        skip_serializing_if = "<[_]>::is_empty",
        serialize_with = "text::pairs"
    )]
    #[serde(rename = "timings_us")]
    pub timings: &'a [(&'static str, u32)],
}

impl Outcome<'_> {
    /// An outcome of which only the end is known.
    pub fn new(outcome: End, time: OffsetDateTime) -> Self {
        Self {
            outcome,
            time,
            status: None,
            upstream_status: None,
            aws_request_id: None,
            response_bytes: None,
            error_code: None,
            error_class: None,
            error_message: None,
            issued_access_key_id: None,
            timings: &[],
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The agent went away before its answer; whether AWS carried the call out is in `upstream_status`.
    Abandoned,
    /// AWS answered and the agent was given the answer.
    Answered,
    /// It was sent, and the answer failed or was withheld.
    Failed,
    /// The answer was cut while it streamed.
    Interrupted,
    /// Nothing was sent to AWS.
    NotSent,
    /// The gateway stopped between intent and outcome: it may have been carried out.
    Unknown,
}

/// A call's id: a version 7 UUID (RFC 9562 §5.7), so ids sort by time of arrival.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u128);

impl RequestId {
    /// Makes an id from the time of arrival and ten random bytes.
    pub fn new(time: OffsetDateTime, random: [u8; 10]) -> Self {
        let millis = u128::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let random = random
            .iter()
            .fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let rand_a = (random >> 62) & 0xfff;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self((millis << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not a request id: write it as in `audit list`, e.g. `0190c5f2-7d3a-7c11-b1d0-3f6a2e5b9c04`"
)]
pub struct NotAnId;

impl FromStr for RequestId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parts: Vec<&str> = text.split('-').collect();
        if parts.iter().map(|part| part.len()).ne([8, 4, 4, 4, 12])
            || !text
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        {
            return Err(NotAnId);
        }
        u128::from_str_radix(&parts.concat(), 16)
            .map(Self)
            .map_err(|_| NotAnId)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0_u8; 36];
        let digits = b"0123456789abcdef";
        let mut shift = 128_u32;
        for (at, slot) in buffer.iter_mut().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                *slot = b'-';
                continue;
            }
            shift = shift.saturating_sub(4);
            let nibble = usize::try_from((self.0 >> shift) & 0xf).unwrap_or(0);
            *slot = digits.get(nibble).copied().unwrap_or(b'0');
        }
        serializer.serialize_str(core::str::from_utf8(&buffer).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
