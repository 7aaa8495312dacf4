//! The checksums S3 clients send beside a body: as a header `x-amz-checksum-<algorithm>` or, with
//! aws-chunked bodies, as a trailer of that name.
//!
//! They guard against corruption, not against an attacker; what binds a body to its sender is
//! `sigv4`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "x-amz-checksum-";

/// A checksum algorithm that S3 and this gateway both know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// CRC-32 as in zlib (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The algorithm a header or trailer carries, by its exact lower-case name
    /// (`x-amz-checksum-crc32`).
    #[must_use]
    pub fn from_header_name(name: &str) -> Option<Self> {
        let suffix = name.strip_prefix(PREFIX)?;
        Self::ALL.into_iter().find(|one| one.name() == suffix)
    }

    /// AWS's lower-case name, e.g. `crc64nvme`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The value's length in bytes, before base64.
    #[must_use]
    pub fn digest_length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The header or trailer that carries it, e.g. `x-amz-checksum-sha256`.
    #[must_use]
    pub fn header_name(self) -> String {
        format!("{PREFIX}{}", self.name())
    }
}

/// A checksum being computed over a body that arrives in pieces.
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// Starts with the empty body.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Crc32 => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Crc64nvme => State::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    /// Which checksum this is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes in the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(digest) => digest.update(bytes),
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// The value as AWS writes it: base64 of the big-endian bytes.
    #[must_use]
    pub fn finish(self) -> String {
        match (self.state, self.algorithm) {
            (State::Crc(digest), Algorithm::Crc64nvme) => {
                BASE64.encode(digest.finalize().to_be_bytes())
            }
            // A 32-bit CRC is the low half of the 64 bits that `crc-fast` hands out.
            (State::Crc(digest), _) => {
                let [_, _, _, _, crc @ ..] = digest.finalize().to_be_bytes();
                BASE64.encode(crc)
            }
            (State::Sha1(digest), _) => BASE64.encode(digest.finalize()),
            (State::Sha256(digest), _) => BASE64.encode(digest.finalize()),
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(algorithm: Algorithm, body: &[u8], expected: &str) {
        let mut hasher = Hasher::new(algorithm);
        for piece in body.chunks(2) {
            hasher.update(piece);
        }
        assert_eq!(hasher.finish(), expected, "{algorithm:?}");
    }

    #[test]
    fn values_are_the_published_check_values() {
        // The CRC catalogue's check values of `123456789`, and FIPS 180-4's digests of `abc`.
        let crc = |hex_value: &str| BASE64.encode(hex::decode(hex_value).unwrap());
        check(Algorithm::Crc32, b"123456789", &crc("cbf43926"));
        check(Algorithm::Crc32c, b"123456789", &crc("e3069283"));
        check(Algorithm::Crc64nvme, b"123456789", &crc("ae8b14860a799888"));
        check(Algorithm::Sha1, b"abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        check(
            Algorithm::Sha256,
            b"abc",
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        );
    }

    #[test]
    fn a_checksum_has_exactly_one_name() {
        for algorithm in Algorithm::ALL {
            let name = algorithm.header_name();
            assert_eq!(Algorithm::from_header_name(&name), Some(algorithm));
            assert_eq!(Algorithm::from_header_name(&name.to_uppercase()), None);
        }
        for name in ["x-amz-checksum-", "x-amz-checksum-md5", "crc32", "host", ""] {
            assert_eq!(Algorithm::from_header_name(name), None);
        }
    }
}
