//! What waits for the writer. Bounded for calls that are only beginning; never refused for those
//! that have begun, whose number is bounded by the calls in flight.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_core::record::Draft;
use portcullis_core::record::frame::Kind;
use tokio::sync::oneshot;

use super::Health;
use crate::clock::Stopwatch;

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    closed: Condvar,
    patience: Duration,
    bytes_limit: usize,
}

#[derive(Debug)]
struct State {
    pending: Vec<Pending>,
    bytes: usize,
    refusing: Option<String>,
    commit_began: Option<Stopwatch>,
    writer: Presence,
    closing: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Gone,
    Parked,
    Working,
}

/// A record and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) draft: Draft,
    reply: oneshot::Sender<Landed>,
}

impl Pending {
    /// Tells whoever waits, if anybody still does.
    pub(super) fn answer(self, landed: Landed) {
        // A receiver that is gone gave up on time; its drop guard has taken care of the record.
        let _unheard = self.reply.send(landed);
    }

    /// Whether the record speaks of something that has already happened, so it may be late but
    /// never lost.
    pub(super) fn must_land(&self) -> bool {
        must_land(self.draft.kind())
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Landed {
    /// It is not in the log and will not be.
    Discarded,
    Durable,
}

/// What the writer is handed.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) pending: Vec<Pending>,
    pub(super) closing: bool,
}

impl Queue {
    pub(super) fn new(patience: Duration, bytes_limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                pending: Vec::new(),
                bytes: 0,
                refusing: None,
                commit_began: None,
                writer: Presence::Working,
                closing: false,
            }),
            wake: Condvar::new(),
            closed: Condvar::new(),
            patience,
            bytes_limit,
        }
    }

    /// Queues a record; `None` if the log does not take it.
    pub(super) fn push(&self, draft: Draft) -> Option<oneshot::Receiver<Landed>> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.writer == Presence::Gone
            || (!must_land(draft.kind()) && !self.admits(&state, draft.size()))
        {
            return None;
        }
        state.bytes += draft.size();
        state.pending.push(Pending { draft, reply });
        if state.writer == Presence::Parked {
            state.writer = Presence::Working;
            drop(state);
            self.wake.notify_one();
        }
        Some(receiver)
    }

    /// Waits for records, at most `wait`, then for others to join them, for `linger`, and hands
    /// over all of them.
    pub(super) fn take(&self, wait: Duration, linger: Duration) -> Taken {
        let mut state = self.lock();
        state.commit_began = None;
        if state.pending.is_empty() && !state.closing {
            state.writer = Presence::Parked;
            state = self
                .wake
                .wait_timeout_while(state, wait, |state| {
                    state.pending.is_empty() && !state.closing
                })
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.writer = Presence::Working;
        }
        if !linger.is_zero() && !state.pending.is_empty() {
            state = self
                .wake
                .wait_timeout_while(state, linger, |state| !state.closing)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.bytes = 0;
        state.commit_began = Some(Stopwatch::start());
        Taken {
            pending: std::mem::take(&mut state.pending),
            closing: state.closing,
        }
    }

    /// From now on calls are refused, for that reason.
    pub(super) fn refuse(&self, reason: String) {
        self.lock().refusing = Some(reason);
    }

    /// Calls are taken again.
    pub(super) fn resume(&self) {
        self.lock().refusing = None;
    }

    pub(super) fn health(&self) -> Health {
        let state = self.lock();
        if let Some(reason) = &state.refusing {
            return Health::Refusing(reason.clone());
        }
        if state.writer == Presence::Gone {
            return Health::Refusing("the audit log is closed".to_owned());
        }
        if self.stuck(&state) {
            return Health::Refusing("the disk of the audit log does not answer".to_owned());
        }
        Health::Healthy
    }

    /// Asks the writer to finish and waits for it, at most `wait`.
    pub(super) fn close(&self, wait: Duration) {
        let mut state = self.lock();
        state.closing = true;
        self.wake.notify_one();
        drop(
            self.closed
                .wait_timeout_while(state, wait, |state| state.writer != Presence::Gone),
        );
    }

    /// The writer is gone, in good order or not: nothing is taken any more.
    pub(super) fn writer_gone(&self) {
        let mut state = self.lock();
        state.writer = Presence::Gone;
        state.pending.clear();
        self.closed.notify_all();
    }

    fn admits(&self, state: &State, size: usize) -> bool {
        state.refusing.is_none()
            && !state.closing
            && state.bytes + size <= self.bytes_limit
            && !self.stuck(state)
    }

    fn stuck(&self, state: &State) -> bool {
        state
            .commit_began
            .is_some_and(|began| began.elapsed() > self.patience)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn must_land(kind: Kind) -> bool {
    match kind {
        Kind::Carried | Kind::Event | Kind::Head | Kind::Outcome => true,
        Kind::Intent | Kind::Refused => false,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::record::Event;
    use time::OffsetDateTime;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn queue() -> Queue {
        Queue::new(Duration::from_secs(2), 1 << 20)
    }

    fn draft() -> Draft {
        let event = Event::Stopped { reason: "test" };
        Draft::event(OffsetDateTime::UNIX_EPOCH, &event).unwrap()
    }

    #[test]
    fn the_writer_lingers_as_long_as_it_is_told_unless_the_gateway_ends() {
        let (queue, linger) = (queue(), Duration::from_millis(20));
        queue.push(draft()).unwrap();
        let watch = Stopwatch::start();
        assert_eq!(queue.take(LONG, linger).pending.len(), 1);
        assert!(watch.elapsed() >= linger);
        queue.push(draft()).unwrap();
        queue.close(Duration::ZERO);
        let taken = queue.take(LONG, LONG);
        assert_eq!((taken.pending.len(), taken.closing), (1, true));
    }

    #[test]
    fn a_writer_that_does_not_linger_takes_what_is_there() {
        let queue = queue();
        queue.push(draft()).unwrap();
        let taken = queue.take(LONG, Duration::ZERO);
        assert_eq!((taken.pending.len(), taken.closing), (1, false));
    }
}
