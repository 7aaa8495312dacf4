//! Presigned URLs, signed by `aws-sigv4` and bent.

use time::Duration;

use super::*;

const MINUTE: u64 = 60;

fn get() -> Sample {
    Sample::s3_get()
}

fn verify_at(
    (head, payload): (Head, Payload),
    now: OffsetDateTime,
) -> Result<VerifiedRequest, Refusal> {
    SignedRequest::parse(head)?.verify(&secret(), payload, now)
}

/// What becomes of a URL whose query was bent.
fn bent(sample: &Sample, bend: impl Fn(&str) -> String) -> Result<(), Refusal> {
    let (mut head, payload) = sample.presign(MINUTE);
    let query = head.query.take().unwrap();
    let other = bend(&query);
    assert_ne!(other, query);
    head.query = Some(other);
    verify_at((head, payload), now()).map(drop)
}

fn malformed(outcome: &Result<(), Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Malformed(_)))
}

fn ambiguous(outcome: &Result<(), Refusal>) -> bool {
    matches!(outcome, Err(Refusal::Ambiguous(_)))
}

#[test]
fn the_signature_is_taken_out_and_the_rest_of_the_query_stays() {
    let (head, payload) = get().presign(MINUTE);
    let parsed = SignedRequest::parse(head).unwrap();
    assert_eq!(parsed.session_token(), Some(support::TOKEN));
    assert_eq!(*parsed.payload_mode(), PayloadMode::Unsigned);
    let verified = parsed.verify(&secret(), payload, now()).unwrap();
    let query = verified.head().query.as_deref();
    assert_eq!(query, Some("x-id=GetObject&versionId=a%2Fb"));
    let alone = Sample::new("s3", "GET", "/bucket/k").presign(MINUTE);
    assert_eq!(verify_at(alone, now()).unwrap().head().query, None);
}

#[test]
fn other_services_sign_the_body() {
    let sample = Sample::lambda();
    assert!(verify_at(sample.presign(MINUTE), now()).is_ok());
    let (head, _) = sample.presign(MINUTE);
    let other = Payload::Whole(Bytes::from_static(b"{ }"));
    let seen = verify_at((head, other), now()).err();
    assert_eq!(seen, Some(Refusal::SignatureMismatch));
}

#[test]
fn a_url_is_good_from_its_date_to_its_end() {
    let check = |lifetime, seconds, expected: fn(&Refusal) -> bool| {
        let outcome = verify_at(get().presign(lifetime), now() + Duration::seconds(seconds));
        let refusal = outcome.err();
        assert!(
            refusal.as_ref().is_some_and(expected),
            "{seconds}: {refusal:?}"
        );
    };
    let good = |lifetime, seconds| {
        let outcome = verify_at(get().presign(lifetime), now() + Duration::seconds(seconds));
        assert!(outcome.is_ok(), "{seconds}: {outcome:?}");
    };
    good(1, 0);
    good(604_800, 604_799);
    good(MINUTE, 59);
    good(MINUTE, -900);
    check(MINUTE, 60, |refusal| {
        matches!(refusal, Refusal::UrlExpired { .. })
    });
    check(604_800, 604_800, |refusal| {
        matches!(refusal, Refusal::UrlExpired { .. })
    });
    check(MINUTE, -901, |refusal| {
        matches!(refusal, Refusal::ClockSkew { .. })
    });
    for lifetime in [
        "0",
        "604801",
        "-1",
        "060",
        "+60",
        "",
        "6e1",
        "60.0",
        "18446744073709551616",
    ] {
        let seen = bent(&get(), |query| {
            query.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={lifetime}"))
        });
        assert!(malformed(&seen) || ambiguous(&seen), "{lifetime}: {seen:?}");
    }
    let longer = bent(&get(), |query| query.replace("Expires=60", "Expires=61"));
    assert_eq!(longer, Err(Refusal::SignatureMismatch));
}

