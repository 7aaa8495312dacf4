//! What `aws_chunked` promises, as tests.

use base64::Engine as _;
use proptest::prelude::*;

use super::*;

const CRC32: &str = "x-amz-checksum-crc32";
/// As boto3, the AWS CLI and the JavaScript SDK frame `hello` (byte-identical).
const HELLO: &str = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";

/// Runs `body` through a decoder in pieces; returns (forwarded before the end, held back).
fn decode(
    length: u64,
    trailer: Option<&str>,
    pieces: &[&[u8]],
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let mut decoder = Decoder::new(length, trailer)?;
    let mut forwarded = Vec::new();
    for piece in pieces {
        forwarded.extend_from_slice(&decoder.push(Bytes::copy_from_slice(piece))?);
    }
    Ok((forwarded, decoder.finish()?.to_vec()))
}

fn check(length: u64, trailer: Option<&str>, body: &str, accepted: Expected) {
    let outcome = decode(length, trailer, &[body.as_bytes()]);
    let seen = match &outcome {
        Ok(_) => Expected::Accepted,
        Err(Refusal::ChecksumMismatch(_)) => Expected::WrongChecksum,
        Err(Refusal::Unsupported(_)) => Expected::Unsupported,
        Err(_) => Expected::Malformed,
    };
    assert_eq!(seen, accepted, "{body:?}: {outcome:?}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Accepted,
    Malformed,
    Unsupported,
    WrongChecksum,
}

/// `data` in chunks of `size` bytes, with the right trailer.
fn encode(data: &[u8], size: usize, algorithm: Algorithm) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in data.chunks(size) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    let mut hasher = Hasher::new(algorithm);
    hasher.update(data);
    let (name, value) = (algorithm.header_name(), hasher.finish());
    body.extend_from_slice(format!("0\r\n{name}:{value}\r\n\r\n").as_bytes());
    body
}

#[test]
fn what_the_sdks_send_is_accepted() {
    use Expected::Accepted;
    check(5, Some(CRC32), HELLO, Accepted);
    check(
        0,
        Some(CRC32),
        "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        Accepted,
    );
    check(5, None, "5\r\nhello\r\n0\r\n\r\n", Accepted);
    check(0, None, "0\r\n\r\n", Accepted);
    // The Rust SDK writes sizes in capitals, the others do not.
    for size in ["A", "a"] {
        let body = format!("{size}\r\n0123456789\r\n0\r\n\r\n");
        check(10, None, &body, Accepted);
    }
}

#[test]
fn anything_but_the_one_grammar_is_refused() {
    use Expected::Malformed;
    for body in [
        "",
        "0",
        "0\r\n",
        "5\r\nhello\r\n",
        "5\r\nhello",
        "5\r\nhello\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "05\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5;chunk-signature=00\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n00\r\n\r\n",
        "5\r\nhello\r\n0;a\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nx",
        "5\r\nhello\r\n0\r\n\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nhost:evil\r\n\r\n",
        "5\r\nhello\r\n0\r\n:\r\n\r\n",
        // One byte short and one byte long of the announced five.
        "4\r\nhell\r\n0\r\n\r\n",
        "6\r\nhello!\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ] {
        check(5, None, body, Malformed);
    }
}

#[test]
fn trailers_other_than_the_announced_one_are_refused() {
    use Expected::{Malformed, Unsupported, WrongChecksum};
    for trailers in [
        "",
        "x-amz-checksum-crc32 :NhCmhg==\r\n",
        "X-Amz-Checksum-Crc32:NhCmhg==\r\n",
        "x-amz-checksum-crc32c:NhCmhg==\r\n",
        "x-amz-checksum-sha1:NhCmhg==\r\n",
        "x-amz-checksum-crc32:NhCmhg==",
        "x-amz-checksum-crc32:NhCmhg==\n",
        "x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n",
        "x-amz-checksum-crc32:NhCmhg==\r\nhost:evil\r\n",
        "host:evil\r\nx-amz-checksum-crc32:NhCmhg==\r\n",
        "x-amz-copy-source:b/k\r\n",
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{trailers}\r\n");
        check(5, Some(CRC32), &body, Malformed);
    }
    for value in [
        "NhCmhh==",
        "nhCmhg==",
        "NhCmhg=",
        "NhCmhg== ",
        " NhCmhg==",
        "",
        "AAAAAA==",
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{CRC32}:{value}\r\n\r\n");
        check(5, Some(CRC32), &body, WrongChecksum);
    }
    check(5, Some("x-amz-checksum-md5"), HELLO, Unsupported);
    check(5, Some("host"), HELLO, Unsupported);
    check(
        5,
        Some("x-amz-checksum-crc32,x-amz-checksum-sha1"),
        HELLO,
        Unsupported,
    );
}

