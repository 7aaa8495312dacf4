//! A record on its way into the log: encoded and hashed where the call is handled, so that the one
//! thread that writes only has to number, chain and store it.

use std::io;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::event::Timed;
use super::{Event, Intent, Outcome, RequestId};
use crate::record::frame::{self, Kind, MAX_PAYLOAD};

/// The most of a call's parameters that is kept; `digest` still covers all of them.
pub const PARAMS_BYTES: usize = 64 * 1024;

/// Room for what a small call needs, so that the buffer seldom grows.
const USUAL_BYTES: usize = 1536;

/// A record that has no place in the log yet.
#[derive(Debug)]
pub struct Draft {
    kind: Kind,
    call: Option<RequestId>,
    payload: Vec<u8>,
    leaf: [u8; 32],
}

/// The record would not fit into a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the record is larger than {MAX_PAYLOAD} bytes")]
pub struct TooLarge;

impl Draft {
    /// The record of a call that is about to be sent.
    ///
    /// # Errors
    /// [`TooLarge`] if its actions and resources alone do not fit.
    pub fn intent(intent: &Intent<'_>) -> Result<Self, TooLarge> {
        let payload = encode_intent(intent)?;
        Self::seal(Kind::Intent, Some(intent.id), payload)
    }

    /// The one record of a call that is not sent.
    ///
    /// # Errors
    /// [`TooLarge`] if its actions and resources alone do not fit.
    pub fn refused(intent: &Intent<'_>, outcome: &Outcome<'_>) -> Result<Self, TooLarge> {
        let mut payload = encode_intent(intent)?;
        append_members(&mut payload, outcome)?;
        Self::seal(Kind::Refused, Some(intent.id), payload)
    }

    /// The record that ends a call.
    ///
    /// # Errors
    /// [`TooLarge`]; an outcome's members are all bounded, so this is a defect of the caller.
    pub fn outcome(id: RequestId, outcome: &Outcome<'_>) -> Result<Self, TooLarge> {
        Self::about_call(Kind::Outcome, id, outcome)
    }

    /// The record of an answer that is about to be streamed; [`Self::outcome`] follows at its end.
    ///
    /// # Errors
    /// As [`Self::outcome`].
    pub fn head(id: RequestId, outcome: &Outcome<'_>) -> Result<Self, TooLarge> {
        Self::about_call(Kind::Head, id, outcome)
    }

    /// A record about the gateway itself.
    ///
    /// # Errors
    /// [`TooLarge`] for an event with unreasonably many members.
    pub fn event(time: OffsetDateTime, event: &Event<'_>) -> Result<Self, TooLarge> {
        let mut payload = Vec::with_capacity(USUAL_BYTES / 2);
        write_json(&mut payload, &Timed { time, event })?;
        Self::seal(Kind::Event, None, payload)
    }

    /// The first record of a segment: which calls are still open.
    ///
    /// # Errors
    /// [`TooLarge`] beyond some hundred thousand open calls.
    pub fn carried(open: &[RequestId]) -> Result<Self, TooLarge> {
        let mut payload = Vec::new();
        write_json(&mut payload, &Carried { open })?;
        Self::seal(Kind::Carried, None, payload)
    }

    /// What kind of record it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The call it is about.
    pub fn call(&self) -> Option<RequestId> {
        self.call
    }

    /// Bytes of its JSON form.
    pub fn size(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn leaf(&self) -> &[u8; 32] {
        &self.leaf
    }

    fn about_call(kind: Kind, id: RequestId, outcome: &Outcome<'_>) -> Result<Self, TooLarge> {
        let mut payload = Vec::with_capacity(USUAL_BYTES / 3);
        write_json(&mut payload, &Ended { id })?;
        append_members(&mut payload, outcome)?;
        Self::seal(kind, Some(id), payload)
    }

    fn seal(kind: Kind, call: Option<RequestId>, payload: Vec<u8>) -> Result<Self, TooLarge> {
        if payload.len() > MAX_PAYLOAD {
            return Err(TooLarge);
        }
        let leaf = frame::leaf(kind, &payload);
        Ok(Self {
            kind,
            call,
            payload,
            leaf,
        })
    }
}

#[derive(serde::Serialize)]
struct Ended {
    id: RequestId,
}

#[derive(serde::Serialize)]
struct Carried<'a> {
    open: &'a [RequestId],
}

fn encode_intent(intent: &Intent<'_>) -> Result<Vec<u8>, TooLarge> {
    let mut payload = Vec::with_capacity(USUAL_BYTES);
    write_json(&mut payload, intent)?;
    let Some(params) = intent.params else {
        return Ok(payload);
    };
    payload.pop();
    let without = payload.len();
    payload.extend_from_slice(br#","params":"#);
    let mut bounded = Bounded {
        room: PARAMS_BYTES,
        into: &mut payload,
    };
    if serde_json::to_writer(&mut bounded, params).is_err() {
        payload.truncate(without);
        payload.extend_from_slice(br#","params_omitted":"over 65536 bytes""#);
    }
    payload.push(b'}');
    Ok(payload)
}

/// Adds the members of `value` to the object that `payload` holds.
fn append_members(payload: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), TooLarge> {
    payload.pop();
    let joint = payload.len();
    write_json(payload, value)?;
    if let Some(brace) = payload.get_mut(joint) {
        *brace = b',';
    }
    Ok(())
}

fn write_json(payload: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), TooLarge> {
    let mut bounded = Bounded {
        room: MAX_PAYLOAD,
        into: payload,
    };
    serde_json::to_writer(&mut bounded, value).map_err(|_| TooLarge)
}

/// Stops the encoder once the room is used up, so that a huge value costs no more than its limit.
struct Bounded<'a> {
    room: usize,
    into: &'a mut Vec<u8>,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.room = self
            .room
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        self.into.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// SHA-256 over several parts.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
