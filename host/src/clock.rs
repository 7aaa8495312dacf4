//! The only place that reads the time. A call reads it once, at its start, and passes it on.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// The wall clock, UTC.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A stopwatch for metrics and time-outs; never an input to a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start or the last lap, and begins a new lap.
    pub fn lap(&mut self) -> Duration {
        let elapsed = self.0.elapsed();
        *self = Self::start();
        elapsed
    }
}
