//! Reads what `tests/e2e/clients/generate_inputs.py` wrote with botocore's own serializers, named
//! by `PORTCULLIS_INPUTS`, and compares operation and parameters with what was given.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::*;
use crate::call::CallDigest;
use crate::call::tests::plain;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the generated inputs are a file that only this test reads"
)]
fn generated_inputs_come_out_as_given() {
    let path = std::env::var("PORTCULLIS_INPUTS")
        .expect("`cargo xtask test` generates the inputs and sets PORTCULLIS_INPUTS");
    let text = std::fs::read_to_string(path).unwrap();
    let mut tally: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut twins = Twins::default();
    let mut total = 0;
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let (class, detail) = judge(&case, &mut twins);
        total += 1;
        tally.entry(class).or_default().push(detail);
    }
    let mut report = format!("{total} inputs\n");
    for (class, details) in &tally {
        writeln!(report, "{:6} {class}", details.len()).unwrap();
        if !class.starts_with("equal") {
            for detail in details.iter().take(12) {
                writeln!(report, "         {detail}").unwrap();
            }
        }
    }
    println!("{report}");
    assert!(total > 20_000, "{report}");
    assert!(
        tally.keys().all(|class| class.starts_with("equal")),
        "{report}"
    );
    assert!(twins.0.len() > 100, "{} twins", twins.0.len());
}

/// Inputs that were written in several protocols, with their digest in the first.
#[derive(Default)]
struct Twins(BTreeMap<String, CallDigest>);

impl Twins {
    /// Whether the call is the one that its twins are.
    fn agree(&mut self, case: &Json, call: &Call) -> bool {
        let Some(twin) = case["twin"].as_str() else {
            return true;
        };
        let first = self.0.entry(twin.to_owned()).or_insert(call.digest());
        *first == call.digest()
    }
}

/// How one case came out, and what to look at.
fn judge(case: &Json, twins: &mut Twins) -> (String, String) {
    let name = format!(
        "{}:{} {}",
        case["service"].as_str().unwrap(),
        case["operation"].as_str().unwrap(),
        case["protocol"].as_str().unwrap()
    );
    let sent = Sent {
        service: Box::leak(case["signing_name"].as_str().unwrap().into()),
        proxied: false,
        region: "us-east-1",
        authority: case["authority"].as_str().unwrap().to_owned(),
        method: Box::leak(case["method"].as_str().unwrap().into()),
        path: case["path"].as_str().unwrap().to_owned(),
        query: case["query"].as_str().map(str::to_owned),
        headers: pairs(&case["headers"]),
        body: STANDARD.decode(case["body"].as_str().unwrap()).unwrap(),
    };
    let mut outcome = sent.read();
    let mut equal = "equal";
    if matches!(&outcome, Err(Refusal::Ambiguous(text)) if text.contains("look the same")) {
        equal = "equal once the host names the service";
        let mut named = sent.clone();
        named.authority = format!("{}.gw.example:8443", case["service"].as_str().unwrap());
        outcome = named.read();
    }
    let call = match outcome {
        Ok(call) => call,
        Err(refusal) => {
            let kind = format!("{refusal:?}");
            let kind = kind.split(['(', '{']).next().unwrap().trim();
            return (
                format!("refused: {} {kind}", case["protocol"].as_str().unwrap()),
                format!("{name}: {refusal}"),
            );
        }
    };
    let alias = aliases(call.service(), case["service"].as_str().unwrap());
    if !alias || call.operation() != case["operation"].as_str().unwrap() {
        let got = format!("{name}: read as {}:{}", call.service(), call.operation());
        return ("wrong label".to_owned(), got);
    }
    if !twins.agree(case, &call) {
        return ("another call than in its other protocol".to_owned(), name);
    }
    let mut got = plain(call.params());
    let mut given = case["params"].clone();
    transport_members(&mut got, &given);
    empty_blobs(&mut given, &mut got);
    if got == given {
        (equal.to_owned(), name)
    } else {
        let detail = format!("{name}:\n   given {given}\n   read  {got}");
        ("wrong parameters".to_owned(), detail)
    }
}

fn aliases(read: &str, given: &str) -> bool {
    let same: [&[&str]; 3] = [
        &["rds", "docdb", "neptune"],
        &["wisdom", "qconnect"],
        &["sms-voice", "pinpoint-sms-voice"],
    ];
    read == given
        || same
            .iter()
            .any(|set| set.contains(&read) && set.contains(&given))
}

fn pairs(headers: &Json) -> Vec<(String, String)> {
    let pair = |pair: &Json| {
        let text = |index: usize| pair[index].as_str().unwrap().to_owned();
        (text(0), text(1))
    };
    headers.as_array().unwrap().iter().map(pair).collect()
}

/// Members that HTTP itself fills in.
fn transport_members(got: &mut Json, given: &Json) {
    let object = got.as_object_mut().unwrap();
    for name in [
        "ContentLength",
        "ContentType",
        "contentType",
        "accept",
        "Accept",
    ] {
        if given.get(name).is_none() {
            object.remove(name);
        }
    }
}

/// An empty body and an absent one are the same bytes.
fn empty_blobs(given: &mut Json, got: &mut Json) {
    let both = (given.clone(), got.clone());
    for (one, other) in [(both.0, got), (both.1, given)] {
        let other = other.as_object_mut().unwrap();
        other.retain(|name, value| {
            let empty =
                *value == json!({"$blob": ""}) || *value == json!("") || *value == json!({});
            !(empty && one.get(name).is_none())
        });
    }
}
