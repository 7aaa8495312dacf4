//! A call whose request and answer flow at the same time. It may go on for as long as either side
//! is heard, and what breaks the one breaks the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_core::refusal::Refusal;
use tokio::time::Instant;

use super::busy::Busy;
use super::stream::StreamFailure;

/// Both directions of one call.
#[derive(Clone, Debug)]
pub struct Conversation(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    start: Instant,
    /// When either side was heard: milliseconds since `start`.
    last: AtomicU64,
    /// The agent's connection, once the answer is on its way there.
    busy: OnceLock<Busy>,
    failure: StreamFailure,
}

impl Conversation {
    /// Around a request that leaves the reason there if it is cut off.
    pub(super) fn new(failure: StreamFailure) -> Self {
        Self(Arc::new(Shared {
            start: Instant::now(),
            last: AtomicU64::new(0),
            busy: OnceLock::new(),
            failure,
        }))
    }

    /// Why the request was cut off, if it was.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.0.failure.refusal()
    }

    /// Something came from either side.
    pub(super) fn heard(&self) {
        let elapsed = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(elapsed, Ordering::Release);
        if let Some(busy) = self.0.busy.get() {
            busy.mark();
        }
    }

    /// When something came last.
    pub(super) fn last(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.last.load(Ordering::Acquire))
    }

    /// What is heard from here on keeps that connection from counting as stalled.
    pub(super) fn keep(&self, busy: &Busy) {
        drop(self.0.busy.set(busy.clone()));
    }
}
