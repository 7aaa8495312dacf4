//! An upload of signed chunks on its way out: the agent's chunks were checked and taken away, the
//! gateway's own take their place. The last one is written only when everything was found right.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_core::aws_chunked::{Encoder, encoded_length};
use portcullis_core::checksum::Algorithm;

use crate::body::{CutOff, StreamingBody};

/// A body of signed chunks that is being sent.
#[derive(Debug)]
pub(super) struct Rechunked {
    body: Box<StreamingBody>,
    /// Gone once the last chunk is written.
    encoder: Option<Encoder>,
    /// Data that is in no chunk yet.
    data: Bytes,
    /// Bytes still to be sent.
    left: u64,
}

impl Rechunked {
    /// Signs the data of `body`, `decoded_length` bytes of it, with `encoder`.
    pub(super) fn new(
        body: Box<StreamingBody>,
        encoder: Encoder,
        decoded_length: u64,
        trailer: Option<Algorithm>,
    ) -> Self {
        Self {
            body,
            encoder: Some(encoder),
            data: Bytes::new(),
            left: encoded_length(decoded_length, trailer),
        }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutOff>>> {
        while let Some(encoder) = &mut self.encoder {
            if !self.data.is_empty() {
                if let Some(chunk) = encoder.pull(&mut self.data) {
                    return Poll::Ready(Some(Ok(chunk)));
                }
                continue;
            }
            match ready!(Pin::new(&mut *self.body).poll_frame(context)) {
                Some(Ok(frame)) => self.data = frame.into_data().unwrap_or_default(),
                Some(Err(cut_off)) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(cut_off)));
                }
                None => {
                    let trailer = self.body.trailer();
                    let rest = self.encoder.take().map(|encoder| encoder.finish(trailer));
                    return Poll::Ready(rest.map(Ok));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Body for Rechunked {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let body = self.get_mut();
        Poll::Ready(ready!(body.next(context)).map(|chunk| {
            let chunk = chunk?;
            body.left = body.left.saturating_sub(chunk.len() as u64);
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
