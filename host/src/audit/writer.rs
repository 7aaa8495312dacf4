//! The one thread that writes. Whatever queued up while the last commit was on its way to the disk
//! goes into the next one, and while calls keep each other company the writer waits for more of
//! them ([`Linger`]), so the more calls there are, the less a sync costs each.
//!
//! If a commit fails, what has not happened yet is refused, what has happened is kept, and the log
//! is tried again until it can be written: see [`Writer::mend`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::record::frame::Kind;
use portcullis_core::record::{Draft, Event};

use super::flood::{Flood, Hurry};
use super::journal::{Fault, Journal};
use super::queue::{Landed, Pending, Queue};
use crate::clock::{self, Stopwatch};

/// How often a log that cannot be written is tried again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// How often the counts of unauthenticated requests are looked at when nothing else happens.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// How much longer than a sync the writer waits for company: syncs take a fifth of its time then.
const LINGER_SYNCS: u32 = 4;

/// What a call waits longer at most.
const LINGER_MAX: Duration = Duration::from_millis(4);

/// Ended calls kept in memory while the log cannot be written; more are never in flight.
const BACKLOG_RECORDS: usize = 65_536;

/// Reports of the gateway's own kept meanwhile; what they count goes on being counted.
const OWN_RECORDS: usize = 64;

#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    flood: Arc<Mutex<Flood>>,
    journal: Journal,
    backlog: Vec<Pending>,
    /// The gateway's own records, which nobody waits for.
    own: Vec<Draft>,
    trouble: Option<Trouble>,
    unrecorded: u64,
    linger: Linger,
}

/// How long to wait for more records before the next commit: not at all for a call that is alone.
#[derive(Clone, Copy, Debug, Default)]
struct Linger(Duration);

impl Linger {
    fn after(records: usize, sync: Duration) -> Self {
        if records < 2 {
            return Self::default();
        }
        Self((sync * LINGER_SYNCS).min(LINGER_MAX))
    }
}

#[derive(Debug)]
struct Trouble {
    fault: Fault,
    sequence: u64,
    segment: String,
}

impl Writer {
    pub(super) fn new(queue: Arc<Queue>, flood: Arc<Mutex<Flood>>, journal: Journal) -> Self {
        Self {
            queue,
            flood,
            journal,
            backlog: Vec::new(),
            own: Vec::new(),
            trouble: None,
            unrecorded: 0,
            linger: Linger::default(),
        }
    }

    pub(super) fn run(mut self) {
        // Also on a panic: callers must learn that nobody writes any more.
        let _gone = Gone(self.queue.clone());
        metrics::gauge!("audit_healthy").set(1.0);
        self.write_until_closed();
        drop(self);
    }

    fn write_until_closed(&mut self) {
        loop {
            let wait = match self.trouble {
                Some(_) => PROBE_INTERVAL,
                None => IDLE_INTERVAL,
            };
            let taken = self.queue.take(wait, self.linger.0);
            self.backlog.extend(taken.pending);
            self.report_flood(match taken.closing {
                true => Hurry::Now,
                false => Hurry::WindowEnd,
            });
            self.turn();
            if taken.closing {
                return;
            }
        }
    }

    fn turn(&mut self) {
        if self.trouble.is_some() {
            self.discard_new();
            self.mend();
        }
        if self.backlog.is_empty() && self.own.is_empty() {
            return;
        }
        if self.commit() {
            return;
        }
        self.discard_new();
        // Room for the outcomes of calls that were already under way.
        if matches!(
            self.trouble,
            Some(Trouble {
                fault: Fault::Full(_),
                ..
            })
        ) && self.journal.release_reserve()
        {
            self.commit();
        }
    }

