//! What `signed` and `encode` promise, with AWS's published example and `aws-sigv4` as the signer.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::sign::v4::{self, SigningParams};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Headers;
use proptest::prelude::*;

use super::super::{CHUNK, Encoder, encoded_length};
use super::*;
use crate::sigv4::{Scope, SigningSecret};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TIME: &str = "20130524T000000Z";
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SEED_TRAILER: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

fn chain(seed: &str) -> ChunkChain {
    let scope = Scope {
        date: "20130524".to_owned(),
        reach: "us-east-1".into(),
        service: "s3".to_owned(),
    };
    let secret = SigningSecret::new(SECRET.to_owned());
    ChunkChain::new(&secret, &scope, TIME, seed).unwrap()
}

/// Takes a body apart that arrives in pieces.
fn decode(
    length: u64,
    trailer: Option<Algorithm>,
    pieces: &[&[u8]],
) -> Result<(Vec<u8>, Option<Trailer>), Refusal> {
    let mut decoder = SignedDecoder::new(chain(SEED), length, trailer);
    let data = pull_all(&mut decoder, pieces)?;
    Ok((data, decoder.finish()?))
}

fn pull_all(decoder: &mut SignedDecoder, pieces: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
    let mut data = Vec::new();
    for piece in pieces {
        let mut wire = Bytes::copy_from_slice(piece);
        loop {
            let pulled = decoder.pull(&mut wire)?;
            if pulled.is_empty() {
                break;
            }
            data.extend_from_slice(&pulled);
        }
        assert!(wire.is_empty());
    }
    Ok(data)
}

/// The signer of another house.
struct Signer {
    identity: Identity,
    running: String,
    body: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "test");
        Self {
            identity: credentials.into(),
            running: SEED.to_owned(),
            body: Vec::new(),
        }
    }

    fn params(identity: &Identity) -> SigningParams<'_, SigningSettings> {
        SigningParams::builder()
            .identity(identity)
            .region("us-east-1")
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_secs(1_369_353_600))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
    }

    fn chunk(mut self, data: &[u8]) -> Self {
        let params = Self::params(&self.identity);
        let signed = v4::sign_chunk(&Bytes::copy_from_slice(data), &self.running, &params);
        let signature = signed.unwrap().signature().to_owned();
        let line = format!("{:x};chunk-signature={signature}\r\n", data.len());
        self.body.extend_from_slice(line.as_bytes());
        if !data.is_empty() {
            self.body.extend_from_slice(data);
            self.body.extend_from_slice(b"\r\n");
        }
        self.running = signature;
        self
    }

    fn trailer(mut self, name: &str, value: &str) -> Self {
        let params = Self::params(&self.identity);
        let mut headers = Headers::new();
        headers.insert(name.to_owned(), value.to_owned());
        let signed = v4::sign_trailer(&headers, &self.running, &params).unwrap();
        let signature = signed.signature();
        let lines = format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n");
        self.body.extend_from_slice(lines.as_bytes());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"\r\n");
        self.body
    }
}

/// `data` in chunks of `size` bytes.
fn encode(data: &[u8], size: usize, trailer: Option<Algorithm>) -> Vec<u8> {
    let chunks = data.chunks(size);
    let signer = chunks.fold(Signer::new(), Signer::chunk).chunk(b"");
    let Some(algorithm) = trailer else {
        return signer.end();
    };
    let mut hasher = Hasher::new(algorithm);
    hasher.update(data);
    signer
        .trailer(&algorithm.header_name(), &hasher.finish())
        .end()
}

#[test]
fn the_published_example_is_signed_and_accepted() {
    let data = Bytes::from(vec![b'a'; 66_560]);
    for (seed, trailer, signatures) in [
        (
            SEED,
            None,
            [
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ]
            .as_slice(),
        ),
        (
            SEED_TRAILER,
            Some(Trailer {
                algorithm: Algorithm::Crc32c,
                value: "sOO8/Q==".to_owned(),
            }),
            &[
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
                "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
            ],
        ),
    ] {
        let algorithm = trailer.as_ref().map(|trailer| trailer.algorithm);
        let mut encoder = Encoder::new(chain(seed));
        let mut left = data.clone();
        let mut body = encoder.pull(&mut left).unwrap().to_vec();
        assert!(encoder.pull(&mut left).is_none() && left.is_empty());
        body.extend_from_slice(&encoder.finish(trailer.as_ref()));
        assert_eq!(body.len() as u64, encoded_length(66_560, algorithm));
        let text = String::from_utf8(body.clone()).unwrap();
        for signature in signatures {
            assert_eq!(text.matches(signature).count(), 1, "{signature}");
        }
        let mut decoder = SignedDecoder::new(chain(seed), 66_560, algorithm);
        assert_eq!(pull_all(&mut decoder, &[&body]).unwrap(), data);
        assert_eq!(decoder.finish().unwrap(), trailer);
    }
}