#[test]
fn every_parameter_of_the_signature_is_there_once_and_spelled_right() {
    let (head, _) = get().presign(MINUTE);
    let query = head.query.unwrap();
    let own: Vec<&str> = query
        .split('&')
        .filter(|pair| pair.starts_with("X-Amz-"))
        .collect();
    assert_eq!(own.len(), 7, "{own:?}");
    for pair in own {
        let (name, _) = pair.split_once('=').unwrap();
        let twice = bent(&get(), |query| format!("{query}&{pair}"));
        assert!(ambiguous(&twice), "{name}: {twice:?}");
        let lower = pair.replace(name, &name.to_lowercase());
        let spelled = bent(&get(), |query| query.replace(pair, &lower));
        assert!(malformed(&spelled), "{name}: {spelled:?}");
        let escaped = pair.replacen('-', "%2D", 1);
        let spelled = bent(&get(), |query| query.replace(pair, &escaped));
        assert!(malformed(&spelled), "{name}: {spelled:?}");
        let missing = bent(&get(), |query| query.replace(&format!("&{pair}"), ""));
        assert!(missing.is_err(), "{name}: {missing:?}");
    }
}

#[test]
fn nothing_can_be_added_to_a_url() {
    for pair in [
        "a=b",
        "a",
        "versionId=2",
        "X-Amz-Acl=public-read",
        "x-amz-meta-a=b",
    ] {
        let seen = bent(&get(), |query| format!("{query}&{pair}"));
        assert_eq!(seen, Err(Refusal::SignatureMismatch), "{pair}");
        let seen = bent(&get(), |query| format!("{pair}&{query}"));
        assert_eq!(seen, Err(Refusal::SignatureMismatch), "{pair}");
    }
    let (mut head, payload) = get().presign(MINUTE);
    append("x-amz-acl", "public-read")(&mut head);
    let seen = verify_at((head, payload), now()).err();
    assert_eq!(seen, Some(Refusal::UnsignedHeader("x-amz-acl".to_owned())));
    let fewer = bent(&get(), |query| query.replace("versionId=a%2Fb&", ""));
    assert_eq!(fewer, Err(Refusal::SignatureMismatch));
}

#[test]
fn a_second_signature_token_or_date_is_refused() {
    for (name, value) in [
        ("authorization", "AWS4-HMAC-SHA256 Credential=x"),
        ("date", "20150830T123601Z"),
    ] {
        let (mut head, payload) = get().presign(MINUTE);
        append(name, value)(&mut head);
        let seen = verify_at((head, payload), now()).map(drop);
        assert!(ambiguous(&seen), "{name}: {seen:?}");
    }
    for (name, value) in [
        ("x-amz-security-token", support::TOKEN),
        ("x-amz-date", "20150830T123600Z"),
    ] {
        let signed = get().with_header(name, value);
        let seen = verify_at(signed.presign(MINUTE), now()).map(drop);
        assert!(ambiguous(&seen), "{name}: {seen:?}");
    }
    let (signed, payload) = get().sign();
    let (presigned, _) = get().presign(MINUTE);
    let both = Head {
        query: presigned.query,
        ..signed
    };
    assert!(ambiguous(&verify_at((both, payload), now()).map(drop)));
}

#[test]
fn a_url_has_one_token_of_its_kind() {
    let express = |service: &str, query: &str| {
        let sample = Sample::new(service, "GET", "/b--use1-az4--x-s3/k");
        let (mut head, _) = sample.presign(MINUTE);
        let own = head.query.take().unwrap();
        let (name, rest) = own.split_once("X-Amz-Security-Token=").unwrap();
        let (token, rest) = rest.split_at(rest.find('&').unwrap_or(rest.len()));
        head.query = Some(format!("{name}{}{rest}", query.replace("{}", token)));
        SignedRequest::parse(head).map(|request| request.session_token().map(str::to_owned))
    };
    let alone = "X-Amz-S3session-Token={}";
    let token = Some(support::TOKEN.to_owned());
    assert_eq!(express("s3express", alone), Ok(token));
    for (service, query) in [
        ("s3", alone),
        (
            "s3express",
            "X-Amz-S3session-Token={}&X-Amz-Security-Token={}",
        ),
        (
            "s3express",
            "X-Amz-S3session-Token={}&X-Amz-S3session-Token={}",
        ),
    ] {
        let seen = express(service, query);
        assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    }
}