    /// Writes and syncs everything at hand; says whether that worked.
    fn commit(&mut self) -> bool {
        let began = Stopwatch::start();
        let drafts = self
            .own
            .iter()
            .chain(self.backlog.iter().map(|pending| &pending.draft));
        if let Err(fault) = self.journal.append(drafts) {
            self.note_failure(fault);
            return false;
        }
        let took = began.elapsed();
        self.linger = Linger::after(self.backlog.len(), took);
        metrics::histogram!("audit_commit_seconds").record(took.as_secs_f64());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch is far below 2^52 records"
        )]
        metrics::histogram!("audit_commit_records").record(self.backlog.len() as f64);
        self.own.clear();
        for pending in self.backlog.drain(..) {
            pending.answer(Landed::Durable);
        }
        true
    }

    fn note_failure(&mut self, fault: Fault) {
        metrics::counter!("audit_failures_total", "kind" => fault.kind()).increment(1);
        if self.trouble.is_none() {
            tracing::error!(error = %fault, segment = self.journal.segment_name(), "the audit log cannot be written; calls are refused until it can");
            metrics::gauge!("audit_healthy").set(0.0);
            self.queue.refuse(fault.to_string());
        }
        let earlier = self.trouble.take();
        self.trouble = Some(Trouble {
            sequence: earlier
                .as_ref()
                .map_or_else(|| self.journal.next_sequence(), |trouble| trouble.sequence),
            segment: earlier.map_or_else(
                || self.journal.segment_name().to_owned(),
                |trouble| trouble.segment,
            ),
            fault,
        });
    }

    /// Refuses what has not happened yet and keeps the rest for later.
    fn discard_new(&mut self) {
        for pending in std::mem::take(&mut self.backlog) {
            if pending.must_land() && self.backlog.len() < BACKLOG_RECORDS {
                self.backlog.push(pending);
                continue;
            }
            if pending.draft.kind() == Kind::Refused {
                self.unrecorded += 1;
            }
            pending.answer(Landed::Discarded);
        }
    }

    /// Tries to get the log going again: space for the reserve means space for records; a failed
    /// write or sync means a new segment, never the same file descriptor again.
    fn mend(&mut self) {
        let Some(trouble) = self.trouble.take() else {
            return;
        };
        let mended = match trouble.fault {
            Fault::Failed(_) => self.journal.replace_segment(),
            Fault::Full(_) => Ok(()),
        }
        .and_then(|()| self.journal.hold_reserve());
        match mended {
            Err(fault) => {
                let fault = self.keep_worse(trouble.fault, fault);
                self.trouble = Some(Trouble { fault, ..trouble });
            }
            Ok(()) => self.resume(&trouble),
        }
    }

    /// A dead segment stays dead although the disk is now full as well, unless it was replaced.
    fn keep_worse(&self, earlier: Fault, later: Fault) -> Fault {
        if self.journal.is_dead() && matches!(later, Fault::Full(_)) {
            return earlier;
        }
        later
    }

    fn resume(&mut self, trouble: &Trouble) {
        let cause = trouble.fault.to_string();
        let event = Event::Recovered {
            cause: &cause,
            segment: &trouble.segment,
            sequence: trouble.sequence,
            torn_bytes: 0,
            torn_sha256: None,
            kept_as: None,
            unknown: 0,
            unrecorded: self.unrecorded,
        };
        let others = self.own.len();
        self.own.extend(Draft::event(clock::now(), &event).ok());
        if self.commit() {
            tracing::info!(
                segment = self.journal.segment_name(),
                "the audit log can be written again"
            );
            metrics::gauge!("audit_healthy").set(1.0);
            self.unrecorded = 0;
            self.queue.resume();
        } else {
            self.own.truncate(others);
        }
    }

    fn report_flood(&mut self, hurry: Hurry) {
        let mut flood = self.flood.lock().unwrap_or_else(PoisonError::into_inner);
        if self.own.len() < OWN_RECORDS
            && let Some(suppressed) = flood.due(clock::now(), hurry)
        {
            self.own
                .extend(Draft::event(clock::now(), &Event::Suppressed(suppressed)).ok());
        }
    }
}

struct Gone(Arc<Queue>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.writer_gone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_company_is_waited_for_and_never_long() {
        let after = |records, micros| Linger::after(records, Duration::from_micros(micros)).0;
        assert_eq!(after(0, 300), Duration::ZERO);
        assert_eq!(after(1, 300), Duration::ZERO);
        assert_eq!(after(2, 300), Duration::from_micros(1200));
        assert_eq!(after(64, 1_000_000), LINGER_MAX);
    }
}
