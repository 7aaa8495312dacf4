//! Bodies on both sides: what is taken in from the agent, and what is answered.
//!
//! A body that must be read whole is bounded, timed and counted against one budget over all
//! connections; a body that is streamed is checked while it passes (`body/stream.rs`) and never
//! becomes a complete upstream request if the check fails. No body is ever parsed here.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{Payload, PayloadMode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

mod busy;
mod conversation;
mod idle;
mod response;
mod stream;

pub use busy::{Busy, BusyGuard};
pub use conversation::Conversation;
pub use idle::{Idle, IdleError};
pub use response::{BoxError, ResponseBody};
pub use stream::{CutOff, PendingBody, StreamFailure, StreamingBody};

/// A body that is read whole must have arrived after this many of the longest pauses.
const WHOLE_BODY_PAUSES: u32 = 10;

/// Whether a call's body has to be known before it is decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intake {
    /// The body is data only: it may pass while it is sent.
    Stream,
    /// The body carries parameters, or its digest is part of the signature.
    Whole,
}

/// Takes bodies in, within the listener's limits.
#[derive(Clone, Debug)]
pub struct Bodies {
    body_bytes: usize,
    idle_timeout: Duration,
    budget: Arc<Semaphore>,
}

/// A body taken in.
#[derive(Debug)]
pub struct Admitted {
    /// For the signature.
    pub payload: Payload,
    /// The bytes to come, unless the payload is [`Payload::Whole`].
    pub stream: Option<PendingBody>,
    /// The bytes' share of the budget; to be held as long as they are.
    pub share: BudgetShare,
}

/// Bytes counted against the budget until it is dropped.
#[derive(Debug, Default)]
pub struct BudgetShare(Option<OwnedSemaphorePermit>);

impl Bodies {
    /// An empty budget.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let budget = limits.buffered_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            body_bytes: limits.body_bytes,
            idle_timeout: limits.body_idle_timeout,
            budget: Arc::new(Semaphore::new(budget)),
        }
    }

    /// Reads a body whole, or leaves it on the wire to be streamed. Events are never read whole:
    /// whoever sends them may wait for an answer in between.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`], [`Refusal::PayloadTooLarge`], [`Refusal::BodyTimeout`], [`Refusal::Overloaded`],
    /// [`Refusal::Malformed`] when the client ends it early.
    pub async fn admit(
        &self,
        body: Incoming,
        mode: &PayloadMode,
        intake: Intake,
    ) -> Result<Admitted, Refusal> {
        if *mode == PayloadMode::SignedEvents {
            return self.events(body, intake);
        }
        // Without a digest in the head only the whole body tells whether the signature is right.
        let whole = intake == Intake::Whole || *mode == PayloadMode::Absent || body.is_end_stream();
        if whole {
            let deadline = self.idle_timeout * WHOLE_BODY_PAUSES;
            let reading = self.read(body);
            return tokio::time::timeout(deadline, reading)
                .await
                .unwrap_or(Err(Refusal::BodyTimeout));
        }
        Ok(self.pending(body, Payload::Streamed))
    }

    fn events(&self, body: Incoming, intake: Intake) -> Result<Admitted, Refusal> {
        match intake {
            Intake::Stream => Ok(self.pending(body, Payload::Events)),
            Intake::Whole => Err(Refusal::Unsupported(
                "signed event streams are only taken by operations whose input has one; send the \
                 body's SHA-256"
                    .to_owned(),
            )),
        }
    }

    fn pending(&self, body: Incoming, payload: Payload) -> Admitted {
        let body = Idle::new(body, self.idle_timeout);
        Admitted {
            payload,
            stream: Some(PendingBody::new(body, self.budget.clone())),
            share: BudgetShare::default(),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Admitted, Refusal> {
        let mut share = BudgetShare::default();
        let expected = body.size_hint();
        if expected.lower() > self.body_bytes as u64 {
            return Err(self.too_large());
        }
        let mut body = Idle::new(body, self.idle_timeout);
        let mut bytes = BytesMut::new();
        let mut first = Bytes::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.refusal())?;
            let Ok(data) = frame.into_data() else {
                return Err(Refusal::Malformed("the body has trailers".to_owned()));
            };
            if first.len() + bytes.len() + data.len() > self.body_bytes {
                return Err(self.too_large());
            }
            share.add(&self.budget, data.len())?;
            // Most bodies are one frame, which then is not copied.
            if bytes.is_empty() && first.is_empty() {
                first = data;
                continue;
            }
            if bytes.is_empty() {
                bytes.extend_from_slice(&std::mem::take(&mut first));
            }
            bytes.extend_from_slice(&data);
        }
        let whole = if bytes.is_empty() {
            first
        } else {
            bytes.freeze()
        };
        Ok(Admitted {
            payload: Payload::Whole(whole),
            stream: None,
            share,
        })
    }

    fn too_large(&self) -> Refusal {
        Refusal::PayloadTooLarge {
            limit: self.body_bytes as u64,
        }
    }
}

impl BudgetShare {
    /// Counts exactly so many bytes from here on.
    fn hold(&mut self, budget: &Arc<Semaphore>, bytes: usize) -> Result<(), Refusal> {
        let held = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes > held {
            return self.add(budget, bytes - held);
        }
        drop(self.0.as_mut().and_then(|share| share.split(held - bytes)));
        Ok(())
    }

    /// Never waits: callers that wait for each other's bytes would wait for ever.
    fn add(&mut self, budget: &Arc<Semaphore>, bytes: usize) -> Result<(), Refusal> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(budget)
            .try_acquire_many_owned(bytes)
            .map_err(|_| Refusal::Overloaded("bytes in flight"))?;
        match &mut self.0 {
            Some(share) => share.merge(permit),
            None => self.0 = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
