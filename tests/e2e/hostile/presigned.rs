//! Signatures in the query string, and two signatures in one request.

use super::Trial;
use super::signatures::{S3, get_object, rewritten};
use crate::fixture::forge::{Forged, moment, signature};
use crate::fixture::sign::Signed;

/// A query string that signs a request, valid but for what `bend` changes of its parameters.
pub(super) fn presigned(
    trial: &Trial,
    method: &str,
    bend: impl Fn(&mut Vec<(String, String)>),
) -> Signed {
    let session = &trial.session;
    let date = moment(0);
    let scope = format!("{}/us-east-1/s3/aws4_request", first(&date, 8));
    let mut pairs = vec![
        ("X-Amz-Algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
        (
            "X-Amz-Credential".to_owned(),
            format!("{}/{scope}", session.access_key_id),
        ),
        ("X-Amz-Date".to_owned(), date),
        ("X-Amz-Expires".to_owned(), "300".to_owned()),
        ("X-Amz-Security-Token".to_owned(), session.token.clone()),
        ("X-Amz-SignedHeaders".to_owned(), "host".to_owned()),
    ];
    bend(&mut pairs);
    let date = pairs
        .iter()
        .find(|(name, _)| name == "X-Amz-Date")
        .unwrap()
        .1
        .clone();
    let scope = format!("{}/us-east-1/s3/aws4_request", first(&date, 8));
    let mut encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    encoded.sort();
    let query = encoded.join("&");
    let canonical = format!(
        "{method}\n{S3}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
        trial.host
    );
    let signature = signature(&session.secret, &scope, &date, &canonical);
    Signed {
        method: method.to_owned(),
        target: format!("{S3}?{query}&X-Amz-Signature={signature}"),
        version: "HTTP/1.1",
        headers: vec![("host".to_owned(), trial.host.clone())],
        body: Vec::new(),
    }
}

/// The first characters of a text.
pub(super) fn first(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

pub(super) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[test]
fn sig_07_two_ways_of_signing() {
    let mut trial = Trial::begin();
    let signed = get_object(&trial).sign(&trial.session);
    let query = presigned(&trial, "GET", |_| {});
    let both = Signed {
        target: query.target.clone(),
        ..signed.clone()
    };
    trial.refused("header and query", &both, &[400, 403]);
    let mut one_more = query.clone();
    one_more.headers.extend(
        signed
            .headers
            .iter()
            .filter(|(name, _)| name != "host")
            .cloned(),
    );
    trial.refused("query and header", &one_more, &[400, 403]);
    for extra in [
        "X-Amz-Signature=00",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Credential=a",
        "Signature=a&AWSAccessKeyId=b&Expires=1",
        "x-amz-signature=00",
        "X-Amz-Security-Token=a",
    ] {
        let call = Forged::new(&trial.host, "s3", "GET", &format!("{S3}?{extra}"));
        trial.refused(extra, &call.sign(&trial.session), &[400, 403]);
    }
    let mut signed = get_object(&trial).sign(&trial.session);
    let same = signed.header("authorization").clone();
    trial.refused(
        "two authorizations",
        &signed.clone().with("authorization", &same),
        &[400, 403],
    );
    let twice = rewritten(
        signed,
        "Credential=",
        "Credential=PCAK/a/b/c/aws4_request, Credential=",
    );
    trial.refused("two credentials", &twice, &[400, 403]);
    let repeated = presigned(&trial, "GET", |pairs| pairs.push(pairs[1].clone()));
    trial.refused("two credentials in the query", &repeated, &[400, 403, 501]);
}

#[test]
fn sig_17_presigned_urls_that_are_not_good() {
    type Bend = fn(&mut Vec<(String, String)>);
    let mut trial = Trial::begin();
    let control = trial.control();
    let own = std::mem::replace(&mut trial.session, control);
    trial.accepted(
        "what the others are bent from",
        &presigned(&trial, "GET", |_| {}),
    );
    trial.session = own;
    let bends: [(&str, Bend); 9] = [
        ("no time at all", |pairs| pairs[3].1 = "0".to_owned()),
        ("more than a week", |pairs| pairs[3].1 = "604801".to_owned()),
        ("negative", |pairs| pairs[3].1 = "-1".to_owned()),
        ("a plus", |pairs| pairs[3].1 = "+300".to_owned()),
        ("too many digits", |pairs| {
            pairs[3].1 = "99999999999999999999".to_owned()
        }),
        ("two ends", |pairs| {
            pairs.push(("X-Amz-Expires".to_owned(), "300".to_owned()))
        }),
        ("over", |pairs| pairs[2].1 = moment(-400)),
        ("not begun", |pairs| pairs[2].1 = moment(3600)),
        ("no signed host", |pairs| {
            pairs[5].1 = "x-amz-date".to_owned()
        }),
    ];
    for (what, bend) in bends {
        let call = presigned(&trial, "GET", bend);
        trial.refused(what, &call, &[400, 403, 501]);
    }
    let mut call = presigned(&trial, "GET", |_| {});
    call.target.push_str("&versionId=1");
    trial.refused("a parameter added", &call, &[400, 403, 501]);
    let call = presigned(&trial, "GET", |_| {}).with("x-amz-copy-source", "/other/key");
    trial.refused("a header added", &call, &[400, 403, 501]);
    let mut call = presigned(&trial, "GET", |_| {});
    call.method = "DELETE".to_owned();
    trial.refused("another method", &call, &[400, 403, 501]);
    let mut call = presigned(&trial, "GET", |_| {});
    call.target = call.target.replacen("/key", "/other", 1);
    trial.refused("another key", &call, &[400, 403, 501]);
}

#[test]
fn sig_18_the_presigned_urls_of_version_2_name_the_way_out() {
    let mut trial = Trial::begin();
    let key = trial.session.access_key_id.clone();
    let call = Signed {
        method: "GET".to_owned(),
        target: format!("{S3}?AWSAccessKeyId={key}&Signature=AAAA&Expires=2000000000"),
        version: "HTTP/1.1",
        headers: vec![("host".to_owned(), trial.host.clone())],
        body: Vec::new(),
    };
    let answer = trial.refused("version 2", &call, &[400, 403, 501]);
    let text = answer.text();
    assert!(
        text.contains("s3v4") || text.contains("Signature Version 4"),
        "{text}"
    );
}
