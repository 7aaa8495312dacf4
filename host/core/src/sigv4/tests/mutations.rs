//! Every bit of what a signature covers matters, and no input makes the verifier panic.

use bytes::Bytes;
use http::HeaderValue;
use proptest::prelude::*;
use proptest::sample::Index;

use super::support::{Binding, Sample, now, secret};
use crate::head::Head;
use crate::refusal::Refusal;
use crate::sigv4::{Payload, SignedRequest};

fn verify(head: Head, payload: Payload) -> Result<(), Refusal> {
    SignedRequest::parse(head)?
        .verify(&secret(), payload, now())
        .map(drop)
}

/// Where a bit is flipped.
#[derive(Clone, Debug)]
enum Place {
    Body,
    Header(Index),
    Host,
    Method,
    Path,
    Query,
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Body),
        any::<Index>().prop_map(Place::Header),
        any::<Index>().prop_map(Place::Header),
        Just(Place::Host),
        Just(Place::Method),
        Just(Place::Path),
        Just(Place::Query),
    ]
}

/// A request of either path style with awkward keys, parameters and header values.
fn sample() -> impl Strategy<Value = Sample> {
    let name = "[A-Za-z0-9 _.~/+*'()!@:,;$&=?%üß–-]{1,12}";
    let headers =
        proptest::collection::vec(("x-amz-meta-[a-z]{1,3}", "[!-~]( {0,3}[!-~]){0,6}"), 0..3);
    let query = proptest::collection::vec((name, name), 0..4);
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    let region = proptest::sample::select(vec!["us-east-1", "*", "us-east-1,eu-west-1"]);
    let kind = (any::<bool>(), region);
    (kind, name, query, headers, body).prop_map(|((s3, region), key, query, headers, body)| {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, crate::sigv4::canonical::COMPONENT)
                .to_string()
        };
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("p{}={}", encode(name), encode(value)))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let key = encode(&key).replace("%2F", "/");
        let target = format!("/bucket/k{key}{mark}{}", pairs.join("&"));
        let mut sample = if s3 {
            Sample::new("s3", "PUT", &target)
        } else {
            Sample::new("execute-api", "POST", &target)
        };
        sample.binding = if s3 { Binding::Digest } else { Binding::Absent };
        sample.region = region;
        sample.body = body;
        sample.headers = headers;
        sample
    })
}

/// Flips one bit, or says that there is nothing there, or nothing that a listener would let in.
fn flip(head: &mut Head, payload: &mut Payload, place: &Place, at: Index, bit: u8) -> Option<()> {
    let flipped = |bytes: &[u8]| {
        let index = (!bytes.is_empty()).then(|| at.index(bytes.len()))?;
        let mut bytes = bytes.to_vec();
        bytes[index] ^= 1 << bit;
        Some(bytes)
    };
    let text = |text: &str| String::from_utf8(flipped(text.as_bytes())?).ok();
    match place {
        Place::Body => {
            let Payload::Whole(body) = payload else {
                return None;
            };
            *body = Bytes::from(flipped(body)?);
        }
        Place::Header(which) => {
            let names: Vec<_> = head.headers.keys().cloned().collect();
            let name = &names[which.index(names.len())];
            let old = head.headers[name].as_bytes();
            let new = flipped(old)?;
            // The access key is no part of the signature: it chooses the secret.
            let start = old.iter().position(|b| *b == b'=').unwrap_or(0) + 1;
            let key = start..new.iter().position(|b| *b == b'/').unwrap_or(0);
            if name == "authorization" && old.get(key.clone()) != new.get(key) {
                return None;
            }
            head.headers
                .insert(name, HeaderValue::from_bytes(&new).ok()?);
        }
        // A listener lower-cases it.
        Place::Host => {
            head.authority =
                Some(text(&head.authority)?).filter(|new| *new == new.to_lowercase())?
        }
        Place::Method => {
            head.method =
                http::Method::from_bytes(&flipped(head.method.as_str().as_bytes())?).ok()?;
        }
        Place::Path => head.path = text(&head.path)?,
        Place::Query => head.query = Some(text(head.query.as_deref()?)?),
    }
    Some(())
}

fn at_key(head: &Head, at: Index) -> bool {
    let query = head.query.as_deref().unwrap_or_default();
    let (before, rest) = query.split_once("X-Amz-Credential=").unwrap();
    let (key, _) = rest.split_once("%2F").unwrap();
    let start = before.len() + "X-Amz-Credential=".len();
    (start..start + key.len()).contains(&at.index(query.len()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_flipped_bit_anywhere_never_verifies(
        sample in sample(),
        place in place(),
        at in any::<Index>(),
        bit in 0u8..8,
    ) {
        for (head, payload) in [sample.sign(), sample.presign(60)] {
        prop_assert_eq!(verify(head.clone(), payload.clone()), Ok(()));
        // Nothing is signed of the body behind a presigned URL of S3.
        let presigned = !head.headers.contains_key("authorization");
        if presigned && sample.service == "s3" && matches!(place, Place::Body) {
            continue;
        }
        // The access key is no part of the signature: it chooses the secret.
        if presigned && matches!(place, Place::Query) && at_key(&head, at) {
            continue;
        }
        let (mut bad_head, mut bad_payload) = (head, payload);
        if flip(&mut bad_head, &mut bad_payload, &place, at, bit).is_some() {
            let seen = verify(bad_head.clone(), bad_payload);
            prop_assert!(seen.is_err(), "{:?} {:?}", place, bad_head);
        }
        }
    }

    #[test]
    fn arbitrary_heads_never_panic(
        path in "\\PC{0,40}",
        query in proptest::option::of(
            "([%&=+a-fA-F0-9\\PC]{0,40}|(&?X-Amz-(Algorithm|Credential|Date|Expires|Signature|SignedHeaders|Acl)=(AWS4-HMAC-SHA256|AWS4-ECDSA-P256-SHA256|[a-z0-9%/]{0,20})){0,9})",
        ),
        headers in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "authorization", "host", "date", "x-amz-date", "x-amz-content-sha256",
                    "x-amz-security-token", "x-amz-trailer", "x-amz-decoded-content-length",
                    "content-encoding", "x-amz-region-set", "x-other",
                ]),
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..60),
                    "AWS4-(HMAC-SHA256|ECDSA-P256-SHA256) (Credential=[a-z0-9/_]{0,20}|SignedHeaders=[a-z;-]{0,20}|Signature=[0-9a-f]{0,64}|, ?){0,6}".prop_map(String::into_bytes),
                    "[0-9TZ]{16}|STREAMING-[A-Z]{0,9}|UNSIGNED-PAYLOAD|[0-9a-f]{64}".prop_map(String::into_bytes),
                ],
            ),
            0..10,
        ),
    ) {
        let (mut head, payload) = Sample::s3_put_trailer().sign();
        if query.as_ref().is_some_and(|query| query.contains("X-Amz")) {
            head.headers.remove("authorization");
        }
        head.path = path;
        head.query = query;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.headers.insert(name, value);
            }
        }
        prop_assert!(verify(head, payload).is_err());
    }
}
