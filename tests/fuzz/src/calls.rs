//! Requests that are decoded: whatever is accepted is labelled as the wire names it, and its
//! parameters are what another decoder of the same bytes reads.

use std::sync::OnceLock;

use portcullis_core::call::{Call, Value};
use portcullis_core::catalog::{Catalog, Protocol};
use portcullis_core::interpret::{Place, Witness, interpret};
use portcullis_core::sigv4::{Payload, VerifiedRequest};

use crate::request::{self, Request};
use crate::{bounded, oracle};

pub(crate) fn json(bytes: &[u8]) {
    let Some((request, call)) = accepted(bytes) else {
        return;
    };
    if !matches!(call.protocol(), Protocol::Json10 | Protocol::Json11) {
        return;
    }
    let target = text(&request, "x-amz-target");
    assert_eq!(target.rsplit('.').next(), Some(call.operation()), "label");
    oracle::json::compare(&body(&request), call.params());
}

pub(crate) fn cbor(bytes: &[u8]) {
    let Some((request, call)) = accepted(bytes) else {
        return;
    };
    if call.protocol() != Protocol::RpcV2Cbor {
        return;
    }
    let named = request.head().path.rsplit('/').next();
    assert_eq!(named, Some(call.operation()), "label");
    oracle::cbor::compare(&body(&request), call.params());
}

pub(crate) fn query(bytes: &[u8]) {
    form(bytes, Protocol::Query);
}

pub(crate) fn ec2(bytes: &[u8]) {
    form(bytes, Protocol::Ec2Query);
}

fn form(bytes: &[u8], protocol: Protocol) {
    let Some((request, call)) = accepted(bytes) else {
        return;
    };
    if call.protocol() == protocol {
        oracle::form::compare(&body(&request), &call);
    }
}

pub(crate) fn rest_json(bytes: &[u8]) {
    let Some((request, call)) = accepted(bytes) else {
        return;
    };
    if call.protocol() != Protocol::RestJson {
        return;
    }
    check_route(&request, &call);
    let media = text(&request, "content-type");
    if media == "application/json" {
        oracle::json::contained(&body(&request), call.params());
    }
}

pub(crate) fn rest_xml(bytes: &[u8]) {
    let Some((request, call)) = accepted(bytes) else {
        return;
    };
    if call.protocol() != Protocol::RestXml {
        return;
    }
    check_route(&request, &call);
    oracle::xml::contained(&body(&request), call.params());
}

pub(crate) fn label(bytes: &[u8]) -> Option<String> {
    let (_, call) = accepted(bytes)?;
    Some(format!("{}:{}", call.service(), call.operation()))
}

/// A call that was signed and accepted, if the input is one.
fn accepted(bytes: &[u8]) -> Option<(VerifiedRequest, Call)> {
    let request = Request::parse(bytes)?;
    let (verified, call) = read(request.clone(), bytes.len())?;
    assert!(!call.actions().is_empty(), "a call without an action");
    assert!(
        matches!(call.params(), Value::Structure(_)),
        "an input that is no structure"
    );
    for (what, body) in oracle::second_readings(&call, &request.body) {
        let bent = Request {
            body,
            ..request.clone()
        };
        let shown = String::from_utf8_lossy(&bent.body).into_owned();
        assert!(
            read(bent, bytes.len() + 100).is_none(),
            "{what} was accepted: {shown}"
        );
    }
    Some((verified, call))
}

fn read(request: Request, length: usize) -> Option<(VerifiedRequest, Call)> {
    let verified = request.sign()?.verify().ok()?;
    let secret = request::secret();
    let witness = Witness {
        secret: &secret,
        now: request::now(),
    };
    let read = || interpret(Catalog::embedded(), &verified, place(), witness);
    let call = bounded(length, read).ok()?;
    Some((verified, call))
}

/// The method is the operation's own, and every fixed part of its path is in the request's.
fn check_route(request: &VerifiedRequest, call: &Call) {
    let service = Catalog::embedded().service(call.service()).unwrap();
    let operation = service.operation(call.operation()).unwrap();
    assert_eq!(request.head().method.as_str(), operation.method, "method");
    let (path, query) = operation
        .uri
        .split_once('?')
        .unwrap_or((&operation.uri, ""));
    let mut rest = request.head().path.as_str();
    let literals = path
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'));
    for literal in literals {
        let behind = rest.split_once(literal).map(|(_, behind)| behind);
        rest = behind.unwrap_or_else(|| panic!("{} without {literal}", call.operation()));
    }
    let given = request.head().query.as_deref().unwrap_or_default();
    for fixed in query.split('&').filter(|fixed| !fixed.is_empty()) {
        let name = fixed.split('=').next().unwrap();
        let here = given
            .split('&')
            .any(|pair| oracle::form::name(pair) == name);
        assert!(here, "{} without {fixed}", call.operation());
    }
}

fn text(request: &VerifiedRequest, name: &str) -> String {
    let value = request.head().headers.get(name);
    let text = value.and_then(|value| value.to_str().ok());
    text.unwrap_or_default().to_owned()
}

fn body(request: &VerifiedRequest) -> Vec<u8> {
    match request.payload() {
        Payload::Whole(bytes) => bytes.to_vec(),
        Payload::Events | Payload::Streamed => panic!("a body that was read is a stream"),
    }
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| Place {
        partition: "aws".to_owned(),
        account: "123456789012".to_owned(),
        hostnames: vec!["gw.example".to_owned()],
        unknown_members: Vec::new(),
    })
}
