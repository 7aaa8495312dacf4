//! A signed request whose head was edited afterwards verifies only if it still says the same.
//!
//! Input: a request as [`crate::request`] has it; the last `4 × n` bytes of its body are edits of
//! its head: a position of two bytes, a byte to put there, and how many edits there are.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use portcullis_core::head::Head;

use crate::bounded;
use crate::request::Request;

/// Headers that count although nobody signed them.
const UNSIGNED: [&str; 22] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "expect",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "smithy-protocol",
    "transfer-encoding",
    "user-agent",
];

pub(crate) fn check(bytes: &[u8]) {
    let Some((request, edits)) = split(bytes) else {
        return;
    };
    let Some(signed) = request.sign() else {
        return;
    };
    let Some(edited) = edit(&signed, &edits) else {
        return;
    };
    let length = bytes.len();
    let Ok(verified) = bounded(length, || edited.verify()) else {
        return;
    };
    let before = Meaning::of(&signed.service, &signed.head);
    let after = Meaning::of(&signed.service, verified.head());
    assert_eq!(before, after, "another request verifies");
}

type Edit = (usize, u8);

pub(crate) fn split(bytes: &[u8]) -> Option<(Request, Vec<Edit>)> {
    let mut request = Request::parse(bytes)?;
    let count = usize::from(*request.body.last()? % 4);
    let at = request.body.len().checked_sub(4 * count)?;
    let tail = request.body.split_off(at);
    let edits = tail.chunks_exact(4).map(|edit| {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        (at, edit[2])
    });
    Some((request, edits.collect()))
}

/// Writes the head as text, edits the text and reads it again.
pub(crate) fn edit(signed: &Request, edits: &[Edit]) -> Option<Request> {
    let head = &signed.head;
    let target = match &head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.clone(),
    };
    let mut text = format!(
        "{} {} {target} {}",
        signed.service, head.method, head.authority
    );
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host") {
        text.push_str(&format!("\n{name}: {}", value.to_str().ok()?));
    }
    let mut bytes = text.into_bytes();
    let length = bytes.len();
    for (at, byte) in edits {
        bytes[at % length] = *byte;
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.extend_from_slice(&signed.body);
    let edited = Request::parse(&bytes)?;
    // The scope is in the authorization; the word in front only chooses the signer.
    Some(Request {
        service: signed.service.clone(),
        ..edited
    })
}

/// What a request says, in the forms that SigV4 takes for equal.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Meaning {
    method: String,
    path: Vec<u8>,
    query: Vec<(Vec<u8>, Vec<u8>)>,
    headers: BTreeMap<String, Vec<String>>,
}

impl Meaning {
    pub(crate) fn of(service: &str, head: &Head) -> Self {
        let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let path = match service {
            "s3" => head.path.clone(),
            _ => normalised(&head.path),
        };
        let parameters = head.query.as_deref().unwrap_or_default().split('&');
        let mut query: Vec<_> = parameters
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        query.sort();
        Self {
            method: head.method.to_string(),
            path: decode(&path),
            query,
            headers: headers(&head.headers),
        }
    }
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if UNSIGNED.contains(&name.as_str()) {
            continue;
        }
        let words: Vec<_> = value
            .to_str()
            .unwrap_or("?")
            .split_ascii_whitespace()
            .collect();
        all.entry(name.to_string())
            .or_default()
            .push(words.join(" "));
    }
    all
}

/// RFC 3986 §5.2.4, and slashes merged.
fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let open = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let slash = if open && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}
