//! Signature Version 4A: the same canonical request, signed with an ECDSA key that both sides
//! derive from the secret. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
//!
//! The library of AWS that derives this key comes with an HTTP client's and a runtime's interfaces,
//! so the derivation (NIST SP 800-108 §4.1 with the candidates of FIPS 186-5 §A.2.2) is written out
//! here and held against that library, byte for byte, by the tests.

use std::fmt;

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{self, VerifyingKey};
use p256::elliptic_curve::PrimeField as _;
use p256::{NonZeroScalar, PublicKey, Scalar};
use zeroize::Zeroizing;

use super::SigningSecret;
use super::key::hmac;
use crate::refusal::Refusal;

pub(super) const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";
/// A sequence of two integers of at most 33 bytes, in hexadecimal digits.
const MAX_DIGITS: usize = 2 * (2 + 2 * (2 + 33));

/// An ECDSA signature as it arrived.
///
/// AWS's signers write both a low and a high `s`, so that either is taken. Nothing is ever
/// recognised by its signature.
pub(super) struct EcdsaSignature(ecdsa::Signature);

impl EcdsaSignature {
    /// DER (X.690 §10) in lower-case hexadecimal digits; every other encoding of the same two
    /// numbers is refused.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let der = (lower && text.len() <= MAX_DIGITS)
            .then(|| hex::decode(text).ok())
            .flatten()?;
        let signature = ecdsa::Signature::from_der(&der).ok()?;
        (signature.to_der().as_bytes() == der).then_some(Self(signature))
    }

    /// Checks it against the key of an access key and its secret.
    ///
    /// # Errors
    /// [`Refusal::SignatureMismatch`].
    pub(super) fn check(
        &self,
        secret: &SigningSecret,
        access_key_id: &str,
        string_to_sign: &str,
    ) -> Result<(), Refusal> {
        let private = private_key(secret, access_key_id).ok_or(Refusal::Internal)?;
        let public = VerifyingKey::from(PublicKey::from_secret_scalar(&private));
        public
            .verify(string_to_sign.as_bytes(), &self.0)
            .map_err(|_| Refusal::SignatureMismatch)
    }
}

#[cfg(test)]
impl EcdsaSignature {
    pub(super) fn text(&self) -> String {
        hex::encode(self.0.to_der().as_bytes())
    }
}

impl fmt::Debug for EcdsaSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaSignature(…)")
    }
}

/// The private key; `None` in one of 2^8000 cases.
pub(super) fn private_key(
    secret: &SigningSecret,
    access_key_id: &str,
) -> Option<Zeroizing<NonZeroScalar>> {
    let mut input = Zeroizing::new(Vec::with_capacity("AWS4A".len() + secret.expose().len()));
    input.extend_from_slice(b"AWS4A");
    input.extend_from_slice(secret.expose().as_bytes());
    (1..=254).find_map(|counter| {
        let candidate = Zeroizing::new(hmac(&input, &label(access_key_id, counter)));
        // Below the order, and with one more neither zero: what is even over all keys there are.
        let below: Option<Scalar> = Scalar::from_repr((*candidate).into()).into();
        let key: Option<NonZeroScalar> = NonZeroScalar::new(below? + Scalar::ONE).into();
        key.map(Zeroizing::new)
    })
}

/// What the key is derived from beside the secret: the block's number, the label, a zero, the
/// context and the number of bits.
fn label(access_key_id: &str, counter: u8) -> Vec<u8> {
    let mut label = Vec::with_capacity(128);
    label.extend_from_slice(&1_u32.to_be_bytes());
    label.extend_from_slice(ALGORITHM.as_bytes());
    label.push(0);
    label.extend_from_slice(access_key_id.as_bytes());
    label.push(counter);
    label.extend_from_slice(&256_u32.to_be_bytes());
    label
}
