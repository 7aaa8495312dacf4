//! A presigned URL verifies as what was presigned, however its text was edited afterwards, and never
//! when something in it is there twice or in a second spelling.
//!
//! Input: as [`crate::signature`] has it.

use portcullis_core::head::Head;

use crate::request::Request;
use crate::signature::{Meaning, edit, split};
use crate::{bounded, request};

/// The signature's own parameters (S3's user guide, "Authenticating Requests: Using Query Parameters").
const OWN: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

pub(crate) fn check(bytes: &[u8]) {
    let Some((asked, edits)) = split(bytes) else {
        return;
    };
    let Some(signed) = asked.presign() else {
        return;
    };
    let length = bytes.len();
    let Ok(verified) = bounded(length, || signed.verify()) else {
        return;
    };
    let meaning = |head: &Head| Meaning::of(&asked.service, head);
    let before = meaning(verified.head());
    assert_eq!(before, meaning(&lowered(&asked)), "not what was presigned");
    for (what, bent) in second_readings(&signed) {
        assert!(bent.verify().is_err(), "{what}: {:?}", bent.head.query);
    }
    let Some(Ok(after)) = edit(&signed, &edits).map(|edited| edited.verify()) else {
        return;
    };
    assert_eq!(before, meaning(after.head()), "another URL verifies");
}

/// What was asked for, with the parameters that stand for headers as headers.
fn lowered(asked: &Request) -> Head {
    let mut head = asked.head.clone();
    let query = head.query.take().unwrap_or_default();
    let is_header = |pair: &&str| pair.to_ascii_lowercase().starts_with("x-amz-");
    let (hoisted, own): (Vec<_>, Vec<_>) = query.split('&').partition(is_header);
    head.query = Some(own.join("&"));
    for pair in hoisted {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        request::append(&mut head, name, value);
    }
    head
}

/// The URL with each of its parameters twice, or in another case, and with a second proof.
fn second_readings(signed: &Request) -> Vec<(String, Request)> {
    let query = signed.head.query.clone().unwrap_or_default();
    let with = |query: String| {
        let mut bent = signed.clone();
        bent.head.query = Some(query);
        bent
    };
    let mut all = Vec::new();
    for name in OWN {
        let pair = query.split('&').find(|pair| pair.starts_with(name));
        let pair = pair.unwrap_or_else(|| panic!("no {name} in {query}"));
        all.push((format!("{name} twice"), with(format!("{query}&{pair}"))));
        all.push((format!("{name} first"), with(format!("{pair}&{query}"))));
        let lower = pair.replacen(name, &name.to_ascii_lowercase(), 1);
        let query = query.replacen(pair, &lower, 1);
        all.push((format!("{name} in small letters"), with(query)));
    }
    for more in ["X-Amz-Acl=private", "versionId=1&versionId=1", "acl"] {
        all.push((more.to_owned(), with(format!("{query}&{more}"))));
    }
    let mut both = signed.clone();
    let signature = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("X-Amz-Signature="));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=PCAKEXAMPLE0000000/20260102/us-east-1/{}/aws4_request, \
         SignedHeaders=host, Signature={}",
        signed.service,
        signature.unwrap_or_default()
    );
    request::append(&mut both.head, "authorization", &authorization);
    all.push(("a header as well".to_owned(), both));
    all
}
