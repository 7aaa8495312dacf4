//! Gateway credentials: an access key, a secret and a sealed session token that any gateway with
//! the key ring can open, and that are worth nothing anywhere else.
//!
//! Nothing is stored: the token carries the whole session, encrypted and authenticated together
//! with the access key it was issued for, and the secret is derived from both. Randomness and time
//! are arguments. Start at [`KeyRing::issue`] and [`KeyRing::open`].

use time::OffsetDateTime;

use crate::access::{Principal, Session};
use crate::directory_bucket::Confinement;
use crate::refusal::Refusal;
use crate::sigv4::SigningSecret;

mod key_ring;
mod seal;

pub use key_ring::{KeyId, KeyRing, RingKey};

/// Random bytes that one issue consumes: 10 name the access key, 12 are the nonce.
pub const RANDOMNESS: usize = 22;

/// More groups than this do not fit a header that every call repeats.
const MAX_GROUPS: usize = 200;
/// Bytes of a session token's text. Header blocks of 8 KiB are common limits on the way here.
const MAX_TOKEN: usize = 6 * 1024;
/// Tells gateway access keys from AWS's `AKIA…` and `ASIA…`.
const ACCESS_KEY_PREFIX: &str = "PCAK";
/// AWS's access keys have 20 characters and some clients insist on it.
const ACCESS_KEY_LENGTH: usize = 20;

/// What a session will be, before it has an access key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewSession {
    /// Who the agent acts for.
    pub principal: Principal,
    /// The agent's own name for the session (`RoleSessionName`).
    pub name: String,
    /// The connection it may use.
    pub connection: String,
    /// The role within the connection.
    pub role: String,
    /// The access key of the session that asks for it; none for a sign-in.
    pub parent: Option<String>,
    /// The directory bucket it is for, where it is for nothing else.
    pub confined_to: Option<Confinement>,
    /// Now, to the second.
    pub issued_at: OffsetDateTime,
    /// Its end, to the second.
    pub expires_at: OffsetDateTime,
}

/// What an agent signs with. The three belong together: none opens without the others.
#[derive(Debug)]
pub struct GatewayCredentials {
    /// `PCAK` and 16 characters of base32.
    pub access_key_id: String,
    /// 40 characters.
    pub secret_access_key: SigningSecret,
    /// URL-safe text.
    pub session_token: SessionToken,
    /// When they stop working.
    pub expires_at: OffsetDateTime,
}

/// A sealed session as text. Not printable: with the secret it is a credential.
#[derive(Clone, Eq, PartialEq)]
pub struct SessionToken(String);

impl SessionToken {
    /// The text, to hand to the agent it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

impl KeyRing {
    /// Makes credentials for a new session, sealed with the ring's sealing key. `randomness` must
    /// be fresh for every call.
    ///
    /// # Errors
    /// [`Refusal::IdentityInvalid`] when the principal's groups do not fit a session token.
    pub fn issue(
        &self,
        session: NewSession,
        randomness: [u8; RANDOMNESS],
    ) -> Result<(Session, GatewayCredentials), Refusal> {
        if session.principal.groups.len() > MAX_GROUPS {
            return Err(too_large(session.principal.groups.len()));
        }
        let (name, nonce) = split(randomness);
        let access_key_id = format!(
            "{ACCESS_KEY_PREFIX}{}",
            data_encoding::BASE32_NOPAD.encode(&name)
        );
        let session = session.into_session(access_key_id);
        let key = self.sealing();
        let token = key.seal(&session, &nonce)?;
        if token.len() > MAX_TOKEN {
            return Err(too_large(session.principal.groups.len()));
        }
        let credentials = GatewayCredentials {
            access_key_id: session.access_key_id.clone(),
            secret_access_key: key.secret(&session.access_key_id, &token),
            session_token: SessionToken(token),
            expires_at: session.expires_at,
        };
        Ok((session, credentials))
    }

    /// The session that an access key and its session token stand for, and the secret it signs
    /// with. Nothing is proved yet: whoever holds the secret must show it by signing.
    ///
    /// # Errors
    /// [`Refusal::UnknownAccessKey`] for anything that is not shaped like a gateway access key,
    /// [`Refusal::SessionInvalid`] for a token that is absent, altered, sealed by no key of this
    /// ring or issued for another access key, [`Refusal::SessionExpired`] past its end.
    pub fn open(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(Session, SigningSecret), Refusal> {
        if !is_access_key(access_key_id) {
            return Err(Refusal::UnknownAccessKey);
        }
        let token = session_token
            .filter(|token| token.len() <= MAX_TOKEN)
            .ok_or(Refusal::SessionInvalid)?;
        let key = seal::key_id(token)
            .and_then(|id| self.key(id))
            .ok_or(Refusal::SessionInvalid)?;
        let session = key.open(access_key_id, token)?;
        if now >= session.expires_at {
            return Err(Refusal::SessionExpired);
        }
        let secret = key.secret(access_key_id, token);
        Ok((session, secret))
    }
}

impl NewSession {
    fn into_session(self, access_key_id: String) -> Session {
        Session {
            principal: self.principal,
            name: self.name,
            access_key_id,
            connection: self.connection,
            role: self.role,
            parent: self.parent,
            confined_to: self.confined_to,
            issued_at: whole_second(self.issued_at),
            expires_at: whole_second(self.expires_at),
        }
    }
}

/// Tokens carry whole seconds; the session handed out at issue must equal the one opened later.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.truncate_to_second().to_offset(time::UtcOffset::UTC)
}

fn split(randomness: [u8; RANDOMNESS]) -> ([u8; 10], [u8; seal::NONCE]) {
    let mut name = [0; 10];
    let mut nonce = [0; seal::NONCE];
    let bytes = name.iter_mut().chain(nonce.iter_mut());
    for (to, from) in bytes.zip(randomness) {
        *to = from;
    }
    (name, nonce)
}

fn is_access_key(text: &str) -> bool {
    text.len() == ACCESS_KEY_LENGTH
        && text.strip_prefix(ACCESS_KEY_PREFIX).is_some_and(|name| {
            name.bytes()
                .all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        })
}

fn too_large(groups: usize) -> Refusal {
    Refusal::IdentityInvalid(format!(
        "it names {groups} groups, which do not fit a session token ({MAX_GROUPS} groups, {MAX_TOKEN} bytes); ask the identity provider's administrator to send this application fewer groups"
    ))
}

#[cfg(test)]
mod tests;
