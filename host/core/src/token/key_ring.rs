//! The keys that seal and open session tokens. Only subkeys are kept, and nothing here can be
//! printed.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The keys of a gateway: one seals, all open. Never empty.
#[derive(Debug)]
pub struct KeyRing {
    sealing: RingKey,
    others: Vec<RingKey>,
}

impl KeyRing {
    /// A ring that seals with `sealing` and still opens what `others` sealed.
    #[must_use]
    pub fn new(sealing: RingKey, others: Vec<RingKey>) -> Self {
        Self { sealing, others }
    }

    pub(super) fn sealing(&self) -> &RingKey {
        &self.sealing
    }

    /// Key ids travel in clear, so looking one up need not take constant time.
    pub(super) fn key(&self, id: &str) -> Option<&RingKey> {
        std::iter::once(&self.sealing)
            .chain(&self.others)
            .find(|key| key.id.as_str() == id)
    }
}

/// One key of a ring: an id that travels in clear and two subkeys that never do.
pub struct RingKey {
    id: KeyId,
    pub(super) sealing: Zeroizing<[u8; 32]>,
    pub(super) secrets: Zeroizing<[u8; 32]>,
}

impl RingKey {
    /// Derives the subkeys from 32 secret random bytes (HKDF-SHA256, RFC 5869), which the caller
    /// keeps and wipes.
    #[must_use]
    pub fn new(id: KeyId, secret: &[u8; 32]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret);
        Self {
            id,
            sealing: subkey(&hkdf, b"portcullis session token v1"),
            secrets: subkey(&hkdf, b"portcullis secret access key v1"),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({}, …)", self.id.0)
    }
}

/// The public name of a ring key: 8 to 32 lower-case letters and digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    /// `None` for text that is not a key id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        ((8..=32).contains(&text.len()) && plain).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn subkey(hkdf: &Hkdf<Sha256>, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(
        clippy::expect_used,
        reason = "HKDF-SHA256 yields up to 8160 bytes (RFC 5869 §2.3)"
    )]
    hkdf.expand(purpose, &mut key[..])
        .expect("32 bytes of key material");
    key
}
