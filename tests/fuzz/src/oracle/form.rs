//! Forms, read by splitting: every parameter is a scalar of the call, and none is there twice.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use portcullis_core::call::Call;

/// Every parameter was read, and the call is what `Action` says.
pub(crate) fn compare(body: &[u8], call: &Call) {
    let text = std::str::from_utf8(body).expect("accepted, but not text");
    let mut texts = Vec::new();
    let mut names = Vec::new();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').expect("accepted, but not a form");
        let (name, value) = (decode(name), decode(value));
        match name.as_str() {
            "Action" => assert_eq!(value, call.operation(), "label"),
            "Version" => {}
            // An empty list has an empty parameter of its own.
            _ if value.is_empty() => {}
            _ => texts.push(value),
        }
        names.push(name.to_ascii_lowercase());
    }
    for selector in ["action", "version"] {
        let count = names.iter().filter(|name| *name == selector).count();
        assert_eq!(count, 1, "{selector}");
    }
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a parameter is there twice");
    super::assert_all_read(texts, call.params());
}

/// A parameter repeated, under its own name and another spelling of it, and a second selector.
pub(crate) fn second_readings(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut bent = Vec::new();
    for pair in body.split(|&byte| byte == b'&').take(4) {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        bent.push(("a repeated parameter", [body, b"&", name, b"=x"].concat()));
        if let Some((first @ b'A'..=b'z', rest)) = name.split_first() {
            let escaped = format!("&%{first:02x}").into_bytes();
            bent.push((
                "an escaped repetition",
                [body, &escaped, rest, b"=x"].concat(),
            ));
        }
    }
    bent.push((
        "another operation",
        [body, b"&action=DeleteEverything"].concat(),
    ));
    bent
}

/// The decoded name of `name=value`.
pub(crate) fn name(pair: &str) -> String {
    decode(pair.split('=').next().unwrap_or_default())
}

fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    let decoded: Cow<'_, str> = percent_decode_str(&text)
        .decode_utf8()
        .expect("accepted, but not UTF-8");
    decoded.into_owned()
}
