//! Reads what `tests/e2e/clients/generate_outputs.py` wrote, named by `PORTCULLIS_OUTPUTS`, and
//! compares it value by value with what botocore's own parser read from the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use serde_json::{Value as Json, json};

use super::*;
use crate::call::tests::plain;
use crate::event_stream::Frame;
use crate::event_stream::events::{Direction, Event, Events};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the generated outputs are a file that only this test reads"
)]
fn generated_answers_are_read_as_botocore_reads_them() {
    let path = std::env::var("PORTCULLIS_OUTPUTS")
        .expect("`cargo xtask test` generates the outputs and sets PORTCULLIS_OUTPUTS");
    let text = std::fs::read_to_string(path).unwrap();
    let mut tally: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let (class, detail) = judge(&case);
        tally.entry(class).or_default().push(detail);
    }
    let mut report = String::new();
    for (class, details) in &tally {
        writeln!(report, "{:6} {class}", details.len()).unwrap();
        if !class.starts_with("equal") {
            for detail in details.iter().take(12) {
                writeln!(report, "         {detail}").unwrap();
            }
        }
    }
    println!("{report}");
    let count = |class: &str| tally.get(class).map_or(0, Vec::len);
    assert!(count("equal output") > 20_000, "{report}");
    assert!(count("equal error") > 4_000, "{report}");
    assert!(count("equal events") > 20, "{report}");
    assert!(
        tally.keys().all(|class| class.starts_with("equal")),
        "{report}"
    );
}

/// How one case came out, and what to look at.
fn judge(case: &Json) -> (String, String) {
    let text = |name: &str| case[name].as_str().unwrap();
    let kind = text("kind");
    let name = format!(
        "{}:{} {}",
        text("service"),
        text("operation"),
        text("protocol")
    );
    let protocol = protocol(text("protocol"), text("json_version"));
    let expected = Expected::new(
        Catalog::embedded(),
        text("service"),
        text("operation"),
        protocol,
    );
    let Some(expected) = expected else {
        return ("not in the catalog".to_owned(), name);
    };
    let read = match kind {
        "output" | "error" => whole(&expected, case),
        "events" => events(&expected, &case["expected"]),
        _ => return ("unknown kind".to_owned(), name),
    };
    match read {
        Err(unreadable) => (
            format!("not decoded: {kind}"),
            format!("{name}: {unreadable}"),
        ),
        Ok(read) if read == case["expected"] => (format!("equal {kind}"), name),
        Ok(read) => (
            format!("wrong {kind}"),
            format!(
                "{name}:\n   botocore {}\n   read     {read}",
                case["expected"]
            ),
        ),
    }
}

fn whole(expected: &Expected, case: &Json) -> Result<Json, Unreadable> {
    let headers = headers(&case["headers"]);
    let bytes = Bytes::from(STANDARD.decode(case["body"].as_str().unwrap()).unwrap());
    let streamed = case["streamed"].as_bool().unwrap_or_default();
    let answer = expected.decode(&Received {
        status: StatusCode::from_u16(u16::try_from(case["status"].as_u64().unwrap()).unwrap())
            .unwrap(),
        headers: &headers,
        body: if streamed {
            Body::Streamed
        } else {
            Body::Whole(&bytes)
        },
    })?;
    Ok(match answer.result {
        Ok(output) => plain(&output),
        Err(error) => json!({
            "code": error.code,
            "message": error.message,
            "shape": error.shape,
            "members": plain(&error.members),
        }),
    })
}

/// Each message by itself: botocore stops at the first exception.
fn events(expected: &Expected, messages: &Json) -> Result<Json, Unreadable> {
    let operation = expected.operation().unwrap();
    let events = Events::new(
        &expected.service,
        operation,
        expected.protocol,
        Direction::Output,
    )
    .unwrap();
    let mut read = Vec::new();
    for message in messages.as_array().unwrap() {
        let bytes = STANDARD.decode(message["frame"].as_str().unwrap()).unwrap();
        let (name, exception, value) = match events.decode(&Frame::parse(bytes.into()).unwrap())? {
            Event::Event { name, value } => (name, false, value),
            Event::Exception { name, value } => (name, true, value),
            Event::Error { .. } | Event::Initial(_) | Event::Unknown { .. } => {
                return Err(Unreadable("another event".to_owned()));
            }
        };
        read.push(json!({
            "frame": message["frame"],
            "name": name,
            "exception": exception,
            "value": plain(&value),
        }));
    }
    Ok(Json::Array(read))
}

fn protocol(name: &str, json_version: &str) -> Protocol {
    match (name, json_version) {
        ("ec2", _) => Protocol::Ec2Query,
        ("json", "1.1") => Protocol::Json11,
        ("json", _) => Protocol::Json10,
        ("query", _) => Protocol::Query,
        ("rest-json", _) => Protocol::RestJson,
        ("rest-xml", _) => Protocol::RestXml,
        ("smithy-rpc-v2-cbor", _) => Protocol::RpcV2Cbor,
        _ => panic!("{name}"),
    }
}

fn headers(pairs: &Json) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in pairs.as_array().unwrap() {
        headers.append(
            HeaderName::from_bytes(pair[0].as_str().unwrap().as_bytes()).unwrap(),
            HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap(),
        );
    }
    headers
}
