//! The audit log: nothing is sent to AWS before its intent is durable here, and nothing is answered
//! before its outcome is.
//!
//! [`Audit::intent`] hands out a [`Recorded`], the only key to sending a call. Dropping it without
//! an outcome records that the call was abandoned, so a crash of the process is the only way to leave an
//! intent open, and the next start marks such calls `unknown`. One thread writes (`writer.rs`), and
//! syncs everything that queued up meanwhile at once. What a file looks like: `portcullis_core::record`.
//! If the log cannot be written, calls are refused; there is no way to go on without it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::record::{Draft, End, Event, Intent, Outcome, RequestId, TooLarge};
use portcullis_core::refusal::Refusal;
use time::OffsetDateTime;

use flood::{Flood, Treatment};
use journal::Journal;
use queue::{Landed, Queue};
use writer::Writer;

use crate::clock;

mod flood;
mod journal;
pub mod list;
mod queue;
pub mod read;
mod recover;
mod reserve;
mod segments;
pub mod show;
mod table;
mod writer;

/// The audit log of this process. Open it once and share it.
#[derive(Debug)]
pub struct Audit {
    queue: Arc<Queue>,
    flood: Arc<Mutex<Flood>>,
    patience: Duration,
}

/// What may be tuned; the defaults are for production.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A segment that has grown beyond this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// How long a call waits for its record before it is refused.
    pub patience: Duration,
    /// Records waiting for the writer, in bytes; beyond it calls are refused at once.
    pub queue_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            patience: Duration::from_secs(2),
            queue_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// e.g. `create`.
        doing: &'static str,
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes this log.
    #[error("`{0}` is in use by another gateway; each gateway needs a state directory of its own")]
    Locked(String),
    /// The repair itself could not be recorded.
    #[error("cannot write the audit log's first record: {0}")]
    Write(std::io::Error),
}

/// Whether the log takes records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not, and calls are refused; the text says why, for the operator.
    Refusing(String),
}

