//! What AWS, or something in its place, answers: decoding never costs more than a bound, and what is
//! read of an answer does not depend on how often it is read.
//!
//! Input: `<service> <operation> <protocol> <status>`, headers, an empty line, the body.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portcullis_core::answer::{Body, Expected, Received};
use portcullis_core::catalog::{Catalog, Protocol};

use crate::bounded;

pub(crate) fn check(bytes: &[u8]) {
    let Some((expected, status, headers, body)) = parse(bytes) else {
        return;
    };
    let received = Received {
        status,
        headers: &headers,
        body: Body::Whole(&body),
    };
    let Ok(answer) = bounded(bytes.len(), || expected.decode(&received)) else {
        return;
    };
    let error = bounded(bytes.len(), || expected.error(&received));
    if let Err(read) = &answer.result {
        assert_eq!(Some(read), error.as_ref(), "two readings of an error");
    }
}

fn parse(bytes: &[u8]) -> Option<(Expected, StatusCode, HeaderMap, Bytes)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = text.split('\n');
    let mut words = lines.next()?.split(' ');
    let (service, operation) = (words.next()?, words.next()?);
    let protocol = protocol(words.next()?)?;
    let status = StatusCode::from_bytes(words.next()?.as_bytes()).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    let expected = Expected::new(Catalog::embedded(), service, operation, protocol)?;
    let body = Bytes::copy_from_slice(&bytes[end + 2..]);
    Some((expected, status, headers, body))
}

fn protocol(name: &str) -> Option<Protocol> {
    Some(match name {
        "ec2" => Protocol::Ec2Query,
        "json" => Protocol::Json11,
        "query" => Protocol::Query,
        "rest-json" => Protocol::RestJson,
        "rest-xml" => Protocol::RestXml,
        "smithy-rpc-v2-cbor" => Protocol::RpcV2Cbor,
        _ => return None,
    })
}
