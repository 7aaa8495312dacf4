//! Bodies under a good signature that two parsers could read as two inputs.

use std::io::Write;

use super::Trial;
use super::parsing::{BAD, json, s3};
use crate::fixture::forge::Forged;

fn cbor(trial: &Trial, body: &[u8]) -> Forged {
    let path = "/service/GraniteServiceVersion20100801/operation/ListDashboards";
    Forged::new(&trial.host, "monitoring", "POST", path)
        .with("smithy-protocol", "rpc-v2-cbor")
        .with("content-type", "application/cbor")
        .body(body)
}

#[test]
fn par_04_json_with_two_readings() {
    let mut trial = Trial::begin();
    for body in [
        r#"{"Limit":1,"Limit":2}"#,
        r#"{"Limit":1,"\u004cimit":2}"#,
        r#"{"Limit":1,"limit":2}"#,
        r#"{"limit":1}"#,
        r#"{"__type":"x"}"#,
        r#"{"Limit":1}{}"#,
        r#"{"Limit":1},"#,
        "\u{feff}{}",
        r#"{"Limit":NaN}"#,
        r#"{"Limit":1e400}"#,
        r#"{"Limit":1.5}"#,
        r#"{"Limit":"1"}"#,
        r#"{"ExclusiveStartTableName":"\ud800"}"#,
        r#"{"ExclusiveStartTableName":'a'}"#,
        r#"{"Limit":01}"#,
        r#"{"Limit":+1}"#,
        r#"{"Limit":1,}"#,
        r#"{/**/"Limit":1}"#,
        "[]",
        "null",
        "\"{}\"",
        "{\"ExclusiveStartTableName\":\"a\nb\"}",
    ] {
        trial.refused(body, &json(&trial, body).sign(&trial.session), BAD);
    }
    let deep = format!(
        "{{\"ExclusiveStartTableName\":{}{}}}",
        "[".repeat(9000),
        "]".repeat(9000)
    );
    trial.refused("deep", &json(&trial, &deep).sign(&trial.session), BAD);
    let long = format!("{{\"Limit\":{}}}", "9".repeat(1_000_000));
    trial.refused(
        "a long number",
        &json(&trial, &long).sign(&trial.session),
        BAD,
    );
    let put = r#"{"TableName":"t","Item":{"id":{"S":"a"},"id":{"S":"b"}}}"#;
    let put = Forged::dynamodb(&trial.host, "PutItem", put);
    trial.refused("deep down", &put.sign(&trial.session), BAD);
    trial.each_has_a_record();
}

#[test]
fn par_05_cbor_with_two_readings() {
    let mut trial = Trial::begin();
    let prefix = b"\x73DashboardNamePrefix";
    let with = |count: u8, rest: &[u8]| [&[0xa0 | count][..], prefix, rest].concat();
    let twice = [&with(2, b"\x61a")[..], prefix, b"\x61b"].concat();
    let mut deep = vec![0xa1];
    deep.extend_from_slice(prefix);
    deep.extend(std::iter::repeat_n(0x81, 10_000));
    deep.push(0x00);
    for (what, body) in [
        ("a key twice", twice),
        ("a text in pieces", with(1, b"\x7f\x61a\x61b\xff")),
        ("a tag", with(1, b"\xc1\x61a")),
        ("a number for a text", with(1, b"\x01")),
        ("bytes for a text", with(1, b"\x41a")),
        ("a float", with(1, b"\xf9\x3c\x00")),
        ("bad UTF-8", with(1, b"\x61\xff")),
        ("bytes behind it", with(1, b"\x61a\x00")),
        (
            "a longer text than there is",
            with(1, b"\x7a\xff\xff\xff\xff"),
        ),
        ("a longer map than there is", with(3, b"\x61a")),
        ("an open end", with(1, b"\x5f")),
        ("an unknown member", b"\xa1\x61x\x61a".to_vec()),
        ("another case", b"\xa1\x73dashboardNamePrefix\x61a".to_vec()),
        ("a number as key", b"\xa1\x01\x61a".to_vec()),
        ("depth", deep),
        ("null", b"\xf6".to_vec()),
        ("undefined", b"\xf7".to_vec()),
    ] {
        trial.refused(what, &cbor(&trial, &body).sign(&trial.session), BAD);
    }
    trial.each_has_a_record();
}