impl Audit {
    /// Opens the log in `dir`, mends what a crash left behind and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`]; the gateway must not serve then.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, OpenError> {
        let (mut journal, repairs) = recover::open(dir, settings.segment_bytes)?;
        journal
            .append(repairs.iter())
            .map_err(|fault| OpenError::Write(fault.into_source()))?;
        Self::start(journal, settings)
    }

    fn start(journal: Journal, settings: Settings) -> Result<Self, OpenError> {
        let path = journal.dir().display().to_string();
        let queue = Arc::new(Queue::new(settings.patience, settings.queue_bytes));
        let flood = Arc::new(Mutex::new(Flood::default()));
        let writer = Writer::new(queue.clone(), flood.clone(), journal);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io {
                doing: "start the writer of",
                path,
                source,
            })?;
        Ok(Self {
            queue,
            flood,
            patience: settings.patience,
        })
    }

    /// Makes `intent` durable.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`] if that failed or took too long: the call must not be sent.
    /// Should the record land late, the log goes on to say that the call was not sent.
    pub async fn intent(&self, intent: &Intent<'_>) -> Result<Recorded, Refusal> {
        let draft = Draft::intent(intent).map_err(too_large)?;
        let receiver = self.queue.push(draft).ok_or(Refusal::AuditUnavailable)?;
        let mut recorded = Recorded {
            call: intent.id,
            queue: self.queue.clone(),
            progress: Progress::Promised,
        };
        match tokio::time::timeout(self.patience, receiver).await {
            Ok(Ok(Landed::Durable)) => {
                recorded.progress = Progress::Durable;
                Ok(recorded)
            }
            Ok(Ok(Landed::Discarded)) => {
                recorded.progress = Progress::Closed;
                Err(Refusal::AuditUnavailable)
            }
            Ok(Err(_)) | Err(_) => Err(Refusal::AuditUnavailable),
        }
    }

    /// Makes the outcome of a call durable, whose answer was read whole or that was not answered.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: the answer must be withheld. The record is kept and written
    /// as soon as that is possible again.
    pub async fn outcome(
        &self,
        mut recorded: Recorded,
        outcome: &Outcome<'_>,
    ) -> Result<(), Refusal> {
        let draft = Draft::outcome(recorded.call, outcome).map_err(too_large)?;
        recorded.progress = Progress::Closed;
        self.durable(draft).await
    }

    /// Makes the head of an answer durable, whose body is going to be streamed.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: the answer must be withheld.
    pub async fn head(
        &self,
        mut recorded: Recorded,
        outcome: &Outcome<'_>,
    ) -> Result<Replying, Refusal> {
        let draft = Draft::head(recorded.call, outcome).map_err(too_large)?;
        recorded.progress = Progress::Streaming;
        self.durable(draft).await?;
        Ok(Replying(recorded))
    }

    /// Makes the end of a streamed answer durable.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: the connection must be reset instead of ended in good order.
    pub async fn end(&self, replying: Replying, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        self.outcome(replying.0, outcome).await
    }

    /// Records a call that is not sent, in one record. What nobody signed in for is not waited
    /// for, and is only counted once there is much of it.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: answer with that instead.
    pub async fn refused(&self, intent: &Intent<'_>, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        if intent.session.is_none() {
            self.unauthenticated(intent, outcome);
            return Ok(());
        }
        let draft = Draft::refused(intent, outcome).map_err(too_large)?;
        self.durable(draft).await
    }

    /// Records something outside any one call.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]; what the event is about, such as a credential, must not be
    /// handed out then.
    pub async fn event(&self, time: OffsetDateTime, event: &Event<'_>) -> Result<(), Refusal> {
        self.durable(Draft::event(time, event).map_err(too_large)?)
            .await
    }

    /// Whether the log takes records, for the readiness probe.
    pub fn health(&self) -> Health {
        self.queue.health()
    }

    /// Writes what is queued and stops, within the same patience that calls have.
    pub fn close(&self) {
        self.queue.close(self.patience);
    }

    /// Records a request that nobody signed in for. It is not waited for, and is only counted once
    /// there is much of it.
    pub fn unauthenticated(&self, intent: &Intent<'_>, outcome: &Outcome<'_>) {
        let treatment = self
            .flood
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(intent.source_ip, intent.time);
        match treatment {
            Treatment::Count => {}
            Treatment::Record => {
                if let Ok(draft) = Draft::refused(intent, outcome) {
                    self.queue.push(draft);
                }
            }
        }
    }

    async fn durable(&self, draft: Draft) -> Result<(), Refusal> {
        let receiver = self.queue.push(draft).ok_or(Refusal::AuditUnavailable)?;
        match tokio::time::timeout(self.patience, receiver).await {
            Ok(Ok(Landed::Durable)) => Ok(()),
            Ok(Ok(Landed::Discarded) | Err(_)) | Err(_) => Err(Refusal::AuditUnavailable),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.close();
    }
}

/// Mints the id of a call that arrived at `time`.
///
/// # Errors
/// [`Refusal::Internal`] if the system has no randomness to give.
pub fn request_id(time: OffsetDateTime) -> Result<RequestId, Refusal> {
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).map_err(|_| Refusal::Internal)?;
    Ok(RequestId::new(time, random))
}

/// Proof that a call's intent is durable. Only [`Audit::intent`] makes one, and it cannot be
/// copied; dropped without an outcome, it records that the call was abandoned.
#[derive(Debug)]
#[must_use]
pub struct Recorded {
    call: RequestId,
    queue: Arc<Queue>,
    progress: Progress,
}

impl Recorded {
    /// The call's id.
    pub fn id(&self) -> RequestId {
        self.call
    }
}

/// Proof that an answer's head is durable. Dropped before [`Audit::end`], it records that the
/// answer was interrupted.
#[derive(Debug)]
#[must_use]
pub struct Replying(Recorded);

impl Replying {
    /// The call's id.
    pub fn id(&self) -> RequestId {
        self.0.call
    }
}

#[derive(Clone, Copy, Debug)]
enum Progress {
    /// The intent is queued; nobody may send yet.
    Promised,
    Durable,
    Streaming,
    Closed,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let end = match self.progress {
            Progress::Promised => End::NotSent,
            Progress::Durable => End::Abandoned,
            Progress::Streaming => End::Interrupted,
            Progress::Closed => return,
        };
        if let Ok(draft) = Draft::outcome(self.call, &Outcome::new(end, clock::now())) {
            self.queue.push(draft);
        }
    }
}

fn too_large(_: TooLarge) -> Refusal {
    Refusal::PayloadTooLarge {
        limit: portcullis_core::record::frame::MAX_PAYLOAD as u64,
    }
}

#[cfg(test)]
mod tests;
