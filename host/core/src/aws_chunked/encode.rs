//! Writes a body in signed chunks: the gateway's own, because the signatures of the agent's end
//! at the gateway.
//!
//! One chunk is held in memory, never more.

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use super::signed::Trailer;
use crate::checksum::Algorithm;
use crate::sigv4::ChunkChain;

/// The data in every chunk but the last: as much as AWS's SDKs take, and more than the 8 KiB that
/// S3 asks for.
pub const CHUNK: usize = 64 * 1024;
/// `;chunk-signature=`, 64 digits, CRLF, and the CRLF behind the data.
const FRAME: u64 = 17 + 64 + 2 + 2;
/// `x-amz-trailer-signature:`, 64 digits and CRLF.
const TRAILER_SIGNATURE: u64 = 24 + 64 + 2;

/// One body being written.
#[derive(Debug)]
pub struct Encoder {
    chain: ChunkChain,
    chunk: BytesMut,
}

impl Encoder {
    /// Begins behind the head whose signature `chain` starts with.
    #[must_use]
    pub fn new(chain: ChunkChain) -> Self {
        Self {
            chain,
            chunk: BytesMut::new(),
        }
    }

    /// Takes data off the front of `data`; returns a chunk as soon as one is full.
    pub fn pull(&mut self, data: &mut Bytes) -> Option<Bytes> {
        let wanted = CHUNK.saturating_sub(self.chunk.len()).min(data.len());
        self.chunk.extend_from_slice(&data.split_to(wanted));
        (self.chunk.len() == CHUNK).then(|| self.frame())
    }

    /// The rest of the body: what is left of the data, the last chunk and the trailer.
    #[must_use]
    pub fn finish(mut self, trailer: Option<&Trailer>) -> Bytes {
        let mut out = BytesMut::new();
        if !self.chunk.is_empty() {
            out.extend_from_slice(&self.frame());
        }
        let signature = self.chain.sign_chunk(&Sha256::digest(b"").into());
        out.extend_from_slice(format!("0;chunk-signature={signature}\r\n").as_bytes());
        if let Some(Trailer { algorithm, value }) = trailer {
            let line = format!("{}:{value}", algorithm.header_name());
            let signature = self.chain.sign_trailer(&line);
            let lines = format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n");
            out.extend_from_slice(lines.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.freeze()
    }

    fn frame(&mut self) -> Bytes {
        let data = self.chunk.split();
        let signature = self.chain.sign_chunk(&Sha256::digest(&data).into());
        let line = format!("{:x};chunk-signature={signature}\r\n", data.len());
        [line.as_bytes(), &data, b"\r\n"].concat().into()
    }
}

/// How many bytes a body becomes; saturates at what no body has.
#[must_use]
pub fn encoded_length(decoded: u64, trailer: Option<Algorithm>) -> u64 {
    let chunk = CHUNK as u64;
    let full = (decoded / chunk).saturating_mul(framed(chunk));
    let rest = match decoded % chunk {
        0 => 0,
        rest => framed(rest),
    };
    let trailer = trailer.map_or(0, |algorithm| {
        let value = algorithm.digest_length().div_ceil(3) * 4;
        let line = algorithm.header_name().len() + 1 + value + 2;
        line as u64 + TRAILER_SIGNATURE
    });
    full.saturating_add(rest + framed(0) + trailer)
}

fn framed(size: u64) -> u64 {
    let digits = size.checked_ilog(16).unwrap_or(0) + 1;
    u64::from(digits) + FRAME + size
}
