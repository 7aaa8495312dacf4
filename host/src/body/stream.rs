//! An upload on its way through: checked while it passes, and held back at the end.
//!
//! The last bytes are withheld until the check agrees, and a failed check ends the body with an
//! error, so the upstream request is cut off and never complete. Nothing is buffered beyond one
//! frame and the trailers.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::aws_chunked::Decoder;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::PayloadMode;
use portcullis_core::sigv4::payload::BodyDigest;

use super::idle::Idle;

/// A body that is being sent on.
#[derive(Debug)]
pub struct StreamingBody {
    source: Idle<Incoming>,
    check: Check,
    /// The newest bytes, until it is known whether they are the last.
    held: Option<Bytes>,
    failure: StreamFailure,
}

/// Where a failed check leaves its refusal, for whoever has to answer the agent.
#[derive(Clone, Debug, Default)]
pub struct StreamFailure(Arc<OnceLock<Refusal>>);

impl StreamFailure {
    /// Why the body was cut off, if it was.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.0.get().cloned()
    }

    /// The first failure is the cause of the others.
    fn set(&self, refusal: Refusal) {
        drop(self.0.set(refusal));
    }
}

/// The body was cut off; the reason is in its [`StreamFailure`].
#[derive(Debug, thiserror::Error)]
#[error("the upload was cut off: {0}")]
pub struct CutOff(Refusal);

#[derive(Debug)]
enum Check {
    Digest(BodyDigest),
    /// The check was done, well or badly; nothing follows.
    Done,
    Trailer(Box<Decoder>),
    Unsigned,
}

impl StreamingBody {
    /// Checks `source` as its payload mode says.
    ///
    /// # Errors
    /// What the mode refuses; [`Refusal::Internal`] for a mode that has to be read whole.
    pub(super) fn new(
        source: Incoming,
        mode: &PayloadMode,
        idle_timeout: Duration,
    ) -> Result<Self, Refusal> {
        let check = match mode {
            PayloadMode::Absent => return Err(Refusal::Internal),
            PayloadMode::Digest(digest) => Check::Digest(BodyDigest::new(*digest)),
            PayloadMode::Unsigned => Check::Unsigned,
            PayloadMode::UnsignedTrailer {
                decoded_length,
                trailer,
            } => {
                let decoder = Decoder::new(*decoded_length, trailer.as_deref())?;
                Check::Trailer(Box::new(decoder))
            }
        };
        Ok(Self {
            source: Idle::new(source, idle_timeout),
            check,
            held: None,
            failure: StreamFailure::default(),
        })
    }

    /// Where a failure will be found; to be asked for before the body is sent.
    #[must_use]
    pub fn failure(&self) -> StreamFailure {
        self.failure.clone()
    }

    /// Takes in bytes from the agent and returns those that may go on.
    fn take(&mut self, bytes: Bytes) -> Result<Option<Bytes>, Refusal> {
        let passing = match &mut self.check {
            Check::Digest(digest) => {
                digest.push(&bytes);
                self.held.replace(bytes)
            }
            // One step behind, so that a body that ends too early never fills its announced length.
            Check::Trailer(decoder) => match decoder.push(bytes)? {
                passing if passing.is_empty() => None,
                passing => self.held.replace(passing),
            },
            Check::Unsigned => Some(bytes),
            Check::Done => None,
        };
        Ok(passing.filter(|bytes| !bytes.is_empty()))
    }

    /// Checks the whole and returns what was held back.
    fn finish(&mut self) -> Result<Option<Bytes>, Refusal> {
        match std::mem::replace(&mut self.check, Check::Done) {
            Check::Digest(digest) => digest.finish().map(|()| self.held.take()),
            Check::Trailer(decoder) => {
                let tail = decoder.finish()?;
                let held = self.held.take().unwrap_or_default();
                Ok(Some([held, tail].concat().into()))
            }
            Check::Unsigned | Check::Done => Ok(None),
        }
    }

    fn fail(&mut self, refusal: Refusal) -> CutOff {
        self.check = Check::Done;
        self.held = None;
        self.failure.set(refusal.clone());
        CutOff(refusal)
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        while !matches!(self.check, Check::Done) {
            let frame = match ready!(Pin::new(&mut self.source).poll_frame(context)) {
                Some(frame) => frame.map_err(|error| error.refusal())?,
                None => return Poll::Ready(self.finish()),
            };
            let bytes = frame
                .into_data()
                .map_err(|_| Refusal::Malformed("the body has trailers".to_owned()))?;
            if let Some(passing) = self.take(bytes)? {
                return Poll::Ready(Ok(Some(passing)));
            }
        }
        Poll::Ready(Ok(None))
    }
}

impl Body for StreamingBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let body = self.get_mut();
        Poll::Ready(match ready!(body.next(context)) {
            Ok(bytes) => bytes.map(|bytes| Ok(Frame::data(bytes))),
            Err(refusal) => Some(Err(body.fail(refusal))),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.check, Check::Done)
    }

    /// The framing of the source: what passes has the same length.
    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, |held| held.len() as u64);
        let source = self.source.size_hint();
        match source.exact() {
            Some(rest) => SizeHint::with_exact(rest.saturating_add(held)),
            None => SizeHint::new(),
        }
    }
}