#[test]
fn par_15_xml_with_more_than_one_reading() {
    let mut trial = Trial::begin();
    let wrapped =
        |inner: &str| format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
    let status = "<Status>Enabled</Status>";
    let attributes: String = (0..80_000).map(|at| format!("a{at}=\"\" ")).collect();
    for (what, body) in [
        (
            "a document type",
            format!("<!DOCTYPE a>{}", wrapped(status)),
        ),
        (
            "an entity",
            format!(
                "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{}",
                wrapped("<Status>&e;</Status>")
            ),
        ),
        ("an unknown entity", wrapped("<Status>&e;</Status>")),
        (
            "an element twice",
            wrapped(&format!("{status}<Status>Suspended</Status>")),
        ),
        (
            "a comment in a text",
            wrapped("<Status>En<!-- -->abled</Status>"),
        ),
        ("CDATA", wrapped("<Status><![CDATA[Enabled]]></Status>")),
        (
            "another namespace below",
            wrapped("<Status xmlns=\"urn:a\">Enabled</Status>"),
        ),
        (
            "a prefix",
            wrapped("<a:Status xmlns:a=\"urn:a\">Enabled</a:Status>"),
        ),
        (
            "an encoding",
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-16\"?>{}",
                wrapped(status)
            ),
        ),
        ("an instruction", format!("<?a b?>{}", wrapped(status))),
        ("bytes behind it", format!("{}<a/>", wrapped(status))),
        ("another case", wrapped("<status>Enabled</status>")),
        (
            "many attributes",
            format!("<VersioningConfiguration {attributes}/>"),
        ),
        (
            "depth",
            wrapped(&format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000))),
        ),
    ] {
        let call = s3(&trial, "PUT", "/bucket?versioning").body(body);
        trial.refused(what, &call.sign(&trial.session), BAD);
    }
    let wide: Vec<u8> = wrapped(status)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = s3(&trial, "PUT", "/bucket?versioning").body(wide);
    trial.refused("UTF-16", &wide.sign(&trial.session), BAD);
    trial.each_has_a_record();
}

#[test]
fn par_18_compressed_bodies_that_hide_something() {
    let mut trial = Trial::begin();
    let packed = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let delete = packed(br#"{"TableName":"vault"}"#);
    let bomb = packed(&vec![b' '; 64 << 20]);
    let open = packed(b"{}");
    let behind = [&open[..], b"{}"].concat();
    let two = [&open[..], &open[..]].concat();
    let cut = open[..open.len() - 4].to_vec();
    for (what, encoding, body) in [
        ("a forbidden table", "gzip", delete.clone()),
        ("a bomb", "gzip", bomb),
        ("bytes behind it", "gzip", behind),
        ("two members", "gzip", two),
        ("a cut end", "gzip", cut),
        ("no gzip at all", "gzip", b"{}".to_vec()),
        ("an unknown coding", "br", open.clone()),
        ("twice", "gzip, gzip", open.clone()),
        ("two readings", "identity", delete.clone()),
        ("aws-chunked", "aws-chunked,gzip", open.clone()),
        ("said, not done", "GZIP ", b"{}".to_vec()),
    ] {
        let call = Forged::dynamodb(&trial.host, "DeleteTable", "")
            .with("content-encoding", encoding)
            .body(body);
        trial.refused(what, &call.sign(&trial.session), &[400, 403, 413, 415, 501]);
    }
    let unsaid = Forged::dynamodb(&trial.host, "DeleteTable", "").body(delete);
    trial.refused("done, not said", &unsaid.sign(&trial.session), BAD);
}
