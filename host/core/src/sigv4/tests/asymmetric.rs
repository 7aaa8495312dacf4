//! Signature Version 4A: keys as AWS derives them, signatures in one encoding, and a region set that
//! nobody can change. AWS's own vectors and the flipped bits are where those of Version 4 are.

use aws_sigv4::sign::v4a::{calculate_signature, generate_signing_key};
use p256::NonZeroScalar;
use p256::ecdsa;
use proptest::prelude::*;

use super::support::KEY;
use super::*;
use crate::sigv4::asymmetric::{EcdsaSignature, private_key};

const SET: &str = "us-east-1,eu-west-1";

fn samples() -> [Sample; 6] {
    [
        Sample::s3_get(),
        Sample::s3_put_whole(),
        Sample::s3_put_unsigned(),
        Sample::s3_put_trailer(),
        Sample::dynamodb(),
        Sample::lambda(),
    ]
    .map(|sample| sample.for_regions(SET))
}

fn presigned(edit: impl Fn(&mut Head)) -> Result<(), Refusal> {
    let (mut head, payload) = Sample::s3_get().for_regions("*").presign(60);
    edit(&mut head);
    SignedRequest::parse(head)?
        .verify(&secret(), payload, now())
        .map(drop)
}

fn query(rewrite: impl Fn(&str) -> String) -> impl Fn(&mut Head) {
    move |head| head.query = Some(rewrite(head.query.as_deref().unwrap()))
}

#[test]
fn what_an_independent_signer_signs_for_a_set_is_accepted() {
    for sample in samples() {
        assert_eq!(outcome(&sample, |_| {}), Ok(()), "{sample:?}");
    }
    assert_eq!(presigned(|_| {}), Ok(()));
}

#[test]
fn the_scope_has_the_signed_set_and_no_region() {
    for (head, payload) in samples()
        .iter()
        .map(Sample::sign)
        .chain([Sample::s3_get().for_regions(SET).presign(60)])
    {
        let verified = SignedRequest::parse(head).unwrap();
        let verified = verified.verify(&secret(), payload, now()).unwrap();
        assert_eq!(verified.scope().reach.as_str(), SET);
        assert_eq!(verified.scope().reach.region(), None);
    }
}

#[test]
fn another_key_another_secret_or_another_time_is_refused() {
    let sample = Sample::s3_get().for_regions("*");
    let (head, payload) = sample.sign();
    let with = |secret: &str, now| {
        let secret = SigningSecret::new(secret.to_owned());
        let parsed = SignedRequest::parse(head.clone()).unwrap();
        parsed.verify(&secret, payload.clone(), now).map(drop)
    };
    let mismatch = Err(Refusal::SignatureMismatch);
    assert_eq!(with("another", now()), mismatch);
    // The access key is part of what the key is derived from.
    let key = authorize(|text| text.replace(KEY, "PCAKEXAMPLE0000001"));
    assert_eq!(outcome(&sample, key), mismatch);
    let late = now() + time::Duration::minutes(16);
    assert!(matches!(
        with(support::SECRET, late),
        Err(Refusal::ClockSkew { .. })
    ));
}

#[test]
fn a_signature_of_one_kind_never_counts_as_one_of_the_other() {
    let asymmetric = Sample::s3_get().for_regions("*");
    let symmetric = Sample::s3_get();
    for (sample, from, to) in [
        (&asymmetric, "ECDSA-P256-SHA256", "HMAC-SHA256"),
        (
            &asymmetric,
            "/s3/aws4_request",
            "/us-east-1/s3/aws4_request",
        ),
        (&asymmetric, "/s3/aws4_request", "/*/s3/aws4_request"),
        (&symmetric, "HMAC-SHA256", "ECDSA-P256-SHA256"),
        (&symmetric, "/us-east-1/s3/", "/s3/"),
    ] {
        let seen = outcome(sample, authorize(|text| text.replace(from, to)));
        let refused = matches!(seen, Err(Refusal::Ambiguous(_) | Refusal::Malformed(_)));
        assert!(refused, "{to}: {seen:?}");
    }
    for (from, to) in [
        ("ECDSA-P256-SHA256", "HMAC-SHA256"),
        ("%2Fs3%2Faws4", "%2Fus-east-1%2Fs3%2Faws4"),
    ] {
        let seen = presigned(query(|text| text.replace(from, to)));
        assert!(seen.is_err(), "{to}: {seen:?}");
    }
}

