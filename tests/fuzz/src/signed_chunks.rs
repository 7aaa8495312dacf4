//! Bodies in signed chunks: what another signer chained decodes to exactly what it signed, in
//! whatever pieces it arrives, and a body that was changed on its way decodes to that or to nothing.
//!
//! Input: `<chunk size> <piece size> <trailer name or ->`, a line feed, the data; its last `4 × n`
//! bytes are edits of the chained body, as [`crate::edit`] has them.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::sign::v4::{SigningParams, sign_chunk, sign_trailer};
use aws_smithy_runtime_api::http::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portcullis_core::aws_chunked::SignedDecoder;
use portcullis_core::checksum::Algorithm;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{ChunkChain, Scope};

use crate::request::{NOW, SECRET, secret};
use crate::{bounded, edit};

const CRC32: &str = "x-amz-checksum-crc32";
const TIME: &str = "20260102T030405Z";
/// What the request's own signature would be.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";

pub(crate) fn check(input: &[u8]) {
    let Some((case, edits)) = Case::parse(input) else {
        return;
    };
    let body = case.chained();
    let right = bounded(body.len(), || case.decode(&body, body.len()));
    let checksum = case.trailer.then(|| case.checksum());
    let expected = (case.data.clone(), checksum);
    assert_eq!(right.as_ref(), Ok(&expected), "what was signed");
    assert_eq!(case.decode(&body, case.piece), right, "pieces");
    let bent = edit::apply(&body, &edits);
    let seen = case.decode(&bent, bent.len().max(1));
    assert_eq!(
        case.decode(&bent, case.piece).is_ok(),
        seen.is_ok(),
        "pieces"
    );
    if let Ok(seen) = seen {
        assert_eq!(seen, expected, "another body is accepted");
        assert_eq!(spelled(&bent), spelled(&body), "other frames are accepted");
    }
}

struct Case {
    data: Vec<u8>,
    chunk: usize,
    piece: usize,
    trailer: bool,
}

/// The data, and the trailer's value.
type Decoded = (Vec<u8>, Option<String>);

impl Case {
    fn parse(input: &[u8]) -> Option<(Self, Vec<edit::Edit>)> {
        let end = input.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(&input[..end]).ok()?;
        let mut words = line.split(' ');
        // A chunk's signature costs more than its bytes: few of them.
        let least = (input.len() / 64).max(1);
        let chunk = words.next()?.parse::<usize>().ok()?.clamp(least, 1 << 20);
        let piece = words.next()?.parse::<usize>().ok()?.clamp(1, 1 << 20);
        let trailer = words.next()? == CRC32;
        let (data, edits) = edit::split(&input[end + 1..])?;
        let case = Self {
            data: data.to_vec(),
            chunk,
            piece,
            trailer,
        };
        Some((case, edits))
    }

    fn checksum(&self) -> String {
        STANDARD.encode(crc32fast::hash(&self.data).to_be_bytes())
    }

    /// The body as the other signer frames and signs it.
    fn chained(&self) -> Vec<u8> {
        let identity = Credentials::new("PCAKEXAMPLE0000000", SECRET, None, None, "fuzz").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let (mut body, mut running) = (Vec::new(), SEED.to_owned());
        for chunk in self.data.chunks(self.chunk).chain([&[][..]]) {
            let signed = sign_chunk(&chunk.to_vec().into(), &running, &params);
            running = signed.unwrap().signature().to_owned();
            let line = format!("{:x};chunk-signature={running}\r\n", chunk.len());
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(chunk);
            if !chunk.is_empty() {
                body.extend_from_slice(b"\r\n");
            }
        }
        if self.trailer {
            let mut headers = Headers::new();
            headers.insert(CRC32, self.checksum());
            let signed = sign_trailer(&headers, &running, &params).unwrap();
            let (checksum, signature) = (self.checksum(), signed.signature());
            let lines = format!("{CRC32}:{checksum}\r\nx-amz-trailer-signature:{signature}\r\n");
            body.extend_from_slice(lines.as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    fn decode(&self, body: &[u8], piece: usize) -> Result<Decoded, Refusal> {
        let scope = Scope {
            date: "20260102".to_owned(),
            reach: "us-east-1".into(),
            service: "s3".to_owned(),
        };
        let chain = ChunkChain::new(&secret(), &scope, TIME, SEED)?;
        let trailer = self.trailer.then_some(Algorithm::Crc32);
        let mut decoder = SignedDecoder::new(chain, self.data.len() as u64, trailer);
        let mut data = Vec::new();
        for piece in body.chunks(piece) {
            let mut wire = Bytes::copy_from_slice(piece);
            while !wire.is_empty() {
                data.extend_from_slice(&decoder.pull(&mut wire)?);
            }
        }
        let trailer = decoder.finish()?.map(|trailer| trailer.value);
        Ok((data, trailer))
    }
}

/// The frames with what has two spellings in one: the digits of a size, and a line feed that AWS's own
/// example puts behind the trailer.
fn spelled(body: &[u8]) -> Vec<u8> {
    let lower = body.to_ascii_lowercase();
    let at = lower.windows(3).rposition(|window| window == b"\n\r\n");
    match at.filter(|at| lower[at + 3..].starts_with(b"x-amz-trailer-signature:")) {
        Some(at) => [&lower[..at], &lower[at + 1..]].concat(),
        None => lower,
    }
}
