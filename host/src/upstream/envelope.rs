//! A stream of events on its way out: the agent's envelopes were checked and taken away, the
//! gateway's own take their place. The one that ends the stream is written only when everything
//! was found right.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use portcullis_core::event_stream::upload::EventWriter;
use portcullis_core::refusal::Refusal;

use crate::body::{CutOff, StreamingBody};
use crate::clock;

/// A stream of signed events that is being sent.
#[derive(Debug)]
pub(super) struct Enveloped {
    /// One event a frame.
    body: Box<StreamingBody>,
    /// Gone once the end is written.
    writer: Option<EventWriter>,
}

impl Enveloped {
    /// Signs the events of `body` with `writer`.
    pub(super) fn new(body: Box<StreamingBody>, writer: EventWriter) -> Self {
        Self {
            body,
            writer: Some(writer),
        }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        let Some(mut writer) = self.writer.take() else {
            return Poll::Ready(None);
        };
        let signed = match Pin::new(&mut *self.body).poll_frame(context) {
            Poll::Pending => {
                self.writer = Some(writer);
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(frame))) => {
                let event = frame.into_data().unwrap_or_default();
                let signed = writer.event(&event, clock::now());
                self.writer = Some(writer);
                signed
            }
            Poll::Ready(Some(Err(cut_off))) => return Poll::Ready(Some(Err(cut_off))),
            Poll::Ready(None) => writer.finish(clock::now()),
        };
        Poll::Ready(Some(signed.map_err(|refusal| self.fail(refusal))))
    }

    fn fail(&mut self, refusal: Refusal) -> CutOff {
        self.writer = None;
        self.body.fail(refusal)
    }
}

impl Body for Enveloped {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let message = ready!(self.get_mut().next(context));
        Poll::Ready(message.map(|message| message.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.writer.is_none()
    }
}
