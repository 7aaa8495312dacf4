//! Heads that announce signed chunks, and the chains that begin with their signatures.

use bytes::Bytes;

use super::*;
use crate::aws_chunked::{Encoder, Trailer};

/// What a client would send behind `head`.
fn body(head: &Head, trailer: Option<&Trailer>) -> Bytes {
    let signature = head.headers["authorization"].to_str().unwrap();
    let (_, signature) = signature.split_once("Signature=").unwrap();
    let scope = Scope {
        date: "20150830".to_owned(),
        reach: "us-east-1".into(),
        service: "s3".to_owned(),
    };
    let chain = ChunkChain::new(&secret(), &scope, "20150830T123600Z", signature).unwrap();
    let mut encoder = Encoder::new(chain);
    assert!(encoder.pull(&mut Bytes::from_static(b"hello")).is_none());
    encoder.finish(trailer)
}

fn verify(head: Head, payload: Payload) -> Result<VerifiedParts, Refusal> {
    let signed = SignedRequest::parse(head)?;
    signed.verify(&secret(), payload, now())?.into_parts(None)
}

fn crc32() -> Trailer {
    Trailer {
        algorithm: Algorithm::Crc32,
        value: "NhCmhg==".to_owned(),
    }
}

#[test]
fn chunks_signed_after_the_head_are_accepted_and_others_are_not() {
    let another = Sample::s3_put_chunks().with_header("x-amz-meta-a", "b");
    let (another, _) = another.sign();
    for (sample, trailer) in [
        (Sample::s3_put_chunks(), None),
        (Sample::s3_put_chunks_trailer(), Some(crc32())),
    ] {
        let (head, _) = sample.sign();
        let good = body(&head, trailer.as_ref());
        let parts = verify(head.clone(), Payload::Whole(good.clone())).unwrap();
        assert!(parts.check.is_none());

        let bad = body(&another, trailer.as_ref());
        let seen = verify(head.clone(), Payload::Whole(bad)).err();
        assert_eq!(seen, Some(Refusal::SignatureMismatch));

        let parts = verify(head, Payload::Streamed).unwrap();
        let Some(BodyCheck::SignedChunks(mut decoder)) = parts.check else {
            panic!("{:?}", parts.check);
        };
        let mut wire = good;
        assert_eq!(decoder.pull(&mut wire).unwrap(), "hello");
        assert!(decoder.pull(&mut wire).unwrap().is_empty());
        assert_eq!(decoder.finish().unwrap(), trailer);
    }
}

#[test]
fn the_word_and_the_announced_trailer_agree() {
    let word = |name: &'static str| set("x-amz-content-sha256", name);
    for (sample, edit) in [
        (
            Sample::s3_put_chunks(),
            word("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        ),
        (
            Sample::s3_put_chunks_trailer(),
            word("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ),
    ] {
        let seen = outcome(&sample, edit);
        assert!(matches!(seen, Err(Refusal::Malformed(_))), "{seen:?}");
    }
    let checksum = set("x-amz-trailer", "x-amz-checksum-md5");
    let seen = outcome(&Sample::s3_put_chunks_trailer(), checksum);
    assert!(is_unsupported(&seen), "{seen:?}");
}

#[test]
fn a_signed_head_cannot_be_turned_into_one_with_chunks() {
    let announce = |head: &mut Head| {
        set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")(head);
    };
    let sample = Sample::s3_put_whole().with_header("x-amz-decoded-content-length", "5");
    assert_eq!(outcome(&sample, announce), Err(Refusal::SignatureMismatch));
}