#[test]
fn the_last_chunk_is_held_back_until_the_end() {
    let (forwarded, held) = decode(5, Some(CRC32), &[HELLO.as_bytes()]).unwrap();
    assert_eq!(forwarded, b"5\r\nhello\r\n");
    assert_eq!(held, b"0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n");
}

#[test]
fn held_bytes_are_bounded() {
    let mut decoder = Decoder::new(0, Some(CRC32)).unwrap();
    let mut pushed = 0;
    let refusal = loop {
        match decoder.push(Bytes::from_static(&[b'0'; 1000])) {
            Ok(_) => pushed += 1000,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::Malformed(_)));
    assert!(pushed <= MAX_TAIL);
    assert!(decoder.push(Bytes::from_static(b"\r\n")).is_err());
}

#[test]
fn a_broken_body_stays_broken() {
    let mut decoder = Decoder::new(5, None).unwrap();
    assert!(decoder.push(Bytes::from_static(b"x")).is_err());
    assert!(
        decoder
            .push(Bytes::from_static(b"5\r\nhello\r\n0\r\n\r\n"))
            .is_err()
    );
    assert!(decoder.finish().is_err());
}

proptest! {
    #[test]
    fn every_cut_gives_the_same_result(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1usize..64,
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        damage in proptest::option::of((any::<prop::sample::Index>(), 0u8..8)),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut body = encode(&data, size, algorithm);
        if let Some((index, bit)) = damage {
            let at = index.index(body.len());
            body[at] ^= 1 << bit;
        }
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        at.extend([0, body.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        let bytewise: Vec<&[u8]> = body.chunks(1).collect();
        let name = algorithm.header_name();
        let whole = decode(data.len() as u64, Some(&name), &[&body]);
        prop_assert_eq!(&whole, &decode(data.len() as u64, Some(&name), &pieces));
        prop_assert_eq!(&whole, &decode(data.len() as u64, Some(&name), &bytewise));
        match whole {
            Ok((forwarded, held)) => prop_assert_eq!(&[forwarded, held].concat(), &body),
            Err(_) => prop_assert!(damage.is_some()),
        }
        // The case of a hexadecimal digit is the only bit that does not matter.
        let harmless = |index: prop::sample::Index, bit| {
            bit == 5 && body[index.index(body.len())].is_ascii_hexdigit()
        };
        if let Some((index, bit)) = damage && !harmless(index, bit) {
            prop_assert!(decode(data.len() as u64, Some(&name), &[&body]).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_invented(
        length in any::<u64>(),
        body in "[0-9a-fA-F\r\n:;=x-]{0,80}",
        noise in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        for bytes in [body.as_bytes(), &noise] {
            let mut decoder = Decoder::new(length, Some(CRC32)).unwrap();
            if let Ok(forward) = decoder.push(Bytes::copy_from_slice(bytes)) {
                prop_assert!(bytes.starts_with(&forward));
                if let Ok(held) = decoder.finish() {
                    prop_assert_eq!([&forward[..], &held[..]].concat(), bytes);
                }
            }
        }
    }
}

#[test]
fn values_are_compared_as_text_so_base64_has_one_reading() {
    // `NhCmhh==` decodes to the same four bytes in a lax decoder.
    let lax = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    assert_eq!(
        lax.decode("NhCmhh==").unwrap(),
        lax.decode("NhCmhg==").unwrap()
    );
    let body = HELLO.replace("NhCmhg", "NhCmhh");
    check(5, Some(CRC32), &body, Expected::WrongChecksum);
}
