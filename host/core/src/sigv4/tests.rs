//! Requests signed by `aws-sigv4`, an independent implementation, and what hostile edits of them
//! meet. AWS's own vectors are in `vectors`.

mod asymmetric;
mod canonical_forms;
mod chunks;
mod mutations;
mod payloads;
mod presigned;
pub(crate) mod support;
mod vectors;

use super::*;
use support::{Sample, now, secret};

/// Edits a signed sample and says what becomes of it.
fn outcome(sample: &Sample, edit: impl Fn(&mut Head)) -> Result<(), Refusal> {
    let (mut head, payload) = sample.sign();
    edit(&mut head);
    SignedRequest::parse(head)?
        .verify(&secret(), payload, now())
        .map(drop)
}

fn set(name: &'static str, value: &'static str) -> impl Fn(&mut Head) {
    move |head| drop(head.headers.insert(name, value.parse().unwrap()))
}

fn append(name: &'static str, value: &'static str) -> impl Fn(&mut Head) {
    move |head| {
        head.headers.append(name, value.parse().unwrap());
    }
}

/// Rewrites the `Authorization` header.
fn authorize(rewrite: impl Fn(&str) -> String) -> impl Fn(&mut Head) {
    move |head| {
        let value = head.headers["authorization"].to_str().unwrap().to_owned();
        let value = rewrite(&value).parse().unwrap();
        head.headers.insert("authorization", value);
    }
}

fn is_unsupported(outcome: &Result<(), Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Unsupported(_)))
}

#[test]
fn what_an_independent_signer_signs_is_accepted() {
    for sample in [
        Sample::dynamodb(),
        Sample::s3_get(),
        Sample::s3_put_whole(),
        Sample::s3_put_unsigned(),
        Sample::s3_put_trailer(),
        Sample::lambda(),
    ] {
        assert_eq!(outcome(&sample, |_| {}), Ok(()), "{sample:?}");
    }
}

#[test]
fn a_header_that_nobody_signed_counts_only_if_clients_leave_it_out() {
    let (mut head, payload) = Sample::s3_get().sign();
    set("range", "bytes=0-1")(&mut head);
    append("x-forwarded-host", "evil.example")(&mut head);
    append("x-http-method-override", "DELETE")(&mut head);
    let verified = SignedRequest::parse(head).unwrap();
    let verified = verified.verify(&secret(), payload, now()).unwrap();
    let names: Vec<&str> = verified
        .head()
        .headers
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert!(
        names.contains(&"range") && names.contains(&"x-amz-date"),
        "{names:?}"
    );
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("x-forwarded") || name.contains("override")),
        "{names:?}"
    );
    assert!(TAKEN_UNSIGNED.is_sorted());
}

#[test]
fn a_request_without_a_header_signature_is_told_the_way_out() {
    let bare = |query: &'static str| {
        move |head: &mut Head| {
            head.headers.remove("authorization");
            head.query = (!query.is_empty()).then(|| query.to_owned());
        }
    };
    let get = Sample::s3_get();
    assert_eq!(outcome(&get, bare("")), Err(Refusal::Unsigned));
    let query = outcome(&get, bare("AWSAccessKeyId=PCAK&Signature=x&Expires=1"));
    let advice = query.unwrap_err().to_string();
    assert!(advice.contains("signature_version='s3v4'"), "{advice}");
    let sigv2 = outcome(&get, set("authorization", "AWS PCAK:c2ln")).unwrap_err();
    assert!(sigv2.to_string().contains("signature_version='s3v4'"));
    for scheme in [
        "AWS4-ECDSA-P384-SHA384 Credential=a",
        "AWS4-HMAC-SHA1 Credential=a",
        "aws4-hmac-sha256 Credential=a",
        "Bearer abc",
        "Basic abc",
        "x",
    ] {
        let seen = outcome(&get, set("authorization", scheme));
        assert!(is_unsupported(&seen), "{scheme}: {seen:?}");
    }
}

#[test]
fn a_form_upload_is_not_a_signature() {
    let seen = outcome(&Sample::s3_get(), |head| {
        head.headers.remove("authorization");
        head.method = http::Method::POST;
        let form = "multipart/form-data; boundary=x".parse().unwrap();
        head.headers.insert("content-type", form);
    });
    assert!(is_unsupported(&seen), "{seen:?}");
}

