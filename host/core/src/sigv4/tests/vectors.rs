//! AWS's published test suites for SigV4 and SigV4a, which the `aws-sigv4` crate's package carries.
//! It is found through `cargo metadata`, so nothing of it is copied here.

#![expect(
    clippy::disallowed_methods,
    reason = "the published vectors are files of a dependency's package"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::head::Head;
use crate::refusal::Refusal;
use crate::sigv4::canonical::{self, PathStyle};
use crate::sigv4::{Payload, SignedRequest, SigningSecret};

/// One directory of the suite.
struct Vector {
    dir: PathBuf,
    context: serde_json::Value,
}

impl Vector {
    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap()
    }

    fn secret(&self) -> SigningSecret {
        let secret = &self.context["credentials"]["secret_access_key"];
        SigningSecret::new(secret.as_str().unwrap().to_owned())
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::parse(self.context["timestamp"].as_str().unwrap(), &Rfc3339).unwrap()
    }

    fn normalises(&self) -> bool {
        self.context["normalize"].as_bool().unwrap()
    }

    /// Two vectors leave the session token out of the signature, on purpose.
    fn leaves_token_unsigned(&self) -> bool {
        self.context["omit_session_token"] == true
    }

    fn name(&self) -> String {
        self.dir.display().to_string()
    }
}

fn suite() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let signer = packages.iter().find(|one| one["name"] == "aws-sigv4");
    let manifest = signer.unwrap()["manifest_path"].as_str().unwrap();
    Path::new(manifest).with_file_name("aws-signing-test-suite")
}

/// The vectors of the common suites; the crate's two own additions have no context.
fn vectors() -> Vec<Vector> {
    let suite = suite();
    let both = ["v4", "v4a"].map(|version| fs::read_dir(suite.join(version)).unwrap());
    let mut vectors: Vec<Vector> = both
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let dir = entry.unwrap().path();
            let context = fs::read_to_string(dir.join("context.json")).ok()?;
            let context = serde_json::from_str(&context).unwrap();
            Some(Vector { dir, context })
        })
        .collect();
    vectors.sort_by(|a, b| a.dir.cmp(&b.dir));
    vectors
}

/// Reads a vector's request text, whose lines end in LF and may be folded.
fn read(text: &str) -> (Head, Payload) {
    let (top, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines: Vec<String> = Vec::new();
    for line in top.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    let request_line = lines.remove(0);
    let (method, rest) = request_line.split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap_or(rest);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let mut headers = HeaderMap::new();
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let head = Head {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query,
        authority: headers["host"].to_str().unwrap().to_lowercase(),
        headers,
        tls: true,
        proxied: false,
    };
    (head, Payload::Whole(Bytes::from(body.to_owned())))
}

#[test]
fn both_suites_are_there_whole() {
    assert_eq!(vectors().len(), 76);
}

/// SIG-02: the published vectors.
#[test]
fn header_signed_vectors_verify_with_the_published_canonical_request() {
    let mut verified = 0;
    for vector in vectors().iter().filter(|vector| vector.normalises()) {
        let name = vector.name();
        let (head, payload) = read(&vector.text("header-signed-request.txt"));
        let expected = vector.text("header-canonical-request.txt");
        let hash = expected.rsplit('\n').next().unwrap().to_owned();
        let parsed = SignedRequest::parse(head);
        if vector.leaves_token_unsigned()
            && vector
                .text("header-signed-request.txt")
                .contains("X-Amz-Security-Token")
        {
            let missing = Refusal::UnsignedHeader("x-amz-security-token".to_owned());
            assert_eq!(parsed.err(), Some(missing), "{name}");
            continue;
        }
        let request = parsed.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let canonical = String::from_utf8(request.canonical_request(&hash)).unwrap();
        assert_eq!(canonical, expected, "{name}");
        let outcome = request.verify(&vector.secret(), payload, vector.now());
        outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        verified += 1;
    }
    assert!(verified >= 56, "{verified}");
}

/// These vectors are for services that sign paths as sent, under a name that does not: what S3
/// would sign is compared, and the signature is checked over it.
#[test]
fn vectors_without_normalisation_have_the_published_path() {
    let mut seen = 0;
    for vector in vectors().iter().filter(|vector| !vector.normalises()) {
        let (head, _) = read(&vector.text("header-signed-request.txt"));
        let expected = vector.text("header-canonical-request.txt");
        let path = expected.lines().nth(1).unwrap();
        // A raw space cannot arrive over HTTP; its one spelling can.
        let sent = head.path.replace(' ', "%20");
        assert_eq!(
            canonical::path(&sent, PathStyle::EncodedOnce).as_deref(),
            Ok(path),
            "{}",
            vector.name()
        );
        assert_eq!(canonical::normalised(&sent, PathStyle::EncodedOnce), None);
        let request = SignedRequest::parse(head).unwrap();
        let request = SignedRequest {
            canonical_path: path.to_owned(),
            ..request
        };
        request
            .verify(&vector.secret(), Payload::Whole(Bytes::new()), vector.now())
            .unwrap();
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn query_signed_vectors_verify_with_the_published_canonical_request() {
    let mut verified = 0;
    for vector in vectors().iter().filter(|vector| vector.normalises()) {
        let name = vector.name();
        let (head, payload) = read(&vector.text("query-signed-request.txt"));
        let expected = vector.text("query-canonical-request.txt");
        let hash = expected.rsplit('\n').next().unwrap().to_owned();
        let own = vector.text("request.txt").contains('?');
        let request =
            SignedRequest::parse(head).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(request.head().query.is_some(), own, "{name}");
        let canonical = String::from_utf8(request.canonical_request(&hash)).unwrap();
        let outcome = request.verify(&vector.secret(), payload, vector.now());
        if vector.leaves_token_unsigned() {
            assert_eq!(outcome.err(), Some(Refusal::SignatureMismatch), "{name}");
            continue;
        }
        assert_eq!(canonical, expected, "{name}");
        outcome.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        verified += 1;
    }
    assert!(verified >= 56, "{verified}");
}

#[test]
fn the_canonical_queries_of_query_signed_vectors_are_the_published_ones() {
    for vector in vectors() {
        let (head, _) = read(&vector.text("query-signed-request.txt"));
        let query = head.query.unwrap();
        let unsigned: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.starts_with("X-Amz-Signature="))
            .collect();
        let expected = vector.text("query-canonical-request.txt");
        // The token is added after signing in the vectors that leave it out.
        let expected = expected.lines().nth(2).unwrap();
        let unsigned: Vec<&str> = unsigned
            .into_iter()
            .filter(|pair| {
                !pair.starts_with("X-Amz-Security-Token=") || expected.contains("Security-Token")
            })
            .collect();
        assert_eq!(
            canonical::query(&unsigned.join("&")).as_deref(),
            Ok(expected),
            "{}",
            vector.name()
        );
    }
}

/// The crate's own additions, whose dates do not agree, so only their paths are compared.
#[test]
fn paths_that_are_already_encoded_are_encoded_again() {
    for name in ["double-encode-path", "double-url-encode"] {
        let dir = suite().join("v4").join(name);
        let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
        let (head, _) = read(&text("request.txt"));
        let expected = text("header-canonical-request.txt");
        assert_eq!(
            canonical::path(&head.path, PathStyle::EncodedTwice).as_deref(),
            Ok(expected.lines().nth(1).unwrap()),
            "{name}"
        );
    }
}
