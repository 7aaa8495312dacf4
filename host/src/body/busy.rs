//! Knows whether a connection has calls in flight, from the end of a head to the last byte of its
//! answer, and since when nothing was asked of it or taken from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The calls in flight on one connection.
#[derive(Clone, Debug)]
pub struct Busy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    start: Instant,
    /// Calls, whether being decided or answered.
    calls: AtomicUsize,
    /// Those that are being answered.
    answers: AtomicUsize,
    /// When a call came or went, or a piece of an answer was taken: milliseconds since `start`.
    last: AtomicU64,
    changed: Notify,
}

/// One call in flight, until it is dropped.
#[derive(Debug)]
pub struct BusyGuard {
    busy: Busy,
    answering: bool,
}

impl Default for Busy {
    fn default() -> Self {
        Self(Arc::new(Shared {
            start: Instant::now(),
            calls: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            changed: Notify::new(),
        }))
    }
}

impl Busy {
    /// Counts a call.
    #[must_use]
    pub fn guard(&self) -> BusyGuard {
        self.0.calls.fetch_add(1, Ordering::AcqRel);
        self.mark();
        self.0.changed.notify_one();
        BusyGuard {
            busy: self.clone(),
            answering: false,
        }
    }

    /// Waits until there was no call for `idle` on end, or until nobody took anything from the
    /// answers for `stalled`.
    pub async fn unused_for(&self, idle: Duration, stalled: Duration) {
        loop {
            let calls = self.0.calls.load(Ordering::Acquire);
            let answers = self.0.answers.load(Ordering::Acquire);
            let changed = self.0.changed.notified();
            if calls > answers {
                // A call is being decided, for as long as that takes.
                changed.await;
                continue;
            }
            let limit = if calls == 0 { idle } else { stalled };
            let deadline = self.last() + limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    pub(super) fn mark(&self) {
        let elapsed = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(elapsed, Ordering::Release);
    }

    fn last(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.last.load(Ordering::Acquire))
    }
}

impl BusyGuard {
    /// A piece of the answer was taken.
    pub(super) fn progress(&self) {
        self.busy.mark();
    }

    /// The connection.
    pub(super) fn busy(&self) -> &Busy {
        &self.busy
    }

    /// From now on only the client is waited for.
    pub(super) fn answering(mut self) -> Self {
        self.answering = true;
        self.busy.mark();
        self.busy.0.answers.fetch_add(1, Ordering::AcqRel);
        self.busy.0.changed.notify_one();
        self
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.busy.mark();
        let shared = &self.busy.0;
        if self.answering {
            shared.answers.fetch_sub(1, Ordering::AcqRel);
        }
        shared.calls.fetch_sub(1, Ordering::AcqRel);
        shared.changed.notify_one();
    }
}
