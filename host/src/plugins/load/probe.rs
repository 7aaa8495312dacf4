//! The harmless call that a plugin has to answer before it serves.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use portcullis_core::access::{Principal, Session};
use portcullis_core::call::{AccessLevel, Action};
use serde_json::Value;
use time::OffsetDateTime;

use crate::plugins::question::{CallFacts, Question};

/// `sts:GetCallerIdentity` by nobody.
pub(super) fn probe() -> Question {
    let time = OffsetDateTime::UNIX_EPOCH;
    Question {
        request_id: "self-test".to_owned(),
        session: Session {
            principal: Principal {
                issuer: "https://self-test.invalid".to_owned(),
                subject: "self-test".to_owned(),
                email: None,
                groups: Vec::new(),
            },
            name: "self-test".to_owned(),
            access_key_id: "PCAKSELFTEST".to_owned(),
            connection: "self-test".to_owned(),
            role: "self-test".to_owned(),
            parent: None,
            confined_to: None,
            issued_at: time,
            expires_at: time,
        },
        call: CallFacts {
            service: "sts".to_owned(),
            operation: "GetCallerIdentity".to_owned(),
            protocol: "query".to_owned(),
            partition: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            params: Value::Object(serde_json::Map::new()),
            actions: vec![Action {
                name: "sts:GetCallerIdentity".to_owned(),
                resource: "*".to_owned(),
                access: AccessLevel::Read,
            }],
        },
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "self-test".to_owned(),
        time,
        headers: HeaderMap::new(),
    }
}