#[test]
fn headers_that_were_hoisted_into_the_query_are_headers_again() {
    let sample = Sample::new(
        "s3",
        "PUT",
        "/bucket/k?X-Amz-Acl=private&x-amz-meta-a=b%20c&x-id=PutObject",
    );
    let verified = verify_at(sample.presign(MINUTE), now()).unwrap();
    assert_eq!(verified.head().headers["x-amz-acl"], "private");
    assert_eq!(verified.head().headers["x-amz-meta-a"], "b c");
    assert_eq!(verified.head().query.as_deref(), Some("x-id=PutObject"));
    for (target, header) in [
        ("/b/k?x-amz-acl=private&X-Amz-Acl=private", None),
        ("/b/k?x-amz-acl=private", Some(("x-amz-acl", "private"))),
    ] {
        let mut sample = Sample::new("s3", "PUT", target);
        if let Some((name, value)) = header {
            sample = sample.with_header(name, value);
        }
        let seen = verify_at(sample.presign(MINUTE), now()).map(drop);
        assert!(ambiguous(&seen), "{target}: {seen:?}");
    }
    for target in [
        "/b/k?x-amz-meta-a=%C3%A9",
        "/b/k?x-amz-meta-a=%20b",
        "/b/k?x-amz-=b%7F",
    ] {
        let seen = verify_at(Sample::new("s3", "PUT", target).presign(MINUTE), now()).map(drop);
        assert!(seen.is_err(), "{target}: {seen:?}");
    }
    let elsewhere = Sample::new("lambda", "GET", "/?x-amz-target=a").presign(MINUTE);
    assert!(malformed(&verify_at(elsewhere, now()).map(drop)));
}

#[test]
fn a_url_never_carries_chunks_or_an_unsafe_body() {
    let framed = Sample::new(
        "s3",
        "PUT",
        "/b/k?x-amz-content-sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER&x-amz-decoded-content-length=5",
    );
    let seen = verify_at(framed.presign(MINUTE), now()).map(drop);
    assert!(is_unsupported(&seen), "{seen:?}");
    let announced = Sample::s3_put_whole().with_header("content-encoding", "aws-chunked");
    assert!(ambiguous(
        &verify_at(announced.presign(MINUTE), now()).map(drop)
    ));
    let (mut head, payload) = get().presign(MINUTE);
    head.tls = false;
    let seen = verify_at((head, payload), now()).map(drop);
    assert!(is_unsupported(&seen), "{seen:?}");
}

#[test]
fn other_algorithms_are_told_the_way_out() {
    for algorithm in ["AWS4-HMAC-SHA1", "AWS4-ECDSA-P384-SHA384", ""] {
        let seen = bent(&get(), |query| {
            query.replace(
                "Algorithm=AWS4-HMAC-SHA256",
                &format!("Algorithm={algorithm}"),
            )
        });
        assert!(is_unsupported(&seen), "{algorithm}: {seen:?}");
    }
}

#[test]
fn nothing_of_the_signature_is_printed() {
    let (head, _) = get().presign(MINUTE);
    let parsed = SignedRequest::parse(head.clone()).unwrap();
    for text in [
        format!("{parsed:?}"),
        format!("{head:?}"),
        format!("{:?}", parsed.head()),
    ] {
        assert!(
            !text.contains("Signature=") && !text.contains("Token="),
            "{text}"
        );
    }
}