#[test]
fn a_line_feed_more_behind_the_trailer_is_known_from_clients() {
    let body = encode(b"hello", 5, Some(Algorithm::Crc32));
    let text = String::from_utf8(body).unwrap();
    let body = text.replace("NhCmhg==\r\n", "NhCmhg==\n\r\n");
    let (_, trailer) = decode(5, Some(Algorithm::Crc32), &[body.as_bytes()]).unwrap();
    assert_eq!(trailer.unwrap().value, "NhCmhg==");
}

#[test]
fn a_chain_that_is_not_the_one_signed_is_refused() {
    let mismatch = |what: &str, body: Vec<u8>, length: u64| {
        let seen = decode(length, None, &[&body]);
        assert_eq!(seen, Err(Refusal::SignatureMismatch), "{what}");
    };
    let broken = |what: &str, body: Vec<u8>, length: u64| {
        let seen = decode(length, None, &[&body]);
        assert!(
            matches!(seen, Err(Refusal::Malformed(_))),
            "{what}: {seen:?}"
        );
    };
    let whole = encode(b"hello world!", 6, None);
    let chunk = 1 + SIGNATURE.len() + 64 + 2 + 6 + 2;
    let (first, rest) = whole.split_at(chunk);
    let (second, last) = rest.split_at(chunk);
    assert!(decode(12, None, &[&whole]).is_ok());

    mismatch("reordered", [second, first, last].concat(), 12);
    mismatch("one missing", [first, last].concat(), 6);
    mismatch("one twice", [first, first, second, last].concat(), 18);
    mismatch("the end too early", [first, last].concat(), 6);
    mismatch("the end alone", last.to_vec(), 0);
    let other = String::from_utf8(whole.clone()).unwrap();
    mismatch(
        "other data",
        other.replace("world", "World").into_bytes(),
        12,
    );

    broken("one more behind the end", [&whole, first].concat(), 12);
    broken("one more than announced", whole.clone(), 6);
    broken("one less than announced", whole.clone(), 13);
    broken("no end", [first, second].concat(), 12);
    broken("nothing", Vec::new(), 0);
    broken("half an end", whole[..whole.len() - 2].to_vec(), 12);
    broken(
        "an unannounced trailer",
        encode(b"hello", 5, Some(Algorithm::Crc32)),
        5,
    );
}

#[test]
fn a_chunk_of_another_body_does_not_fit() {
    let other = Signer {
        running: SEED_TRAILER.to_owned(),
        ..Signer::new()
    };
    let body = other.chunk(b"hello").chunk(b"").end();
    assert_eq!(decode(5, None, &[&body]), Err(Refusal::SignatureMismatch));
}

#[test]
fn only_one_spelling_of_a_chunk_is_taken() {
    let good = String::from_utf8(encode(b"hello", 5, None)).unwrap();
    for (from, to) in [
        ("5;chunk", "05;chunk"),
        ("5;chunk", "+5;chunk"),
        ("5;chunk", " 5;chunk"),
        ("5;chunk", "0x5;chunk"),
        ("5;chunk", "5 ;chunk"),
        ("5;chunk", "5;a=b;chunk"),
        ("5;chunk", ";chunk"),
        ("5;chunk", "-5;chunk"),
        ("5;chunk", "ffffffffffffffff;chunk"),
        ("5;chunk", "10000000000000005;chunk"),
        ("5;chunk-signature", "5;Chunk-Signature"),
        ("0;chunk", "00;chunk"),
        ("\r\nhello", "\nhello"),
        ("hello\r\n", "hello\n"),
        ("hello\r\n", "hello\n\r"),
        ("hello\r\n", "hello"),
    ] {
        let body = good.replacen(from, to, 1);
        assert_ne!(body, good);
        let seen = decode(5, None, &[body.as_bytes()]);
        assert!(matches!(seen, Err(Refusal::Malformed(_))), "{to}: {seen:?}");
    }
    let capital = good.to_uppercase();
    assert!(decode(5, None, &[capital.as_bytes()]).is_err());
}

