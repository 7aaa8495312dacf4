//! Proofs of possession: what a good key may not sign, and what may not pass for its signature.

use super::Trial;
use super::presigned::{encode, first, presigned};
use crate::fixture::forge::{Forged, moment};
use crate::fixture::sign::{Session, Signed};

pub(super) const S3: &str = "/bucket/key";

pub(super) fn list_tables(trial: &Trial) -> Forged {
    Forged::dynamodb(&trial.host, "ListTables", "{}")
}

pub(super) fn get_object(trial: &Trial) -> Forged {
    Forged::new(&trial.host, "s3", "GET", S3)
}

pub(super) fn put_object(trial: &Trial) -> Forged {
    Forged::new(&trial.host, "s3", "PUT", S3).body("hello")
}

pub(super) fn replaced(mut signed: Signed, name: &str, value: &str) -> Signed {
    value.clone_into(signed.header(name));
    signed
}

pub(super) fn rewritten(mut signed: Signed, from: &str, to: &str) -> Signed {
    let authorization = signed.header("authorization");
    assert!(authorization.contains(from), "{authorization}");
    *authorization = authorization.replacen(from, to, 1);
    signed
}

fn with_signature(mut signed: Signed, signature: &str) -> Signed {
    let authorization = signed.header("authorization");
    let (rest, _) = authorization.rsplit_once('=').unwrap();
    *authorization = format!("{rest}={signature}");
    signed
}

#[test]
fn sig_03_made_up_signatures_in_every_way_of_signing() {
    let mut trial = Trial::begin();
    let fake = "deadbeef".repeat(8);
    let key = trial.session.access_key_id.clone();
    let header = with_signature(list_tables(&trial).sign(&trial.session), &fake);
    trial.refused("in the header", &header, &[400, 403]);
    let mut query = presigned(&trial, "GET", |_| {});
    let (rest, _) = query.target.rsplit_once('=').unwrap();
    query.target = format!("{rest}={fake}");
    trial.refused("in the query", &query, &[400, 403, 501]);
    for mode in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-NEW-THING",
        "UNSIGNED-PAYLOAD",
    ] {
        let call = put_object(&trial)
            .with("x-amz-content-sha256", mode)
            .with("x-amz-decoded-content-length", "5")
            .body("5\r\nhello\r\n0\r\n\r\n");
        trial.refused(
            mode,
            &with_signature(call.sign(&trial.session), &fake),
            &[400, 403, 501],
        );
    }
    for authorization in [
        format!("AWS {key}:{fake}"),
        format!("AWS3-HTTPS AWSAccessKeyId={key},Algorithm=HmacSHA256,Signature={fake}"),
        format!(
            "AWS4-ECDSA-P256-SHA256 Credential={key}/20260101/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature={fake}"
        ),
        format!("Bearer {key}"),
    ] {
        let mut call = get_object(&trial).sign(&trial.session);
        *call.header("authorization") = authorization.clone();
        trial.refused(&authorization, &call, &[400, 403, 501]);
    }
    let mut form = Forged::new(&trial.host, "s3", "POST", "/bucket")
        .with("content-type", "multipart/form-data; boundary=b")
        .body(format!("--b\r\ncontent-disposition: form-data; name=\"AWSAccessKeyId\"\r\n\r\n{key}\r\n--b--\r\n"))
        .sign(&trial.session)
        .without("authorization");
    form.target = "/bucket".to_owned();
    trial.refused("a form of a browser", &form, &[400, 403, 501]);
}

#[test]
fn sig_04_a_host_that_is_not_signed() {
    let mut trial = Trial::begin();
    for call in [list_tables(&trial), get_object(&trial)] {
        let signed = call.unsigned("host").sign(&trial.session);
        trial.refused("host", &signed, &[400, 403]);
    }
}

#[test]
fn sig_05_headers_of_aws_that_are_not_signed() {
    let mut trial = Trial::begin();
    for (name, value) in [
        ("x-amz-copy-source", "/other/key"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-note", "a"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-grant-full-control", "id=1"),
        ("X-Amz-Tagging", "a=b"),
    ] {
        let signed = put_object(&trial).sign(&trial.session).with(name, value);
        trial.refused(name, &signed, &[400, 403]);
        let name: &'static str = Box::leak(name.to_ascii_lowercase().into_boxed_str());
        let left_out = put_object(&trial).with(name, value).unsigned(name);
        trial.refused(name, &left_out.sign(&trial.session), &[400, 403]);
    }
    for name in [
        "x-amz-target",
        "x-amz-date",
        "x-amz-security-token",
        "content-type",
    ] {
        let signed = list_tables(&trial).unsigned(name).sign(&trial.session);
        if name == "content-type" {
            continue;
        }
        trial.refused(name, &signed, &[400, 403]);
    }
    // What no service of AWS's reads is left behind.
    let note = put_object(&trial)
        .sign(&trial.control())
        .with("x-amzn-note", "a");
    let arrived = trial.accepted("x-amzn-note", &note);
    assert_eq!(arrived.header("x-amzn-note"), None);
    let invocation = Forged::new(
        &trial.host,
        "lambda",
        "POST",
        "/2015-03-31/functions/f/invocations",
    )
    .body("{}")
    .sign(&trial.session)
    .with("x-amz-invocation-type", "Event");
    trial.refused("x-amz-invocation-type", &invocation, &[400, 403]);
}

