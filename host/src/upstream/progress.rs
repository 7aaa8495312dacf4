//! Knows when bytes of a request last went out, so that a stall is told from a long upload.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::Instant;

use super::envelope::Enveloped;
use super::rechunk::Rechunked;
use crate::body::{BoxError, StreamingBody};

/// When the connection last asked for more of a request.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Marks>);

#[derive(Debug)]
struct Marks {
    start: Instant,
    /// Milliseconds since `start`.
    last: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Marks {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }))
    }

    fn mark(&self) {
        let elapsed = self.0.start.elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.0.last.store(elapsed, Ordering::Relaxed);
    }

    /// Waits until nothing went out for `timeout`.
    pub(super) async fn stalled_for(&self, timeout: Duration) {
        loop {
            let last = Duration::from_millis(self.0.last.load(Ordering::Relaxed));
            let deadline = self.0.start + last + timeout;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

/// A request body that marks its progress.
pub(super) struct Watched {
    body: Source,
    progress: Progress,
}

enum Source {
    Enveloped(Box<Enveloped>),
    Rechunked(Box<Rechunked>),
    Stream(Box<StreamingBody>),
    Whole(Full<Bytes>),
}

impl Watched {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::of(Source::Whole(Full::new(bytes)))
    }

    pub(super) fn enveloped(body: Enveloped) -> Self {
        Self::of(Source::Enveloped(Box::new(body)))
    }

    pub(super) fn rechunked(body: Rechunked) -> Self {
        Self::of(Source::Rechunked(Box::new(body)))
    }

    pub(super) fn stream(body: Box<StreamingBody>) -> Self {
        Self::of(Source::Stream(body))
    }

    fn of(body: Source) -> Self {
        Self {
            body,
            progress: Progress::new(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let watched = self.get_mut();
        let frame = match &mut watched.body {
            Source::Enveloped(body) => poll(&mut **body, context),
            Source::Rechunked(body) => poll(&mut **body, context),
            Source::Stream(body) => poll(&mut **body, context),
            Source::Whole(body) => poll(body, context),
        };
        // While the agent is waited for, its own time-out runs; a whole body never waits.
        if frame.is_pending() {
            watched.progress.mark();
        }
        let frame = ready!(frame);
        watched.progress.mark();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Source::Enveloped(body) => body.is_end_stream(),
            Source::Rechunked(body) => body.is_end_stream(),
            Source::Stream(body) => body.is_end_stream(),
            Source::Whole(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Source::Enveloped(body) => body.size_hint(),
            Source::Rechunked(body) => body.size_hint(),
            Source::Stream(body) => body.size_hint(),
            Source::Whole(body) => body.size_hint(),
        }
    }
}

fn poll<B>(body: &mut B, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    Pin::new(body)
        .poll_frame(context)
        .map(|frame| frame.map(|frame| frame.map_err(Into::into)))
}
