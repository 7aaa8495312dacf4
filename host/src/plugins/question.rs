//! What plugins are asked about: one call with who makes it, in plain values.
//!
//! [`CallFacts`] can also be written by hand, which is how policies are explained and tested
//! offline. Nothing here can be sent to AWS.

use std::net::IpAddr;

use http::HeaderMap;
use portcullis_core::access::Session;
use portcullis_core::call::{AccessLevel, Action, Call};
use portcullis_core::catalog::Protocol;
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Everything a plugin may learn of one call.
#[derive(Clone, Debug)]
pub struct Question {
    /// The host's id for the request.
    pub request_id: String,
    /// Who asks.
    pub session: Session,
    /// What is asked.
    pub call: CallFacts,
    /// Where the request came from.
    pub source_ip: IpAddr,
    /// The `User-Agent`, empty if there was none.
    pub user_agent: String,
    /// When the request arrived.
    pub time: OffsetDateTime,
    /// The request's headers; those that carry credentials or signatures are never handed out.
    pub headers: HeaderMap,
}

/// A decoded call in the shape plugins see.
#[derive(Clone, Debug, PartialEq)]
pub struct CallFacts {
    /// botocore's service name.
    pub service: String,
    /// The API operation.
    pub operation: String,
    /// e.g. `rest-xml`.
    pub protocol: String,
    /// e.g. `aws`.
    pub partition: String,
    /// e.g. `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The decoded input, an object. See `Value::to_json` for what JSON lacks.
    pub params: Json,
    /// Every (IAM action, resource) pair.
    pub actions: Vec<Action>,
}

impl CallFacts {
    /// The most powerful access level among the actions.
    pub fn access(&self) -> AccessLevel {
        self.actions
            .iter()
            .map(|action| action.access)
            .max()
            .unwrap_or(AccessLevel::Unknown)
    }
}

impl From<&Call> for CallFacts {
    fn from(call: &Call) -> Self {
        Self {
            service: call.service().to_owned(),
            operation: call.operation().to_owned(),
            protocol: protocol(call.protocol()).to_owned(),
            partition: call.partition().to_owned(),
            region: call.reach().to_string(),
            account: call.account().to_owned(),
            params: call.params().to_json(),
            actions: call.actions().to_vec(),
        }
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ec2Query => "ec2-query",
        Protocol::Json10 => "json-1.0",
        Protocol::Json11 => "json-1.1",
        Protocol::Query => "query",
        Protocol::RestJson => "rest-json",
        Protocol::RestXml => "rest-xml",
        Protocol::RpcV2Cbor => "rpc-v2-cbor",
    }
}

/// RFC 3339 in UTC with milliseconds: the one form in which plugins see a time.
pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(time::UtcOffset::UTC)
        .format(FORMAT)
        .unwrap_or_default()
}