#[test]
fn sig_06_a_list_of_signed_headers_that_is_not_one() {
    let mut trial = Trial::begin();
    for (from, to) in [
        ("content-type;host", "content-type;host;origin"),
        ("content-type;host", "content-type;host;host"),
        ("content-type;host", "host;content-type"),
        ("content-type;host", "Content-Type;host"),
        ("content-type;host", "content-type;;host"),
        ("content-type;host", ";content-type;host"),
        ("content-type;host", "content-type,host"),
        ("content-type;host", "content-type; host"),
    ] {
        let signed = rewritten(list_tables(&trial).sign(&trial.session), from, to);
        trial.refused(to, &signed, &[400, 403]);
    }
}

#[test]
fn sig_08_dates_that_are_none_or_not_now() {
    let mut trial = Trial::begin();
    let good = moment(0);
    for (what, date) in [
        ("too old", moment(-16 * 60)),
        ("too new", moment(16 * 60)),
        ("far away", "99991231T235959Z".to_owned()),
        ("before all", "00000101T000000Z".to_owned()),
        ("not padded", format!("{}T1:2:3Z", first(&good, 8))),
        ("lower case", good.to_ascii_lowercase()),
        ("extended", "2026-01-02T03:04:05Z".to_owned()),
        ("an offset", good.replace('Z', "+0000")),
        ("no month", format!("{}1301T000000Z", first(&good, 4))),
        ("a leap second", format!("{}60Z", first(&good, 13))),
        ("blanks", format!("{good} {good}")),
        ("missing", String::new()),
        ("words", "now".to_owned()),
    ] {
        let call = Forged {
            date,
            ..get_object(&trial)
        };
        trial.refused(what, &call.sign(&trial.session), &[400, 403]);
    }
    let both = get_object(&trial).with("date", "Mon, 01 Jan 2001 00:00:00 GMT");
    trial.refused(
        "two dates that differ",
        &both.sign(&trial.session),
        &[400, 403],
    );
}

#[test]
fn sig_09_a_scope_of_another_day() {
    let mut trial = Trial::begin();
    for days in [-1, 1, -365] {
        let day: String = moment(days * 86_400).chars().take(8).collect();
        for call in [list_tables(&trial), get_object(&trial)] {
            let call = Forged {
                day: Some(day.clone()),
                ..call
            };
            trial.refused(&day, &call.sign(&trial.session), &[400, 403]);
        }
    }
}

#[test]
fn sig_10_a_scope_of_another_service_or_region() {
    let mut trial = Trial::begin();
    for service in [
        "s3",
        "iam",
        "sts",
        "ec2",
        "sqs",
        "lambda",
        "kms",
        "secretsmanager",
        "logs",
        "monitoring",
        "es",
        "ssm",
        "DynamoDB",
        "dynamodb ",
        "",
        "s3.evil",
        "execute-api",
        "dynamodbstreams",
    ] {
        let call = Forged {
            service: service.to_owned(),
            ..list_tables(&trial)
        };
        trial.refused(service, &call.sign(&trial.session), &[400, 403, 404, 501]);
    }
    for region in [
        "",
        "us-east-1.evil",
        "xx-nowhere-1",
        "US-EAST-1",
        "us-east-1/..",
        "cn-north-1",
        "*",
    ] {
        let call = Forged {
            region: region.to_owned(),
            ..list_tables(&trial)
        };
        trial.refused(region, &call.sign(&trial.session), &[400, 403]);
    }
}

#[test]
fn sig_11_a_digest_of_another_body() {
    let mut trial = Trial::begin();
    for call in [
        put_object(&trial),
        list_tables(&trial).with("x-amz-content-sha256", &"a".repeat(64)),
    ] {
        let mut signed = call.sign(&trial.session);
        signed.body.push(b'!');
        let answer = trial.refused("the body", &signed, &[400]);
        assert!(
            answer.text().contains("x-amz-content-sha256"),
            "{}",
            answer.text()
        );
    }
    let mut signed = put_object(&trial).sign(&trial.session);
    signed.body.clear();
    let answer = trial.refused("no body", &signed, &[400]);
    assert_eq!(answer.code(), "XAmzContentSHA256Mismatch");
    trial.each_has_a_record();
}

