//! What an agent is answered with: bytes at hand, or a stream from upstream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::busy::BusyGuard;
use super::conversation::Conversation;
use super::idle::Idle;

/// Any error of a streamed answer; the connection is cut, which is all the agent learns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub struct ResponseBody {
    source: Source,
    /// Keeps the connection from counting as idle.
    busy: Option<BusyGuard>,
    /// The request that goes on beside it.
    conversation: Option<Conversation>,
}

enum Source {
    /// Bytes at hand.
    Whole(Option<Bytes>),
    /// Straight from upstream, perhaps with bytes that were read ahead.
    Upstream {
        ahead: Option<Bytes>,
        rest: Idle<Incoming>,
    },
    /// Anything else, e.g. a masked stream.
    Other(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl ResponseBody {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// Another stream in its place, e.g. the masked one.
    pub fn wrap(body: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self::of(Source::Other(Box::pin(body)))
    }

    /// AWS's answer as it arrives.
    #[must_use]
    pub fn upstream(body: Incoming, idle_timeout: Duration) -> Self {
        Self::read_ahead(Bytes::new(), Idle::new(body, idle_timeout))
    }

    /// Bytes that were already read from an answer, and the rest of it.
    pub(crate) fn read_ahead(ahead: Bytes, rest: Idle<Incoming>) -> Self {
        let ahead = (!ahead.is_empty()).then_some(ahead);
        Self::of(Source::Upstream { ahead, rest })
    }

    /// Keeps `guard` until the last byte was taken.
    pub(crate) fn guarded(mut self, guard: BusyGuard) -> Self {
        if let Some(conversation) = &self.conversation {
            conversation.keep(guard.busy());
        }
        self.busy = Some(guard.answering());
        self
    }

    /// Is part of a conversation.
    pub(crate) fn within(mut self, conversation: Option<Conversation>) -> Self {
        self.conversation = conversation;
        self
    }

    /// The conversation that it is part of.
    pub(crate) fn conversation(&self) -> Option<Conversation> {
        self.conversation.clone()
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            busy: None,
            conversation: None,
        }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::of(Source::Whole((!bytes.is_empty()).then_some(bytes)))
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl Source {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream { ahead, rest } => match ahead.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Pin::new(rest)
                    .poll_frame(context)
                    .map(|frame| frame.map(|frame| frame.map_err(BoxError::from))),
            },
            Self::Other(body) => body.as_mut().poll_frame(context),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let frame = ready!(body.source.poll(context));
        match &frame {
            Some(Ok(_)) => {
                if let Some(busy) = &body.busy {
                    busy.progress();
                }
            }
            Some(Err(error)) => tracing::warn!(%error, "an answer broke off"),
            None => body.busy = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Upstream { ahead, rest } => ahead.is_none() && rest.is_end_stream(),
            Source::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, length)),
            Source::Upstream { ahead, rest } => {
                let ahead = ahead.as_ref().map_or(0, length);
                let rest = rest.size_hint();
                let mut both = SizeHint::new();
                both.set_lower(rest.lower().saturating_add(ahead));
                if let Some(upper) = rest.upper() {
                    both.set_upper(upper.saturating_add(ahead));
                }
                both
            }
            Source::Other(body) => body.size_hint(),
        }
    }
}

fn length(bytes: &Bytes) -> u64 {
    bytes.len() as u64
}
