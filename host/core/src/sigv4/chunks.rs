//! The chain of signatures through a body that is sent in signed chunks: each covers its chunk and
//! the signature before it, the first one being the request's own.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
//!
//! One chain either checks what arrives or signs what goes out. It holds the signing key, so it
//! can neither be printed nor copied.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Scope;
use super::key::{Signature, SigningSecret, hmac};
use crate::refusal::Refusal;

const CHUNK: &str = "AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER: &str = "AWS4-HMAC-SHA256-TRAILER";

/// The signatures of one body's chunks, in their order.
pub struct ChunkChain {
    key: Zeroizing<[u8; 32]>,
    /// Signing time and scope, a line each.
    context: String,
    /// The signature before the next one.
    previous: [u8; 32],
}

impl ChunkChain {
    /// Starts with the signature of the request, 64 lower-case hexadecimal digits, that was made
    /// with `secret` at `signing_time` (`YYYYMMDDTHHMMSSZ`).
    ///
    /// # Errors
    /// [`Refusal::Internal`] when `seed` is no signature, or the scope has no region.
    pub fn new(
        secret: &SigningSecret,
        scope: &Scope,
        signing_time: &str,
        seed: &str,
    ) -> Result<Self, Refusal> {
        let seed = Signature::parse(seed).ok_or(Refusal::Internal)?;
        Self::after(secret, scope, signing_time, &seed)
    }

    pub(super) fn after(
        secret: &SigningSecret,
        scope: &Scope,
        signing_time: &str,
        seed: &Signature,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            key: secret.signing_key(scope)?,
            context: format!("{signing_time}\n{scope}"),
            previous: seed.0,
        })
    }

    /// Signs the next chunk, whose data has this SHA-256; 64 lower-case hexadecimal digits.
    pub fn sign_chunk(&mut self, digest: &[u8; 32]) -> String {
        self.previous = self.chunk(digest);
        hex::encode(self.previous)
    }

    /// Signs the trailer `name:value` that follows the last chunk.
    pub fn sign_trailer(&mut self, trailer: &str) -> String {
        self.previous = self.trailer(trailer);
        hex::encode(self.previous)
    }

    /// Checks the next chunk.
    ///
    /// # Errors
    /// [`Refusal::SignatureMismatch`].
    pub(crate) fn check_chunk(
        &mut self,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), Refusal> {
        self.previous = self.chunk(digest);
        self.agree(signature)
    }

    /// Checks the trailer.
    ///
    /// # Errors
    /// [`Refusal::SignatureMismatch`].
    pub(crate) fn check_trailer(
        &mut self,
        trailer: &str,
        signature: &Signature,
    ) -> Result<(), Refusal> {
        self.previous = self.trailer(trailer);
        self.agree(signature)
    }

    fn agree(&self, signature: &Signature) -> Result<(), Refusal> {
        if self.previous.ct_eq(&signature.0).into() {
            Ok(())
        } else {
            Err(Refusal::SignatureMismatch)
        }
    }

    fn chunk(&self, digest: &[u8; 32]) -> [u8; 32] {
        let no_headers = hex::encode(Sha256::digest(b""));
        self.signature(CHUNK, &format!("{no_headers}\n{}", hex::encode(digest)))
    }

    /// AWS ends the line of a trailer with a line feed before hashing it.
    fn trailer(&self, trailer: &str) -> [u8; 32] {
        let digest = Sha256::digest(format!("{trailer}\n"));
        self.signature(TRAILER, &hex::encode(digest))
    }

    fn signature(&self, algorithm: &str, hashes: &str) -> [u8; 32] {
        let previous = hex::encode(self.previous);
        let string_to_sign = format!("{algorithm}\n{}\n{previous}\n{hashes}", self.context);
        hmac(&self.key[..], string_to_sign.as_bytes())
    }
}

impl fmt::Debug for ChunkChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkChain(…)")
    }
}
