//! An upload on its way through: checked while it passes, and held back at the end.
//!
//! The last bytes are withheld until the check agrees, and a failed check ends the body with an
//! error, so the upstream request is cut off and never complete. Nothing is buffered beyond one
//! frame and the trailers.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::aws_chunked::Trailer;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::payload::BodyCheck;
use tokio::sync::Semaphore;

use super::BudgetShare;
use super::conversation::Conversation;
use super::idle::Idle;
use crate::clock;

/// A body still on the wire. It cannot be read before its request is verified: only that tells
/// what it has to hold to.
#[derive(Debug)]
pub struct PendingBody {
    source: Idle<Incoming>,
    budget: Arc<Semaphore>,
}

/// A body that is being sent on.
#[derive(Debug)]
pub struct StreamingBody {
    source: Idle<Incoming>,
    /// Nothing is left to do once this is gone.
    check: Option<BodyCheck>,
    /// What arrived and was not looked at yet.
    unread: Bytes,
    /// What was found behind the data of signed chunks.
    trailer: Option<Trailer>,
    /// The newest bytes, until it is known whether they are the last.
    held: Option<Bytes>,
    failure: StreamFailure,
    /// Present if an answer may come while this is sent.
    conversation: Option<Conversation>,
    /// For the bytes of an event that is not complete.
    share: BudgetShare,
    budget: Arc<Semaphore>,
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

impl PendingBody {
    pub(super) fn new(source: Idle<Incoming>, budget: Arc<Semaphore>) -> Self {
        Self { source, budget }
    }
}

impl StreamingBody {
    /// Reads a body that has to hold to `check`.
    #[must_use]
    pub fn new(body: PendingBody, check: BodyCheck) -> Self {
        let failure = StreamFailure::default();
        let talks = matches!(check, BodyCheck::SignedEvents(_));
        let conversation = talks.then(|| Conversation::new(failure.clone()));
        Self {
            source: body.source.within(conversation.clone()),
            check: Some(check),
            unread: Bytes::new(),
            trailer: None,
            held: None,
            failure,
            conversation,
            share: BudgetShare::default(),
            budget: body.budget,
        }
    }

    /// The checksum behind signed chunks, to be asked for when the body has ended.
    #[must_use]
    pub fn trailer(&self) -> Option<&Trailer> {
        self.trailer.as_ref()
    }

    /// Where a failure will be found; to be asked for before the body is sent.
    #[must_use]
    pub fn failure(&self) -> StreamFailure {
        self.failure.clone()
    }

    /// What the answer is part of, too; to be asked for before the body is sent.
    #[must_use]
    pub fn conversation(&self) -> Option<Conversation> {
        self.conversation.clone()
    }

    /// Looks at what arrived and returns what of it may go on; nothing, when more has to arrive.
    fn pass(&mut self) -> Result<Bytes, Refusal> {
        let passing = match &mut self.check {
            Some(BodyCheck::Digest(digest)) => {
                digest.push(&self.unread);
                self.held.replace(std::mem::take(&mut self.unread))
            }
            Some(BodyCheck::Nothing) => Some(std::mem::take(&mut self.unread)),
            // The chunks that go out are the gateway's own, and it does not write the last one
            // before the end of this body.
            Some(BodyCheck::SignedChunks(decoder)) => Some(decoder.pull(&mut self.unread)?),
            // Likewise the envelopes, and the one that ends the stream.
            Some(BodyCheck::SignedEvents(reader)) => {
                let event = reader.pull(&mut self.unread, clock::now())?;
                self.share.hold(&self.budget, reader.held())?;
                Some(event)
            }
            // One step behind, so that a body that ends too early never fills its announced length.
            Some(BodyCheck::Trailer(decoder)) => {
                match decoder.push(std::mem::take(&mut self.unread))? {
                    passing if passing.is_empty() => None,
                    passing => self.held.replace(passing),
                }
            }
            None => None,
        };
        Ok(passing.unwrap_or_default())
    }

    /// Checks the whole and returns what was held back.
    fn finish(&mut self) -> Result<Option<Bytes>, Refusal> {
        match self.check.take() {
            Some(BodyCheck::Digest(digest)) => digest.finish().map(|()| self.held.take()),
            Some(BodyCheck::SignedChunks(decoder)) => {
                self.trailer = decoder.finish()?;
                Ok(None)
            }
            Some(BodyCheck::SignedEvents(reader)) => reader.finish().map(|()| None),
            Some(BodyCheck::Trailer(decoder)) => {
                let tail = decoder.finish()?;
                let held = self.held.take().unwrap_or_default();
                Ok(Some([held, tail].concat().into()))
            }
            Some(BodyCheck::Nothing) | None => Ok(None),
        }
    }

    /// Ends the body, which is not complete.
    pub(crate) fn fail(&mut self, refusal: Refusal) -> CutOff {
        self.check = None;
        self.held = None;
        self.failure.set(refusal.clone());
        CutOff(refusal)
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        while self.check.is_some() {
            if !self.unread.is_empty() {
                let passing = self.pass()?;
                if !passing.is_empty() {
                    return Poll::Ready(Ok(Some(passing)));
                }
                continue;
            }
            let frame = match ready!(Pin::new(&mut self.source).poll_frame(context)) {
                Some(frame) => frame.map_err(|error| error.refusal())?,
                None => return Poll::Ready(self.finish()),
            };
            self.unread = frame
                .into_data()
                .map_err(|_| Refusal::Malformed("the body has trailers".to_owned()))?;
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
        self.check.is_none()
    }

    /// The framing of the source: what passes has the same length, but for signed chunks, whose
    /// new length `upstream` knows.
    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, |held| held.len() as u64);
        let source = self.source.size_hint();
        match source.exact() {
            Some(rest) => SizeHint::with_exact(rest.saturating_add(held)),
            None => SizeHint::new(),
        }
    }
}