#[test]
fn two_signatures_are_refused() {
    let ambiguous = |edit: &dyn Fn(&mut Head)| {
        let seen = outcome(&Sample::s3_get(), edit);
        assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    };
    ambiguous(&append("authorization", "AWS4-HMAC-SHA256 Credential=x"));
    ambiguous(&append("x-amz-date", "20150830T123600Z"));
    ambiguous(&append("x-amz-security-token", "other"));
    ambiguous(&append("x-amz-content-sha256", "UNSIGNED-PAYLOAD"));
    ambiguous(&append("host", "evil.example"));
    for query in [
        "X-Amz-Signature=00",
        "X-Amz-Credential=a&X-Amz-Credential=b",
        "x-amz-security-token=t",
        "x-amz-copy-source=b%2Fk",
        "AWSAccessKeyId=PCAK",
    ] {
        ambiguous(&|head| head.query = Some(query.to_owned()));
    }
    let part = |old: &'static str, new: &'static str| authorize(move |text| text.replace(old, new));
    for edit in [
        part(
            "Credential=",
            "Credential=a/20150830/us-east-1/s3/aws4_request, Credential=",
        ),
        part("Signature=", "Signature=00, Signature="),
        part("SignedHeaders=", "SignedHeaders=host, SignedHeaders="),
    ] {
        let seen = outcome(&Sample::s3_get(), edit);
        assert!(matches!(seen, Err(Refusal::Malformed(_))), "{seen:?}");
    }
}

#[test]
fn the_authorization_header_has_one_form() {
    let cases: [(&str, &str); 17] = [
        (" Credential=", "  x Credential="),
        ("Credential=", "credential="),
        (", Signature=", ", Extra=1, Signature="),
        (", Signature=", "; Signature="),
        (", Signature=", ",, Signature="),
        (", Signature=", ",\tSignature="),
        ("Signature=", "Signature"),
        ("/aws4_request", "/aws4_request/x"),
        ("/aws4_request", "/AWS4_REQUEST"),
        ("/aws4_request", ""),
        ("/20150830/", "/2015083/"),
        ("/20150830/", "/20150831/"),
        ("/us-east-1/", "//"),
        ("/us-east-1/", "/us east-1/"),
        ("/us-east-1/", "/us.east-1/"),
        ("Credential=PCAK", "Credential=../PCAK"),
        ("Credential=PCAKEXAMPLE0000000", "Credential="),
    ];
    for (old, new) in cases {
        let seen = outcome(&Sample::s3_get(), authorize(|text| text.replace(old, new)));
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{new}: {seen:?}"
        );
    }
    // Without blanks is how some signers write it.
    let tight = authorize(|text| text.replace(", ", ","));
    assert_eq!(outcome(&Sample::s3_get(), tight), Ok(()));
    let shouting = authorize(|text| {
        let (head, signature) = text.rsplit_once('=').unwrap();
        format!("{head}={}", signature.to_uppercase())
    });
    let seen = outcome(&Sample::s3_get(), shouting);
    assert!(matches!(seen, Err(Refusal::Malformed(_))), "{seen:?}");
    let long = authorize(|text| format!("{text}{}", "0".repeat(9000)));
    assert!(outcome(&Sample::s3_get(), long).is_err());
}

#[test]
fn signed_headers_is_a_sorted_list_of_what_was_sent() {
    let list = |edit: &'static str| {
        authorize(move |text| {
            let (before, rest) = text.split_once("SignedHeaders=").unwrap();
            let (_, after) = rest.split_once(',').unwrap();
            format!("{before}SignedHeaders={edit},{after}")
        })
    };
    for names in [
        "",
        ";",
        "host;host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        "x-amz-content-sha256;x-amz-date;x-amz-security-token;host",
        "Host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        "host;x-amz-absent;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        "host; x-amz-content-sha256;x-amz-date;x-amz-security-token",
        "host;x-amz-content-sha256;x-amz-date;x-amz-security-token;",
    ] {
        let seen = outcome(&Sample::s3_get(), list(names));
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{names}: {seen:?}"
        );
    }
    for (names, missing) in [
        (
            "x-amz-content-sha256;x-amz-date;x-amz-security-token",
            "host",
        ),
        (
            "host;x-amz-date;x-amz-security-token",
            "x-amz-content-sha256",
        ),
        (
            "host;x-amz-content-sha256;x-amz-security-token",
            "x-amz-date",
        ),
        (
            "host;x-amz-content-sha256;x-amz-date",
            "x-amz-security-token",
        ),
    ] {
        assert_eq!(
            outcome(&Sample::s3_get(), list(names)),
            Err(Refusal::UnsignedHeader(missing.to_owned()))
        );
    }
}

