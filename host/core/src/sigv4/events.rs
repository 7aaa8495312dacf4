//! The chain of signatures through a stream of events: each covers its message, the message's date
//! and the signature before it, the first one being the request's own.
//! <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-http2.html>
//!
//! One chain either checks what arrives or signs what goes out. It holds the secret, because a
//! message is signed with the key of its own day, so it can neither be printed nor copied.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::key::{Signature, SigningSecret, hmac};
use super::signing_time::{self, SKEW};
use super::{Scope, malformed};
use crate::refusal::Refusal;

const EVENT: &str = "AWS4-HMAC-SHA256-PAYLOAD";

/// The header `:date` up to its value: name and type.
const DATE_HEADER: &[u8] = b"\x05:date\x08";

/// The signatures of one stream's messages, in their order.
pub struct EventChain {
    secret: SigningSecret,
    /// Its date is the day of `key`.
    scope: Scope,
    key: Zeroizing<[u8; 32]>,
    /// The signature before the next one.
    previous: [u8; 32],
    /// When that was made, in milliseconds since the epoch.
    date: i64,
}

/// The signature of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventSignature {
    /// What the header `:date` says, in milliseconds since the epoch.
    pub date: i64,
    /// What the header `:chunk-signature` says.
    pub signature: [u8; 32],
}

impl EventChain {
    /// Starts with the signature of the request, 64 lower-case hexadecimal digits, that was made
    /// with `secret` at `signing_time` (`YYYYMMDDTHHMMSSZ`).
    ///
    /// # Errors
    /// [`Refusal::Internal`] when `seed` is no signature or `signing_time` no time.
    pub fn new(
        secret: &SigningSecret,
        scope: &Scope,
        signing_time: &str,
        seed: &str,
    ) -> Result<Self, Refusal> {
        let seed = Signature::parse(seed).ok_or(Refusal::Internal)?;
        let signed_at = signing_time::parse_basic(signing_time).ok_or(Refusal::Internal)?;
        Self::after(secret, scope, signed_at, &seed)
    }

    pub(super) fn after(
        secret: &SigningSecret,
        scope: &Scope,
        signed_at: OffsetDateTime,
        seed: &Signature,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            secret: SigningSecret::new(secret.expose().to_owned()),
            scope: scope.clone(),
            key: secret.signing_key(scope)?,
            previous: seed.0,
            date: millis(signed_at),
        })
    }

    /// Signs the next message at `now`, never dated before the one before it. AWS reads whole
    /// seconds.
    ///
    /// # Errors
    /// [`Refusal::Internal`] for a time that no calendar has.
    pub fn sign(&mut self, message: &[u8], now: OffsetDateTime) -> Result<EventSignature, Refusal> {
        let date = (now.unix_timestamp().saturating_mul(1000)).max(self.date);
        let instant = instant(date).ok_or(Refusal::Internal)?;
        self.step(date, instant, message)?;
        Ok(EventSignature {
            date,
            signature: self.previous,
        })
    }

    /// Checks the next message, which arrived at `now`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::ClockSkew`], [`Refusal::SignatureMismatch`]. The chain
    /// keeps the order; JS v3 dates events a little before the ones before them.
    pub(crate) fn check(
        &mut self,
        message: &[u8],
        signed: &EventSignature,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let instant = instant(signed.date).ok_or_else(|| malformed("an event has no real date"))?;
        signing_time::check_skew(instant, SKEW, now)?;
        self.step(signed.date, instant, message)?;
        if self.previous.ct_eq(&signed.signature).into() {
            Ok(())
        } else {
            Err(Refusal::SignatureMismatch)
        }
    }

    fn step(&mut self, date: i64, instant: OffsetDateTime, message: &[u8]) -> Result<(), Refusal> {
        let time = signing_time::format_basic(instant);
        if !time.starts_with(&self.scope.date) {
            self.scope.date = time.chars().take_while(|digit| *digit != 'T').collect();
            self.key = self.secret.signing_key(&self.scope)?;
        }
        let header = Sha256::new()
            .chain_update(DATE_HEADER)
            .chain_update(date.to_be_bytes())
            .finalize();
        let string_to_sign = format!(
            "{EVENT}\n{time}\n{}\n{}\n{}\n{}",
            self.scope,
            hex::encode(self.previous),
            hex::encode(header),
            hex::encode(Sha256::digest(message)),
        );
        self.previous = hmac(&self.key[..], string_to_sign.as_bytes());
        self.date = date;
        Ok(())
    }
}

impl fmt::Debug for EventChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventChain(…)")
    }
}

fn millis(instant: OffsetDateTime) -> i64 {
    let whole = instant.unix_timestamp().saturating_mul(1000);
    whole.saturating_add(instant.millisecond().into())
}

/// `None` for what is no date of a calendar with four digits a year.
fn instant(millis: i64) -> Option<OffsetDateTime> {
    let nanos = i128::from(millis).checked_mul(1_000_000)?;
    let instant = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    (0..=9999).contains(&instant.year()).then_some(instant)
}