#[test]
fn a_region_set_is_there_once_signed_and_in_one_spelling() {
    let sample = Sample::s3_get().for_regions(SET);
    let mismatch = |seen| assert_eq!(seen, Err(Refusal::SignatureMismatch));
    mismatch(outcome(&sample, set("x-amz-region-set", "*")));
    mismatch(outcome(
        &sample,
        set("x-amz-region-set", "eu-west-1,us-east-1"),
    ));
    let malformed = |seen| assert!(matches!(seen, Err(Refusal::Malformed(_))), "{seen:?}");
    for text in [
        "",
        "us-east-1, eu-west-1",
        "US-EAST-1",
        "us-east-1,us-east-1",
    ] {
        malformed(outcome(&sample, set("x-amz-region-set", text)));
    }
    malformed(outcome(&sample, |head| {
        head.headers.remove("x-amz-region-set");
    }));
    let ambiguous = |seen| assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    ambiguous(outcome(&sample, append("x-amz-region-set", SET)));
    // One region's signature has no such header, signed or not.
    let header = Sample::s3_get().with_header("x-amz-region-set", "*");
    ambiguous(outcome(&header, |_| {}));
    assert!(
        outcome(
            &sample,
            authorize(|text| text.replace(";x-amz-region-set", ""))
        )
        .is_err()
    );

    mismatch(presigned(query(|text| {
        text.replace("Set=%2A", "Set=us-east-1")
    })));
    malformed(presigned(query(|text| {
        text.replace("&X-Amz-Region-Set=%2A", "")
    })));
    ambiguous(presigned(query(|text| {
        format!("{text}&X-Amz-Region-Set=%2A")
    })));
    malformed(presigned(query(|text| {
        text.replace("Region-Set", "region-set")
    })));
    let unsigned = Refusal::UnsignedHeader("x-amz-region-set".to_owned());
    assert_eq!(presigned(set("x-amz-region-set", "*")), Err(unsigned));
    let (mut head, _) = Sample::s3_get().presign(60);
    query(|text| format!("{text}&X-Amz-Region-Set=%2A"))(&mut head);
    ambiguous(SignedRequest::parse(head).map(drop));
}

#[test]
fn chunks_are_signed_like_the_head_or_not_at_all() {
    for sample in [Sample::s3_put_chunks(), Sample::s3_put_chunks_trailer()] {
        let seen = outcome(&sample.for_regions("*"), |_| {});
        assert!(matches!(seen, Err(Refusal::Ambiguous(_))), "{seen:?}");
    }
    let mut sample = Sample::s3_put_chunks().for_regions("*");
    sample.binding = support::Binding::Chunks("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD");
    let advice = outcome(&sample, |_| {}).unwrap_err().to_string();
    assert!(advice.contains("UNSIGNED-PAYLOAD"), "{advice}");
}

fn int(bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![2, u8::try_from(bytes.len()).unwrap()];
    text.extend_from_slice(bytes);
    text
}

