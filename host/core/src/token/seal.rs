//! The session token's text: `pc3.<key id>.<base64url of nonce, ciphertext and tag>`.
//!
//! AES-256-GCM-SIV (RFC 8452), because many gateways seal with one key and a repeated nonce must
//! not be a catastrophe. Version, key id and access key are authenticated with the ciphertext, so a
//! token opens for its own access key only.

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::RingKey;
use crate::access::{Principal, Session};
use crate::directory_bucket::Confinement;
use crate::refusal::Refusal;
use crate::sigv4::SigningSecret;

/// Bytes of a nonce.
pub(super) const NONCE: usize = 12;

const VERSION: &str = "pc3";
/// The length of AWS's own secrets: 240 bits in base64.
const SECRET_LENGTH: usize = 40;

/// The id of the key that a token says it was sealed with.
pub(super) fn key_id(token: &str) -> Option<&str> {
    parts(token).map(|(key_id, _)| key_id)
}

impl RingKey {
    pub(super) fn seal(&self, session: &Session, nonce: &[u8; NONCE]) -> Result<String, Refusal> {
        let claims = postcard::to_allocvec(&Claims::of(session)).map_err(|_| Refusal::Internal)?;
        let aad = self.bound_to(&session.access_key_id);
        let sealed = self
            .cipher()
            .encrypt(
                &Nonce::from(*nonce),
                Payload {
                    msg: &claims,
                    aad: aad.as_bytes(),
                },
            )
            .map_err(|_| Refusal::Internal)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        let key_id = self.id().as_str();
        Ok(format!(
            "{VERSION}.{key_id}.{}",
            URL_SAFE_NO_PAD.encode(bytes)
        ))
    }

    pub(super) fn open(&self, access_key_id: &str, token: &str) -> Result<Session, Refusal> {
        self.claims(access_key_id, token)
            .and_then(|claims| claims.into_session(access_key_id))
            .ok_or(Refusal::SessionInvalid)
    }

    /// The secret that goes with an access key and the token issued with it.
    pub(super) fn secret(&self, access_key_id: &str, token: &str) -> SigningSecret {
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes keys of every length (RFC 2104 §2)"
        )]
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secrets[..]).expect("a key of any length");
        mac.update(access_key_id.as_bytes());
        mac.update(&[0]);
        mac.update(token.as_bytes());
        let bytes = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        let mut secret = URL_SAFE_NO_PAD.encode(&bytes[..]);
        secret.truncate(SECRET_LENGTH);
        SigningSecret::new(secret)
    }

    fn claims(&self, access_key_id: &str, token: &str) -> Option<Claims> {
        let (_, body) = parts(token)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let aad = self.bound_to(access_key_id);
        let payload = Payload {
            msg: sealed,
            aad: aad.as_bytes(),
        };
        let claims = self.cipher().decrypt(&Nonce::from(*nonce), payload).ok()?;
        postcard::from_bytes(&claims).ok()
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.sealing).into())
    }

    fn bound_to(&self, access_key_id: &str) -> String {
        format!("{VERSION}.{}.{access_key_id}", self.id().as_str())
    }
}

fn parts(token: &str) -> Option<(&str, &str)> {
    token
        .strip_prefix(VERSION)?
        .strip_prefix('.')?
        .split_once('.')
}

/// The sealed form of a [`Session`]. Changing it needs a new [`VERSION`].
#[derive(Deserialize, Serialize)]
struct Claims {
    issuer: String,
    subject: String,
    email: Option<String>,
    groups: Vec<String>,
    name: String,
    connection: String,
    role: String,
    parent: Option<String>,
    confined_to: Option<Confinement>,
    issued: i64,
    expires: i64,
}

impl Claims {
    fn of(session: &Session) -> Self {
        let Session {
            principal,
            name,
            access_key_id: _,
            connection,
            role,
            parent,
            confined_to,
            issued_at,
            expires_at,
        } = session.clone();
        Self {
            issuer: principal.issuer,
            subject: principal.subject,
            email: principal.email,
            groups: principal.groups,
            name,
            connection,
            role,
            parent,
            confined_to,
            issued: issued_at.unix_timestamp(),
            expires: expires_at.unix_timestamp(),
        }
    }

    fn into_session(self, access_key_id: &str) -> Option<Session> {
        Some(Session {
            principal: Principal {
                issuer: self.issuer,
                subject: self.subject,
                email: self.email,
                groups: self.groups,
            },
            name: self.name,
            access_key_id: access_key_id.to_owned(),
            connection: self.connection,
            role: self.role,
            parent: self.parent,
            confined_to: self.confined_to,
            issued_at: OffsetDateTime::from_unix_timestamp(self.issued).ok()?,
            expires_at: OffsetDateTime::from_unix_timestamp(self.expires).ok()?,
        })
    }
}
