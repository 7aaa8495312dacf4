//! A stream of signed events on its way through: [`EventReader`] opens the agent's envelopes and
//! gives back what is in them once signature, date and model agree; [`EventWriter`] puts it into the
//! gateway's own. Neither holds more than one message.
//!
//! An event goes on before the stream's end is known to be in order. Whoever passes it on must
//! therefore not end the stream before [`EventReader::finish`] agrees.

use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;

use super::events::{Direction, Events};
use super::{Corrupt, Envelope, Frame, Frames, write};
use crate::call::Call;
use crate::catalog::{Catalog, Protocol, Service};
use crate::refusal::Refusal;
use crate::sigv4::{EventChain, EventSignature};

/// The events that an operation takes.
#[derive(Clone, Debug)]
pub struct Inputs {
    service: Arc<Service>,
    operation: String,
    protocol: Protocol,
}

impl Inputs {
    /// What a call's stream may hold; `None` for a call without one. Only the REST protocols say
    /// everything else of a call in its head.
    pub fn of(catalog: &Catalog, call: &Call) -> Option<Self> {
        Self::new(catalog, call.service(), call.operation(), call.protocol())
    }

    /// The same for an operation that is called in that protocol.
    pub fn new(
        catalog: &Catalog,
        service: &str,
        operation: &str,
        protocol: Protocol,
    ) -> Option<Self> {
        let inputs = Self {
            service: catalog.service(service)?,
            operation: operation.to_owned(),
            protocol,
        };
        let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
        (rest && inputs.events().is_some()).then_some(inputs)
    }

    fn events(&self) -> Option<Events<'_>> {
        let operation = self.service.operation(&self.operation)?;
        Events::new(&self.service, operation, self.protocol, Direction::Input)
    }

    fn check(&self, message: &Frame) -> Result<(), Refusal> {
        let events = self.events().ok_or(Refusal::Internal)?;
        let checked = events.check(message);
        checked.map_err(|unreadable| Refusal::InvalidInput(unreadable.0))
    }
}

/// One stream being taken apart. Feed it with [`EventReader::pull`], then ask
/// [`EventReader::finish`].
#[derive(Debug)]
pub struct EventReader {
    chain: EventChain,
    inputs: Inputs,
    frames: Frames,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    /// After the signed end.
    Ended,
    /// Something was wrong; nothing may follow.
    Failed,
}

impl EventReader {
    /// Reads a stream whose first message is signed over the request's own signature.
    #[must_use]
    pub fn new(chain: EventChain, inputs: Inputs) -> Self {
        Self {
            chain,
            inputs,
            frames: Frames::default(),
            state: State::Open,
        }
    }

    /// Takes bytes off the front of `wire` until there is an event to pass on, without its
    /// envelope; no bytes say that `wire` is used up. `now` is when they arrived.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::SignatureMismatch`], [`Refusal::ClockSkew`] or
    /// [`Refusal::InvalidInput`]; the stream must then be cut off upstream, never ended.
    pub fn pull(&mut self, wire: &mut Bytes, now: OffsetDateTime) -> Result<Bytes, Refusal> {
        while !wire.is_empty() {
            let pulled = self.step(wire, now).inspect_err(|_| {
                self.state = State::Failed;
            })?;
            if let Some(event) = pulled {
                return Ok(event);
            }
        }
        Ok(Bytes::new())
    }

    /// Checks that the stream ended with its signed end.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn finish(self) -> Result<(), Refusal> {
        match self.state {
            State::Ended => Ok(()),
            State::Open | State::Failed => Err(malformed(
                "the event stream ends without its signed empty message",
            )),
        }
    }

    /// How many bytes of a message that is not complete are held.
    pub fn held(&self) -> usize {
        self.frames.buffer.len()
    }

    /// Takes no more than one message.
    fn step(&mut self, wire: &mut Bytes, now: OffsetDateTime) -> Result<Option<Bytes>, Refusal> {
        match self.state {
            State::Open => {}
            State::Ended => return Err(malformed("the event stream goes on behind its end")),
            State::Failed => return Err(malformed("it was refused before")),
        }
        let missing = self.frames.missing().map_err(corrupt)?;
        self.frames.push(&wire.split_to(missing.min(wire.len())));
        match self.frames.next_frame().map_err(corrupt)? {
            Some(frame) => self.open(&frame, now),
            None => Ok(None),
        }
    }

    fn open(&mut self, frame: &Frame, now: OffsetDateTime) -> Result<Option<Bytes>, Refusal> {
        let envelope = Envelope::open(frame).map_err(corrupt)?;
        let signature = <[u8; 32]>::try_from(&*envelope.signature);
        let signed = EventSignature {
            date: envelope.date,
            signature: signature.map_err(|_| malformed("an event's signature is not 32 bytes"))?,
        };
        self.chain.check(&frame.payload, &signed, now)?;
        let Some(message) = envelope.message else {
            self.state = State::Ended;
            return Ok(None);
        };
        self.inputs.check(&message)?;
        Ok(Some(message.raw))
    }
}

/// The gateway's own envelopes around events that were checked.
#[derive(Debug)]
pub struct EventWriter {
    chain: EventChain,
}

impl EventWriter {
    /// Signs over the signature of the request that was sent.
    #[must_use]
    pub fn new(chain: EventChain) -> Self {
        Self { chain }
    }

    /// The next event, signed at `now`.
    ///
    /// # Errors
    /// [`Refusal::Internal`].
    pub fn event(&mut self, event: &[u8], now: OffsetDateTime) -> Result<Bytes, Refusal> {
        let signed = self.chain.sign(event, now)?;
        write::envelope(&signed, event).map_err(|_| Refusal::Internal)
    }

    /// The end of the stream, signed at `now`.
    ///
    /// # Errors
    /// [`Refusal::Internal`].
    pub fn finish(mut self, now: OffsetDateTime) -> Result<Bytes, Refusal> {
        self.event(b"", now)
    }
}

fn corrupt(corrupt: Corrupt) -> Refusal {
    Refusal::Malformed(corrupt.to_string())
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests;