fn sequence(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [r, s].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

#[test]
fn a_signature_has_one_encoding() {
    let taken = |der: &[u8]| EcdsaSignature::parse(&hex::encode(der)).is_some();
    let (r, s) = (int(&[0x11; 32]), int(&[0x22; 32]));
    let good = sequence(&r, &s);
    assert!(taken(&good));
    assert!(taken(&sequence(&int(&[1]), &int(&[2]))));
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order = [vec![0], order.unwrap()].concat();
    for (what, bad) in [
        ("nothing", Vec::new()),
        ("a byte after it", [good.clone(), vec![0]].concat()),
        ("a byte missing", good[..good.len() - 1].to_vec()),
        (
            "a byte inside",
            sequence(&r, &[s.clone(), vec![0]].concat()),
        ),
        (
            "a leading zero",
            sequence(&int(&[&[0][..], &[0x11; 32]].concat()), &s),
        ),
        ("a negative number", sequence(&int(&[0x91; 32]), &s)),
        ("a zero", sequence(&int(&[0]), &s)),
        ("an empty number", sequence(&int(&[]), &s)),
        ("the order", sequence(&int(&order), &s)),
        ("33 bytes", sequence(&int(&[0x11; 33]), &s)),
        (
            "a long length",
            [&[0x30, 0x81, good[1]][..], &good[2..]].concat(),
        ),
        (
            "an indefinite length",
            [&[0x30, 0x80][..], &good[2..], &[0, 0]].concat(),
        ),
        ("another tag", [&[0x31][..], &good[1..]].concat()),
        (
            "three numbers",
            sequence(&r, &[s.clone(), s.clone()].concat()),
        ),
        ("raw numbers", [[0x11; 32], [0x22; 32]].concat()),
    ] {
        assert!(!taken(&bad), "{what}");
    }
    let text = hex::encode(&good);
    assert!(EcdsaSignature::parse(&text.to_uppercase()).is_none() || !text.contains(['a', 'f']));
    assert!(EcdsaSignature::parse(&format!("{text}**")).is_none());
    assert!(EcdsaSignature::parse(&"3".repeat(100_000)).is_none());
}

/// Some of AWS's signers write the lower of the two, some whichever comes.
#[test]
fn low_and_high_numbers_are_taken() {
    let key = generate_signing_key(KEY, support::SECRET);
    let text = calculate_signature(&key, b"text");
    let one = ecdsa::Signature::from_der(&hex::decode(text).unwrap()).unwrap();
    let negated = NonZeroScalar::new(-*one.s()).unwrap();
    let other = ecdsa::Signature::from_scalars(one.r(), negated).unwrap();
    for signature in [one, other] {
        let text = hex::encode(signature.to_der().as_bytes());
        let signature = EcdsaSignature::parse(&text).unwrap();
        assert_eq!(signature.check(&secret(), KEY, "text"), Ok(()));
        let mismatch = Err(Refusal::SignatureMismatch);
        assert_eq!(signature.check(&secret(), KEY, "texu"), mismatch);
    }
}

#[test]
fn nothing_of_it_is_printed() {
    let (head, _) = Sample::s3_get().for_regions("*").sign();
    let text = format!("{:?}", SignedRequest::parse(head).unwrap());
    assert!(!text.contains("Signature="), "{text}");
    let signature = EcdsaSignature::parse(&hex::encode(sequence(&int(&[1]), &int(&[2]))));
    assert_eq!(format!("{signature:?}"), "Some(EcdsaSignature(…))");
}

proptest! {
    #[test]
    fn keys_are_those_that_aws_derives(key in "[A-Z0-9]{16,128}", secret in "[ -~]{1,80}") {
        let expected = generate_signing_key(&key, &secret);
        let own = private_key(&SigningSecret::new(secret), &key).unwrap();
        prop_assert_eq!(&own.to_bytes()[..], expected.as_ref());
    }

    #[test]
    fn no_text_is_a_signature_in_a_second_encoding(text in "30[0-9a-f]{0,150}|.{0,160}") {
        if let Some(signature) = EcdsaSignature::parse(&text) {
            prop_assert_eq!(signature.text(), text);
        }
    }

    #[test]
    fn one_changed_byte_is_another_signature_or_none(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let der = hex::decode(calculate_signature(generate_signing_key(KEY, support::SECRET), b"text")).unwrap();
        let mut bent = der.clone();
        bent[at.index(der.len())] = byte;
        if let Some(signature) = EcdsaSignature::parse(&hex::encode(&bent)) {
            let verified = signature.check(&secret(), KEY, "text");
            prop_assert_eq!(verified.is_ok(), bent == der);
        }
    }
}
