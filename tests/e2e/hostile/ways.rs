//! Ways of signing: those that are taken somewhere only, and those that are not taken.

use super::Trial;
use super::signatures::{get_object, list_tables, put_object, replaced, rewritten};
use crate::fixture::forge::Forged;
use crate::fixture::sign::{Session, Signed};

/// A request to a multi-region access point of the session's account.
fn multi_region(set: &str) -> Forged {
    Forged::new("mfzwi23gnjvgw.mrap.gw.test", "s3", "PUT", "/key")
        .with("x-amz-region-set", set)
        .body("hello")
}

/// By its ARN, in the one way that a path can hold it.
fn by_arn(trial: &Trial) -> Forged {
    let point = "arn%3Aaws%3As3%3A%3A999999999999%3Aaccesspoint%2Fmfzwi23gnjvgw.mrap";
    Forged::new(&trial.host, "s3", "PUT", &format!("/{point}/key"))
        .with("x-amz-region-set", "*")
        .body("hello")
}

#[test]
fn sig_25_a_signature_for_many_regions_is_for_multi_region_access_points_alone() {
    let mut trial = Trial::begin();
    let good = multi_region("*").sign(&trial.control());
    let arrived = trial.accepted("a multi-region access point", &good);
    assert!(
        arrived
            .header("authorization")
            .unwrap()
            .starts_with("AWS4-ECDSA-P256-SHA256 ")
    );
    let asymmetric = |call: Forged| call.with("x-amz-region-set", "*");
    for (what, call) in [
        ("a bucket", asymmetric(put_object(&trial))),
        ("another service", asymmetric(list_tables(&trial))),
        ("another account's", by_arn(&trial)),
        ("a region that is none", multi_region("us-east-1,xx-east-1")),
    ] {
        trial.refused(what, &call.sign(&trial.session), &[400, 501]);
    }
    let plain = put_object(&trial).sign(&trial.session);
    let mut one_region = multi_region("");
    one_region.headers.retain(|(name, _)| name == "host");
    let answer = trial.refused("one region", &one_region.sign(&trial.session), &[400, 501]);
    assert!(answer.text().contains("awscrt"), "{}", answer.text());
    let signed = || multi_region("us-east-1").sign(&trial.session);
    let wrong = Session {
        secret: "wrong".to_owned(),
        ..trial.session.clone()
    };
    let bent: [(&str, Signed); 8] = [
        ("another secret", multi_region("us-east-1").sign(&wrong)),
        ("a wider set", replaced(signed(), "x-amz-region-set", "*")),
        ("no set", signed().without("x-amz-region-set")),
        ("two sets", signed().with("x-amz-region-set", "us-east-1")),
        ("a set left unsigned", {
            multi_region("us-east-1")
                .unsigned("x-amz-region-set")
                .sign(&trial.session)
        }),
        ("a set beside a region", plain.with("x-amz-region-set", "*")),
        (
            "the other algorithm",
            rewritten(signed(), "ECDSA-P256-SHA256", "HMAC-SHA256"),
        ),
        (
            "a region in the scope",
            rewritten(signed(), "/s3/", "/us-east-1/s3/"),
        ),
    ];
    for (what, request) in &bent {
        trial.refused(what, request, &[400, 403]);
    }
    for mode in [
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    ] {
        let call = multi_region("*")
            .with("x-amz-content-sha256", mode)
            .with("x-amz-decoded-content-length", "5");
        trial.refused(mode, &call.sign(&trial.session), &[400, 501]);
    }
}

#[test]
fn sig_25_ways_of_signing_that_are_not_taken_say_so() {
    let mut trial = Trial::begin();
    let key = trial.session.access_key_id.clone();
    let mut asymmetric = get_object(&trial)
        .with("x-amz-region-set", "*")
        .sign(&trial.session);
    *asymmetric.header("authorization") = format!(
        "AWS4-ECDSA-P384-SHA384 Credential={key}/20260101/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=30"
    );
    let answer = trial.refused("asymmetric", &asymmetric, &[400, 403, 501]);
    assert!(answer.text().contains("not taken"), "{}", answer.text());
    let events = Forged::new(&trial.host, "transcribe", "POST", "/stream-transcription")
        .with("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS")
        .sign(&trial.session);
    trial.refused("signed events", &events, &[400, 403, 404, 501]);
    let express = |service: &str, target: &str| Forged {
        service: service.to_owned(),
        ..Forged::new(&trial.host, "s3", "GET", target)
    };
    let token = trial.session.token.clone();
    let mut cases = vec![
        (
            "a directory bucket as S3",
            express("s3", "/b--use1-az4--x-s3/k"),
        ),
        ("a bucket as S3 Express", express("s3express", "/bucket/k")),
        (
            "an access point of a directory bucket",
            express("s3express", "/b--use1-az4--xa-s3/k"),
        ),
    ];
    cases.push((
        "a session's header beside the token",
        express("s3express", "/b--use1-az4--x-s3/k").with("x-amz-s3session-token", &token),
    ));
    for (what, call) in cases {
        let signed = call.sign(&trial.session);
        trial.refused(what, &signed, &[400, 403, 404, 501]);
    }
}