#[test]
fn sig_12_unsigned_payloads_outside_s3() {
    let mut trial = Trial::begin();
    for service in ["dynamodb", "lambda", "iam"] {
        let call = Forged {
            service: service.to_owned(),
            ..list_tables(&trial)
        };
        let call = call.with("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        trial.refused(service, &call.sign(&trial.session), &[400, 403, 501]);
    }
}

#[test]
fn sig_13_unsigned_frames_on_anything_but_an_upload() {
    let mut trial = Trial::begin();
    let framed = |method, target: &str, host: &str| {
        Forged::new(host, "s3", method, target)
            .with("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .with("x-amz-decoded-content-length", "5")
            .body("5\r\nhello\r\n0\r\n\r\n")
    };
    for (method, target) in [
        ("GET", S3),
        ("DELETE", S3),
        ("HEAD", S3),
        ("POST", "/bucket?delete"),
        ("POST", "/bucket/key?uploads"),
        ("PUT", "/bucket?policy"),
        ("PUT", "/bucket"),
        ("PUT", "/bucket/key?tagging"),
        ("PUT", "/bucket/key?acl"),
    ] {
        let call = framed(method, target, &trial.host).sign(&trial.session);
        if method == "HEAD" {
            continue;
        }
        trial.refused(&format!("{method} {target}"), &call, &[400, 403, 405, 501]);
    }
    let mut query = presigned(&trial, "PUT", |_| {});
    query.body = b"5\r\nhello\r\n0\r\n\r\n".to_vec();
    let query = query
        .with("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .with("x-amz-decoded-content-length", "5");
    trial.refused("signed in the query", &query, &[400, 403, 501]);
}

#[test]
fn sig_16_signed_chunks_that_are_not_what_was_signed() {
    let mut trial = Trial::begin();
    let zero = "0".repeat(64);
    for (what, length, body) in [
        (
            "a bad chunk",
            "5",
            format!("5;chunk-signature={zero}\r\nhello\r\n0;chunk-signature={zero}\r\n\r\n"),
        ),
        ("no signature", "5", "5\r\nhello\r\n0\r\n\r\n".to_owned()),
        (
            "no last chunk",
            "5",
            format!("5;chunk-signature={zero}\r\nhello\r\n"),
        ),
        (
            "a shorter body",
            "6",
            format!("5;chunk-signature={zero}\r\nhello\r\n0;chunk-signature={zero}\r\n\r\n"),
        ),
        ("nothing", "0", String::new()),
    ] {
        for mode in [
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        ] {
            let call = Forged::new(&trial.host, "s3", "PUT", S3)
                .with("x-amz-content-sha256", mode)
                .with("x-amz-decoded-content-length", length)
                .with("content-encoding", "aws-chunked")
                .body(&body);
            trial.refused(what, &call.sign(&trial.session), &[400, 403, 501]);
        }
    }
}

#[test]
fn sig_19_session_tokens_that_are_not_the_key_s_own() {
    let mut trial = Trial::begin();
    let own = trial.session.clone();
    let other = trial.control();
    let with_token = |token: &str| Session {
        token: token.to_owned(),
        ..own.clone()
    };
    let half = own.token.len() / 2;
    for (what, token) in [
        ("another session's", other.token.as_str()),
        ("half of it", &first(&own.token, half)),
        ("nothing", ""),
        ("another word", "token"),
    ] {
        for call in [list_tables(&trial), get_object(&trial)] {
            trial.refused(what, &call.sign(&with_token(token)), &[400, 403]);
        }
    }
    let missing = get_object(&trial)
        .sign(&own)
        .without("x-amz-security-token");
    trial.refused("missing", &missing, &[400, 403]);
    let unsigned = get_object(&trial)
        .unsigned("x-amz-security-token")
        .sign(&own);
    trial.refused("unsigned", &unsigned, &[400, 403]);
    let query = format!("{S3}?X-Amz-Security-Token={}", encode(&own.token));
    let twice = Forged::new(&trial.host, "s3", "GET", &query).sign(&own);
    trial.refused("in the query too", &twice, &[400, 403]);
    let swapped = Session {
        secret: other.secret,
        ..own.clone()
    };
    trial.refused(
        "another's secret",
        &get_object(&trial).sign(&swapped),
        &[403],
    );
}

#[test]
fn sig_20_path_bytes_with_no_or_two_readings() {
    let mut trial = Trial::begin();
    for path in [
        "/bucket/%00",
        "/bucket/%C0%AF",
        "/bucket/%zz",
        "/bucket/%",
        "/bucket/%4",
        "/bucket/%ff",
        "/bucket?%61cl&policy",
    ] {
        let call = Forged::new(&trial.host, "s3", "GET", path);
        trial.refused(path, &call.sign(&trial.session), &[400, 403, 404]);
    }
    for path in [
        "/2015-03-31/functions/a%2e/policy",
        "/2015-03-31/functions/%61/policy",
        "/2015-03-31/functions/%00/policy",
    ] {
        let call = Forged::new(&trial.host, "lambda", "GET", path);
        trial.refused(path, &call.sign(&trial.session), &[400, 403, 404]);
    }
}

#[test]
fn sig_21_only_one_form_of_a_path_is_the_signed_one() {
    let mut trial = Trial::begin();
    for (service, target, signed_path) in [
        ("s3", "/bucket/a//b", "/bucket/a/b"),
        ("s3", "/bucket/./a", "/bucket/a"),
        ("s3", "/bucket/x/../a", "/bucket/a"),
        ("s3", "/bucket/a%20b", "/bucket/a%2520b"),
        ("s3", "/bucket/a%2Fb", "/bucket/a/b"),
        ("s3", "/bucket/a%7Eb", "/bucket/a~b"),
        (
            "lambda",
            "/2015-03-31/functions/a%3Ab/policy",
            "/2015-03-31/functions/a%3Ab/policy",
        ),
        (
            "lambda",
            "/2015-03-31//functions/a/policy",
            "/2015-03-31//functions/a/policy",
        ),
        (
            "lambda",
            "/2015-03-31/functions/x/../a/policy",
            "/2015-03-31/functions/x/../a/policy",
        ),
    ] {
        let call = Forged {
            signed_path: Some(signed_path.to_owned()),
            ..Forged::new(&trial.host, service, "GET", target)
        };
        trial.refused(target, &call.sign(&trial.session), &[400, 403]);
    }
}

#[test]
fn sig_22_the_same_bytes_twice_are_two_calls_with_two_records() {
    let trial = Trial::begin();
    let call =
        Forged::dynamodb(&trial.host, "ListTables", r#"{"Limit":22}"#).sign(&trial.control());
    let first = trial.accepted("the first", &call);
    let second = trial.accepted("the second", &call);
    assert_eq!(first.body, second.body);
    let records = trial.ground.gateway.audit();
    let own = records
        .iter()
        .filter(|record| record["connection"] == "controls");
    let ids: Vec<_> = own.map(|record| record["id"].to_string()).collect();
    assert!(ids.len() >= 2);
    assert!(
        ids.iter()
            .all(|id| ids.iter().filter(|other| other == &id).count() == 1)
    );
}

#[test]
fn sig_23_what_is_wrong_with_a_signature_is_not_told() {
    let mut trial = Trial::begin();
    let stranger = Session {
        access_key_id: "PCAK0000000000000000".to_owned(),
        ..trial.session.clone()
    };
    let wrong = Session {
        secret: "wrong".to_owned(),
        ..trial.session.clone()
    };
    for session in [stranger, wrong] {
        let answer = trial.refused("a guess", &get_object(&trial).sign(&session), &[403]);
        let text = answer.text();
        for leak in [
            "StringToSign",
            "CanonicalRequest",
            "SignatureProvided",
            "Credential=",
        ] {
            assert!(!text.contains(leak), "{text}");
        }
    }
}

#[test]
fn sig_26_blanks_in_headers_count_once_and_repetitions_do_not_count() {
    let mut trial = Trial::begin();
    let blanks = Forged::new(&trial.host, "s3", "PUT", S3)
        .with("x-amz-meta-a", "  b   c  ")
        .body("hello")
        .sign(&trial.control());
    trial.accepted("blanks", &blanks);
    for name in ["content-type", "x-amz-target"] {
        let value = match name {
            "content-type" => "application/x-amz-json-1.0",
            _ => "DynamoDB_20120810.ListTables",
        };
        let call = list_tables(&trial).with(name, value);
        trial.refused(name, &call.sign(&trial.session), &[400, 403]);
    }
    let odd = put_object(&trial).with("x-amz-meta-a", "caf\u{e9}");
    trial.refused(
        "text of no known encoding",
        &odd.sign(&trial.session),
        &[400, 403],
    );
    let folded = put_object(&trial).with("x-amz-meta-a", "b\r\n c");
    trial.refused("a folded line", &folded.sign(&trial.session), &[400, 403]);
}
