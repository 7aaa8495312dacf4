//! A body that may not pause for too long.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_core::refusal::Refusal;
use tokio::time::{Instant, Sleep};

use super::conversation::Conversation;

/// Passes a body through and ends it with an error when nothing arrived for the time-out.
#[derive(Debug)]
pub struct Idle<B> {
    body: B,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether `deadline` runs: it does so from the first poll that found nothing.
    waiting: bool,
    /// What else has to be silent for that long.
    conversation: Option<Conversation>,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum IdleError {
    /// The other end closed it or broke its framing.
    #[error("the body broke off: {0}")]
    Broken(#[source] hyper::Error),
    /// Nothing arrived for the time-out.
    #[error("the body paused for too long")]
    Paused,
}

impl IdleError {
    /// What the agent is told when it was the agent's body.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Broken(_) => Refusal::Malformed("the body broke off".to_owned()),
            Self::Paused => Refusal::BodyTimeout,
        }
    }
}

impl<B> Idle<B> {
    /// Watches over `body`.
    pub fn new(body: B, timeout: Duration) -> Self {
        Self {
            body,
            timeout,
            deadline: None,
            waiting: false,
            conversation: None,
        }
    }

    /// Lets it pause for as long as the other side of a conversation is heard.
    #[must_use]
    pub fn within(mut self, conversation: Option<Conversation>) -> Self {
        self.conversation = conversation;
        self
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let waiting = std::mem::replace(&mut self.waiting, true);
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !waiting {
            deadline.as_mut().reset(Instant::now() + timeout);
        }
        loop {
            ready!(deadline.as_mut().poll(context));
            let last = self.conversation.as_ref().map(Conversation::last);
            match last.map(|last| last + timeout) {
                Some(later) if later > Instant::now() => deadline.as_mut().reset(later),
                Some(_) | None => return Poll::Ready(()),
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for Idle<B> {
    type Data = Bytes;
    type Error = IdleError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, IdleError>>> {
        let idle = self.get_mut();
        match Pin::new(&mut idle.body).poll_frame(context) {
            Poll::Ready(frame) => {
                idle.waiting = false;
                if let Some(conversation) = &idle.conversation {
                    conversation.heard();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(IdleError::Broken)))
            }
            Poll::Pending => idle
                .poll_deadline(context)
                .map(|()| Some(Err(IdleError::Paused))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
