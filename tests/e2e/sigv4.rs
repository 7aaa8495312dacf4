//! The verifier against botocore as the signer: what botocore signs verifies, and a copy with one
//! bit changed does not. Nothing goes over a network.

use std::env;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_core::head::Head;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{Payload, PayloadMode, SignedRequest, SigningSecret};
use serde_json::Value;
use time::OffsetDateTime;

const COUNT: u32 = 2000;
const SEED: u32 = 1;

/// One request as botocore signed it.
#[derive(Clone)]
struct Sent {
    head: Head,
    body: Vec<u8>,
    secret: String,
    now: OffsetDateTime,
}

impl Sent {
    fn parse(line: &str) -> Self {
        let fields: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| fields[name].as_str().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        for pair in fields["headers"].as_array().unwrap() {
            let name: HeaderName = pair[0].as_str().unwrap().parse().unwrap();
            headers.append(name, pair[1].as_str().unwrap().parse().unwrap());
        }
        let head = Head {
            method: Method::from_bytes(text("method").as_bytes()).unwrap(),
            path: text("path"),
            query: fields["query"].as_str().map(str::to_owned),
            authority: text("authority"),
            headers,
            tls: true,
            proxied: false,
        };
        let now = OffsetDateTime::from_unix_timestamp(fields["now"].as_i64().unwrap()).unwrap();
        Self {
            head,
            body: BASE64.decode(text("body")).unwrap(),
            secret: text("secret"),
            now,
        }
    }

    fn verify(&self) -> Result<PayloadMode, Refusal> {
        let secret = SigningSecret::new(self.secret.clone());
        let payload = Payload::Whole(Bytes::from(self.body.clone()));
        let verified =
            SignedRequest::parse(self.head.clone())?.verify(&secret, payload, self.now)?;
        Ok(verified.payload_mode().clone())
    }

    /// The names of the signed headers, and `authorization` itself.
    fn covered(&self) -> Vec<String> {
        let authorization = self.head.headers["authorization"].to_str().unwrap();
        let (_, rest) = authorization.split_once("SignedHeaders=").unwrap();
        let (names, _) = rest.split_once(',').unwrap();
        names
            .split(';')
            .chain(["authorization"])
            .map(str::to_owned)
            .collect()
    }

    /// Every part of the request that the signature covers, with one bit of it flipped.
    fn mutations(&self, mode: &PayloadMode, dice: &mut Dice) -> Vec<Self> {
        let mut all = Vec::new();
        for name in self.covered() {
            let old = &self.head.headers[&name];
            let key = "AWS4-HMAC-SHA256 Credential=".len()
                .."AWS4-HMAC-SHA256 Credential=PCAKEXAMPLE00000".len();
            let at = dice.below(old.len());
            // The access key is no part of the signature: it chooses the secret.
            let Some(new) = flip(old.as_bytes(), at, dice)
                .filter(|_| name != "authorization" || !key.contains(&at))
            else {
                continue;
            };
            if let Ok(value) = HeaderValue::from_bytes(&new) {
                let mut copy = self.clone();
                copy.head
                    .headers
                    .insert(name.parse::<HeaderName>().unwrap(), value);
                all.push(copy);
            }
        }
        let text = |old: &str, dice: &mut Dice| {
            let at = dice.below(old.len());
            String::from_utf8(flip(old.as_bytes(), at, dice)?).ok()
        };
        if let Some(path) = text(&self.head.path, dice) {
            let head = Head {
                path,
                ..self.head.clone()
            };
            all.push(Self {
                head,
                ..self.clone()
            });
        }
        if let Some(query) = self.head.query.as_ref().and_then(|query| text(query, dice)) {
            let head = Head {
                query: Some(query),
                ..self.head.clone()
            };
            all.push(Self {
                head,
                ..self.clone()
            });
        }
        let at = dice.below(self.body.len());
        if let Some(body) =
            flip(&self.body, at, dice).filter(|body| self.body_is_covered(mode, body))
        {
            all.push(Self {
                body,
                ..self.clone()
            });
        }
        all
    }

    fn body_is_covered(&self, mode: &PayloadMode, changed: &[u8]) -> bool {
        match mode {
            PayloadMode::Absent
            | PayloadMode::Digest(_)
            | PayloadMode::SignedChunks { .. }
            | PayloadMode::SignedEvents => true,
            PayloadMode::Unsigned => false,
            // The case of a digit in a chunk's size says nothing.
            PayloadMode::UnsignedTrailer { .. } => !self.body.eq_ignore_ascii_case(changed),
        }
    }
}

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

fn flip(bytes: &[u8], at: usize, dice: &mut Dice) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    *bytes.get_mut(at)? ^= 1 << dice.below(8);
    Some(bytes)
}

/// The Python whose botocore is used, if there is one.
fn python() -> Option<String> {
    let venv = env::var("PORTCULLIS_VENV").map(|venv| format!("{venv}/bin/python3"));
    let python = venv.unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import botocore"])
        .output();
    found
        .is_ok_and(|output| output.status.success())
        .then_some(python)
}

/// SIG-01: one changed bit anywhere.
#[test]
fn what_botocore_signs_verifies_and_one_changed_bit_does_not() {
    let Some(python) = python() else {
        eprintln!("no botocore here; set PORTCULLIS_VENV to a virtual environment that has it");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/clients/sign_requests.py");
    let output = Command::new(python)
        .args([script, &COUNT.to_string(), &SEED.to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut dice = Dice(u64::from(SEED));
    let mut mutated = 0;
    for line in lines.lines() {
        let sent = Sent::parse(line);
        let mode = sent
            .verify()
            .unwrap_or_else(|refusal| panic!("{refusal}: {line}"));
        for copy in sent.mutations(&mode, &mut dice) {
            let seen = copy.verify();
            assert!(seen.is_err(), "{:?} of {line}", copy.head);
            mutated += 1;
        }
    }
    assert_eq!(lines.lines().count(), usize::try_from(COUNT).unwrap());
    assert!(mutated > 5 * lines.lines().count(), "{mutated}");
}