#[test]
fn headers_added_after_signing_are_refused_if_aws_would_read_them() {
    for name in [
        "x-amz-copy-source",
        "x-amz-target",
        "x-amz-invocation-type",
        "x-amz-meta-a",
        "x-amz-",
    ] {
        assert_eq!(
            outcome(&Sample::dynamodb(), append(name, "v")).unwrap_err(),
            if name == "x-amz-target" {
                // A second value of a signed header changes what is signed.
                Refusal::SignatureMismatch
            } else {
                Refusal::UnsignedHeader(name.to_owned())
            }
        );
    }
    for name in [
        "amz-sdk-invocation-id",
        "user-agent",
        "expect",
        "x-amzn-trace-id",
    ] {
        assert_eq!(
            outcome(&Sample::dynamodb(), append(name, "v")),
            Ok(()),
            "{name}"
        );
    }
}

#[test]
fn the_host_signed_is_the_host_addressed() {
    let elsewhere = |head: &mut Head| head.authority = "iam.amazonaws.com".to_owned();
    let seen = outcome(&Sample::dynamodb(), elsewhere);
    assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    // As HTTP/2 has it.
    let pseudo = |head: &mut Head| drop(head.headers.remove("host"));
    assert_eq!(outcome(&Sample::dynamodb(), pseudo), Ok(()));
    let neither = |head: &mut Head| {
        head.headers.remove("host");
        head.authority.clear();
    };
    assert!(outcome(&Sample::dynamodb(), neither).is_err());
}

#[test]
fn the_window_is_five_minutes_and_fifteen_for_s3() {
    for (sample, seconds, accepted) in [
        (Sample::dynamodb(), 300, true),
        (Sample::dynamodb(), -300, true),
        (Sample::dynamodb(), 301, false),
        (Sample::dynamodb(), -301, false),
        (Sample::s3_get(), 900, true),
        (Sample::s3_get(), -900, true),
        (Sample::s3_get(), 901, false),
        (Sample::s3_get(), -901, false),
    ] {
        let (head, payload) = sample.sign();
        let later = now() + time::Duration::seconds(seconds);
        let seen = SignedRequest::parse(head)
            .unwrap()
            .verify(&secret(), payload, later);
        let skewed = matches!(seen, Err(Refusal::ClockSkew { .. }));
        assert_eq!(seen.is_ok(), accepted, "{seconds}");
        assert_eq!(skewed, !accepted, "{seconds}");
    }
}

#[test]
fn times_that_disagree_or_do_not_parse_are_refused() {
    let seen = outcome(
        &Sample::s3_get(),
        set("date", "Sun, 30 Aug 2015 12:36:01 GMT"),
    );
    assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    let same = set("date", "Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(outcome(&Sample::s3_get(), same), Ok(()));
    for text in ["20150830T12360Z", "20150831T000000Z", "now", ""] {
        let seen = outcome(&Sample::s3_get(), set("x-amz-date", text));
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{text}: {seen:?}"
        );
    }
    let gone = |head: &mut Head| drop(head.headers.remove("x-amz-date"));
    assert!(outcome(&Sample::s3_get(), gone).is_err());
    let unsigned = |head: &mut Head| {
        head.headers.remove("x-amz-date");
        set("date", "Sun, 30 Aug 2015 12:36:00 GMT")(head);
        authorize(|text| text.replace("x-amz-date;", ""))(head);
    };
    assert_eq!(
        outcome(&Sample::s3_get(), unsigned),
        Err(Refusal::UnsignedHeader("date".to_owned()))
    );
}

