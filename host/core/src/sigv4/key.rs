//! The secret, the signing key derived from it, and the comparison of signatures.
//!
//! Nothing here can be printed or compared with `==`.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Scope;
use super::authorization::TERMINATOR;
use crate::refusal::Refusal;

/// The secret a session signs with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SigningSecret(String);

/// A signature as it arrived; it can only be compared in constant time.
pub(crate) struct Signature(pub(super) [u8; 32]);

impl SigningSecret {
    /// Takes the secret over; its memory is wiped when this is dropped.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, to hand to the agent it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares `signature` with the one this secret makes.
    ///
    /// # Errors
    /// [`Refusal::SignatureMismatch`], after the same work as for a good signature.
    pub(super) fn check(
        &self,
        signature: &Signature,
        scope: &Scope,
        string_to_sign: &str,
    ) -> Result<(), Refusal> {
        let key = self.signing_key(scope)?;
        let expected = Zeroizing::new(hmac(&key[..], string_to_sign.as_bytes()));
        if expected.ct_eq(&signature.0).into() {
            Ok(())
        } else {
            Err(Refusal::SignatureMismatch)
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    ///
    /// # Errors
    /// [`Refusal::Internal`] for a scope without a region, which no such key has.
    pub(super) fn signing_key(&self, scope: &Scope) -> Result<Zeroizing<[u8; 32]>, Refusal> {
        let region = scope.reach.region().ok_or(Refusal::Internal)?;
        let mut key = Zeroizing::new(Vec::with_capacity("AWS4".len() + self.0.len()));
        key.extend_from_slice(b"AWS4");
        key.extend_from_slice(self.0.as_bytes());
        let mut key = Zeroizing::new(hmac(&key, scope.date.as_bytes()));
        for part in [region, &scope.service, TERMINATOR] {
            key = Zeroizing::new(hmac(&key[..], part.as_bytes()));
        }
        Ok(key)
    }
}

impl Signature {
    /// 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        super::payload::lower_hex(text).map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length (RFC 2104 §2)"
    )]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
