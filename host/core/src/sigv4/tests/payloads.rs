//! Bodies and what the head promises of them.

use super::*;

#[test]
fn a_body_that_is_not_the_signed_one_is_refused() {
    let swapped = |sample: &Sample| {
        let (head, _) = sample.sign();
        let body = Payload::Whole(Bytes::from_static(b"swapped"));
        SignedRequest::parse(head)
            .unwrap()
            .verify(&secret(), body, now())
            .err()
    };
    assert_eq!(
        swapped(&Sample::dynamodb()),
        Some(Refusal::SignatureMismatch)
    );
    assert_eq!(
        swapped(&Sample::s3_put_whole()),
        Some(Refusal::PayloadMismatch)
    );
    assert_eq!(swapped(&Sample::lambda()), Some(Refusal::PayloadMismatch));
    assert!(matches!(
        swapped(&Sample::s3_put_trailer()),
        Some(Refusal::Malformed(_))
    ));
}

#[test]
fn a_streamed_body_needs_a_promise_to_be_checked_against() {
    let streamed = |sample: &Sample| {
        let (head, _) = sample.sign();
        SignedRequest::parse(head)
            .unwrap()
            .verify(&secret(), Payload::Streamed, now())
    };
    assert_eq!(streamed(&Sample::dynamodb()).err(), Some(Refusal::Internal));
    assert!(streamed(&Sample::s3_put_whole()).is_ok());
    assert!(streamed(&Sample::s3_put_trailer()).is_ok());
    assert!(streamed(&Sample::s3_put_unsigned()).is_ok());
}

#[test]
fn payload_modes_are_taken_only_where_they_are_safe() {
    let put = Sample::s3_put_trailer();
    for value in [
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER2",
        "STREAMING-",
    ] {
        let seen = outcome(&put, set("x-amz-content-sha256", value));
        assert!(is_unsupported(&seen), "{value}: {seen:?}");
    }
    for sample in [Sample::s3_put_chunks(), Sample::s3_put_trailer()] {
        let elsewhere = authorize(|text| text.replace("/s3/", "/dynamodb/"));
        let seen = outcome(&sample, elsewhere);
        assert!(is_unsupported(&seen), "{seen:?}");
        let posted = outcome(&sample, |head| head.method = http::Method::POST);
        assert!(is_unsupported(&posted), "{posted:?}");
    }
    for sample in [Sample::s3_put_trailer(), Sample::s3_put_unsigned()] {
        let plain = outcome(&sample, |head| head.tls = false);
        assert!(is_unsupported(&plain), "{plain:?}");
        let elsewhere = authorize(|text| text.replace("/s3/", "/glacier/"));
        let seen = outcome(&sample, elsewhere);
        assert!(is_unsupported(&seen), "{seen:?}");
        for service in ["s3", "s3-object-lambda", "s3-outposts", "s3express"] {
            let sample = Sample {
                service: service.to_owned(),
                ..sample.clone()
            };
            assert_eq!(outcome(&sample, |_| {}), Ok(()), "{service}");
        }
    }
    let checksum = set("x-amz-trailer", "x-amz-checksum-md5");
    assert!(is_unsupported(&outcome(&put, checksum)));
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("x-amz-decoded-content-length", "05"),
        ("x-amz-decoded-content-length", "+5"),
        ("x-amz-decoded-content-length", ""),
        ("x-amz-decoded-content-length", "99999999999999999999"),
    ] {
        let seen = outcome(&put, set(name, value));
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{value}: {seen:?}"
        );
    }
    for value in [
        "",
        "unsigned-payload",
        "E3B0",
        &"E".repeat(64),
        &"0".repeat(66),
    ] {
        let seen = outcome(&put, |head| {
            head.headers
                .insert("x-amz-content-sha256", value.parse().unwrap());
        });
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{value}: {seen:?}"
        );
    }
    let none = |head: &mut Head| drop(head.headers.remove("x-amz-content-sha256"));
    assert!(outcome(&Sample::s3_get(), none).is_err());
}

#[test]
fn framing_headers_without_the_framed_mode_are_refused() {
    for (name, value) in [
        ("content-encoding", "aws-chunked"),
        ("content-encoding", "gzip,aws-chunked"),
        ("content-encoding", "AWS-Chunked"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-decoded-content-length", "5"),
    ] {
        let seen = outcome(&Sample::s3_put_whole().with_header(name, value), |_| {});
        assert!(
            matches!(seen, Err(Refusal::Ambiguous(_))),
            "{value}: {seen:?}"
        );
    }
    let gzip = Sample::s3_put_whole().with_header("content-encoding", "gzip");
    assert_eq!(outcome(&gzip, |_| {}), Ok(()));
}