#[test]
fn a_wrong_secret_and_a_made_up_signature_look_alike() {
    let (head, payload) = Sample::dynamodb().sign();
    let other = SigningSecret::new("another".to_owned());
    let wrong = SignedRequest::parse(head)
        .unwrap()
        .verify(&other, payload, now());
    assert_eq!(wrong.err(), Some(Refusal::SignatureMismatch));
    let forged = authorize(|text| {
        let (head, _) = text.rsplit_once('=').unwrap();
        format!("{head}={}", "deadbeef".repeat(8))
    });
    for sample in [
        Sample::dynamodb(),
        Sample::s3_get(),
        Sample::s3_put_whole(),
        Sample::s3_put_unsigned(),
        Sample::s3_put_trailer(),
    ] {
        assert_eq!(outcome(&sample, &forged), Err(Refusal::SignatureMismatch));
    }
}

#[test]
fn the_host_is_signed_once_under_either_name() {
    for (names, expected) in [
        ("SignedHeaders=:authority;", Refusal::SignatureMismatch),
        (
            "SignedHeaders=:authority;host;",
            Refusal::UnsignedHeader("host".to_owned()),
        ),
        ("SignedHeaders=", Refusal::UnsignedHeader("host".to_owned())),
    ] {
        let edit = authorize(|text| text.replace("SignedHeaders=host;", names));
        assert_eq!(outcome(&Sample::s3_get(), edit), Err(expected), "{names}");
    }
}

#[test]
fn a_session_token_is_bounded() {
    let long = |head: &mut Head| {
        let token = "t".repeat(MAX_SESSION_TOKEN + 1).parse().unwrap();
        head.headers.insert("x-amz-security-token", token);
    };
    assert_eq!(
        outcome(&Sample::s3_get(), long),
        Err(Refusal::SessionInvalid)
    );
}

#[test]
fn a_directory_buckets_session_has_a_header_of_its_own() {
    let token = |service, headers: &[(&str, &str)]| {
        let mut sample = Sample::new(service, "GET", "/b--use1-az4--x-s3/k");
        for (name, value) in headers {
            sample = sample.with_header(name, value);
        }
        let (mut head, _) = sample.sign();
        if headers.len() == 1 {
            head.headers.remove("x-amz-security-token");
            let list = head.headers["authorization"].to_str().unwrap();
            let list = list.replace(";x-amz-security-token", "");
            head.headers.insert("authorization", list.parse().unwrap());
        }
        SignedRequest::parse(head).map(|request| request.session_token().map(str::to_owned))
    };
    let express = ("x-amz-s3session-token", "sealed");
    assert_eq!(
        token("s3express", &[express]),
        Ok(Some("sealed".to_owned()))
    );
    let other = token("s3", &[express]);
    assert!(matches!(other, Err(Refusal::Ambiguous(_))), "{other:?}");
    let both = token("s3express", &[express, ("x-amz-meta-a", "b")]);
    assert!(matches!(both, Err(Refusal::Ambiguous(_))), "{both:?}");
}

#[test]
fn header_values_that_signers_read_differently_are_refused() {
    for (name, value, refused) in [
        ("x-amz-meta-a", &b"a\tb"[..], true),
        ("x-amz-meta-a", b"a   b", false),
        ("x-amz-meta-a", b"caf\xc3\xa9", false),
        ("x-amz-security-token", b"caf\xc3\xa9", true),
        ("authorization", b"AWS4-HMAC-SHA256 \xff", true),
        ("x-amz-date", b"20150830T123600Z\xff", true),
    ] {
        let (mut head, _) = Sample::s3_get().with_header("x-amz-meta-a", "a").sign();
        head.headers
            .insert(name, http::HeaderValue::from_bytes(value).unwrap());
        assert_eq!(SignedRequest::parse(head).is_err(), refused, "{name}");
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let (head, payload) = Sample::s3_get().sign();
    let signature = head.headers["authorization"].to_str().unwrap().to_owned();
    let signature = signature.rsplit('=').next().unwrap().to_owned();
    let request = SignedRequest::parse(head).unwrap();
    let mut printed = format!("{request:?} {:?} {:?}", request.head(), secret());
    let verified = request.verify(&secret(), payload, now()).unwrap();
    printed += &format!("{verified:?} {:?}", verified.head());
    for planted in [support::SECRET, support::TOKEN, &signature] {
        assert!(!printed.contains(planted), "{planted}");
    }
}