#[test]
fn trailers_other_than_the_announced_and_signed_one_are_refused() {
    let crc32 = Some(Algorithm::Crc32);
    let name = "x-amz-checksum-crc32";
    let signed = |name: &str, value: &str| {
        let signer = Signer::new().chunk(b"hello").chunk(b"");
        decode(5, crc32, &[&signer.trailer(name, value).end()])
    };
    let wrong = Refusal::ChecksumMismatch("crc32".to_owned());
    assert!(signed(name, "NhCmhg==").is_ok());
    assert_eq!(signed(name, "AAAAAA=="), Err(wrong));
    for name in ["host", "x-amz-checksum-crc32c", "x-amz-copy-source"] {
        assert!(matches!(
            signed(name, "NhCmhg=="),
            Err(Refusal::Malformed(_))
        ));
    }
    let good = String::from_utf8(encode(b"hello", 5, crc32)).unwrap();
    for (from, to) in [
        ("x-amz-trailer-signature:", "x-amz-trailer-signature: "),
        ("x-amz-trailer-signature", "X-Amz-Trailer-Signature"),
        ("x-amz-checksum", "host:evil\r\nx-amz-checksum"),
        ("x-amz-checksum-crc32:", "x-amz-checksum-crc32 :"),
        ("\r\n\r\n", "\r\n"),
        ("\r\n\r\n", "\r\n\r\nmore"),
        ("==\r\n", "==\r\nhost:evil\r\n"),
        ("==\r\n", "==\n"),
    ] {
        let body = good.replacen(from, to, 1);
        assert_ne!(body, good);
        let seen = decode(5, crc32, &[body.as_bytes()]);
        assert!(matches!(seen, Err(Refusal::Malformed(_))), "{to}: {seen:?}");
    }
    let other = good.replace("NhCmhg==", "NhCmhh==");
    let seen = decode(5, crc32, &[other.as_bytes()]);
    assert_eq!(seen, Err(Refusal::SignatureMismatch));
    let none = encode(b"hello", 5, None);
    assert!(decode(5, crc32, &[&none]).is_err());
}

#[test]
fn held_bytes_are_bounded_and_a_broken_body_stays_broken() {
    let mut decoder = SignedDecoder::new(chain(SEED), u64::MAX, None);
    let mut wire = Bytes::from(vec![b'f'; MAX_LINE + 1]);
    assert!(decoder.pull(&mut wire).is_err());
    let mut wire = Bytes::from(encode(b"hello", 5, None));
    assert!(decoder.pull(&mut wire).is_err());
    assert!(decoder.finish().is_err());

    let mut decoder = SignedDecoder::new(chain(SEED), 0, Some(Algorithm::Crc32));
    let mut body = encode(b"", 1, None);
    body.extend_from_slice(&vec![b'x'; MAX_TAIL]);
    assert!(decoder.pull(&mut Bytes::from(body)).is_err());
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_result(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1usize..64,
        algorithm in proptest::option::of(proptest::sample::select(Algorithm::ALL.to_vec())),
        damage in proptest::option::of((any::<prop::sample::Index>(), 0u8..8)),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let good = encode(&data, size, algorithm);
        let mut body = good.clone();
        if let Some((index, bit)) = damage {
            let at = index.index(body.len());
            body[at] ^= 1 << bit;
        }
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        at.extend([0, body.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        let bytewise: Vec<&[u8]> = body.chunks(1).collect();
        let length = data.len() as u64;
        let whole = decode(length, algorithm, &[&body]);
        prop_assert_eq!(&whole, &decode(length, algorithm, &pieces));
        prop_assert_eq!(&whole, &decode(length, algorithm, &bytewise));
        // A size's digits may be capitals: they are not passed on.
        let lenient = body.eq_ignore_ascii_case(&good);
        match whole {
            Ok((decoded, _)) => {
                prop_assert!(lenient);
                prop_assert_eq!(decoded, data);
            }
            Err(_) => prop_assert!(damage.is_some()),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        length in any::<u64>(),
        text in "[0-9a-f]{0,2}(;chunk-signature=[0-9a-f]{60,66}\r\n)?[ -~\r\n]{0,40}",
        noise in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        for bytes in [text.as_bytes(), &noise] {
            prop_assert!(decode(length, Some(Algorithm::Crc32), &[bytes]).is_err());
        }
    }

    #[test]
    fn what_is_written_has_the_announced_length_and_is_accepted(
        length in prop_oneof![0usize..40, (CHUNK - 3)..(CHUNK + 3), (2 * CHUNK - 3)..(3 * CHUNK)],
        algorithm in proptest::option::of(proptest::sample::select(Algorithm::ALL.to_vec())),
        piece in 1usize..100_000,
    ) {
        let data = vec![7; length];
        let mut encoder = Encoder::new(chain(SEED));
        let mut body = Vec::new();
        for piece in data.chunks(piece) {
            let mut left = Bytes::copy_from_slice(piece);
            while !left.is_empty() {
                body.extend_from_slice(&encoder.pull(&mut left).unwrap_or_default());
            }
        }
        let trailer = algorithm.map(|algorithm| {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&data);
            Trailer { algorithm, value: hasher.finish() }
        });
        body.extend_from_slice(&encoder.finish(trailer.as_ref()));
        prop_assert_eq!(body.len() as u64, encoded_length(length as u64, algorithm));
        let (decoded, seen) = decode(length as u64, algorithm, &[&body]).unwrap();
        prop_assert_eq!(decoded, data);
        prop_assert_eq!(seen, trailer);
    }
}

#[test]
fn no_length_overflows() {
    assert_eq!(encoded_length(u64::MAX, Some(Algorithm::Sha256)), u64::MAX);
}
