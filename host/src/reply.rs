//! The end of a call that was sent or was about to be: the outcome becomes durable, then the agent
//! is answered.

mod watch;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use portcullis_core::answer::request_id;
use portcullis_core::event_stream::{Corrupt, write};
use portcullis_core::record::{End, Outcome};
use portcullis_core::refusal::Refusal;
use portcullis_core::refusal::wire::Dialect;

use self::watch::{Failure, Watch};
use crate::audit::{Audit, Recorded, Replying};
use crate::body::{BoxError, ResponseBody};
use crate::clock;
use crate::progress::Progress;

/// Answers up to this length are read before they are recorded, which saves a record.
const WHOLE: u64 = 64 << 10;

/// How a call ended without AWS's answer.
#[derive(Debug)]
pub enum Ended {
    /// Its outcome is in the log already.
    Recorded(Refusal),
    /// Nothing of it is in the log yet.
    Refused(Refusal),
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What must still happen once an intent is durable.
#[derive(Debug)]
pub struct Reply {
    audit: Arc<Audit>,
    recorded: Recorded,
}

impl Reply {
    /// For the call of `recorded`.
    pub fn new(audit: Arc<Audit>, recorded: Recorded) -> Self {
        Self { audit, recorded }
    }

    /// The proof that the intent is durable.
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Records how the call ended.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: the answer is withheld.
    pub async fn close(self, outcome: &Outcome<'_>) -> Result<(), Ended> {
        let recorded = self.audit.outcome(self.recorded, outcome).await;
        recorded.map_err(Ended::Recorded)
    }

    /// Records that the call was not carried out, or that nobody knows.
    pub async fn refuse(self, refusal: Refusal, progress: &mut Progress) -> Ended {
        progress.refused(&refusal);
        let message = refusal.to_string();
        let outcome = progress.refusal_outcome(&refusal, &message);
        let recorded = self.audit.outcome(self.recorded, &outcome).await;
        Ended::Recorded(recorded.err().unwrap_or(refusal))
    }

    /// Records AWS's answer and hands it on: short ones whole, long ones as they arrive.
    ///
    /// # Errors
    /// [`Refusal::AuditUnavailable`]: the answer is withheld.
    pub async fn answer(
        self,
        answer: Response<ResponseBody>,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let (head, body) = answer.into_parts();
        let mut watch = Watch::new(progress.expected(), &head);
        let request_id = request_id(&head.headers).map(str::to_owned);
        let outcome = Outcome {
            status: Some(head.status.as_u16()),
            upstream_status: Some(head.status.as_u16()),
            aws_request_id: request_id.as_deref(),
            timings: progress.timings(),
            ..Outcome::new(End::Answered, clock::now())
        };
        if body.size_hint().upper().is_some_and(|upper| upper <= WHOLE) {
            let Ok(whole) = body.collect().await else {
                return Err(self.broken(outcome).await);
            };
            let bytes = watch.pass(whole.to_bytes());
            let Ok(failure) = watch.finish() else {
                return Err(self.broken(outcome).await);
            };
            let outcome = Outcome {
                response_bytes: Some(bytes.len() as u64),
                ..failed(outcome, failure.as_ref())
            };
            let recorded = self.audit.outcome(self.recorded, &outcome).await;
            recorded.map_err(Ended::Recorded)?;
            return Ok(Response::from_parts(head, ResponseBody::from(bytes)));
        }
        let conversation = body.conversation();
        let replying = self.audit.head(self.recorded, &outcome).await;
        let replying = replying.map_err(Ended::Recorded)?;
        let stream = RecordedStream {
            length: body.size_hint().exact(),
            body,
            bytes: 0,
            passed: 0,
            withheld: None,
            dialect: progress.caller.dialect,
            watch,
            state: State::Streaming(replying),
            audit: self.audit,
        };
        let body = ResponseBody::wrap(stream).within(conversation);
        Ok(Response::from_parts(head, body))
    }

    /// AWS answered with a head and then failed to deliver its body.
    async fn broken(self, outcome: Outcome<'_>) -> Ended {
        let outcome = Outcome {
            outcome: End::Failed,
            ..outcome
        };
        let recorded = self.audit.outcome(self.recorded, &outcome).await;
        Ended::Recorded(recorded.err().unwrap_or(Refusal::AnswerLost))
    }
}

/// An outcome with the error that AWS answered with. Its message is left out: it may repeat what
/// the call said.
fn failed<'a>(outcome: Outcome<'a>, failure: Option<&'a Failure>) -> Outcome<'a> {
    Outcome {
        error_code: failure.map(|failure| failure.code.as_str()),
        error_class: failure.map(|failure| failure.fault.as_str()),
        ..outcome
    }
}

/// A streamed answer that does not end in good order before its end is recorded: one that cannot be
/// recorded is reset, and so is one whose events are corrupt.
struct RecordedStream {
    body: ResponseBody,
    /// The answer's `Content-Length`, where it has one.
    length: Option<u64>,
    /// How many came.
    bytes: u64,
    /// How many of them went on, or are withheld.
    passed: u64,
    /// The frame that completes the length. A server stops asking once it has that many bytes, so
    /// recording afterwards would never happen.
    withheld: Option<Frame<Bytes>>,
    /// How the agent reads errors.
    dialect: Dialect,
    watch: Watch,
    state: State,
    audit: Arc<Audit>,
}

enum State {
    Streaming(Replying),
    Recording(Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>),
    Done,
}

impl RecordedStream {
    fn poll_end(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Streaming(replying) => {
                let failure = match std::mem::take(&mut self.watch).finish() {
                    Ok(failure) => failure,
                    Err(corrupt) => return self.poll_corrupt(corrupt),
                };
                let recording = end(self.audit.clone(), replying, self.bytes, failure);
                self.state = State::Recording(Box::pin(recording));
                self.poll_end(context)
            }
            State::Recording(mut recording) => match recording.as_mut().poll(context) {
                Poll::Pending => {
                    self.state = State::Recording(recording);
                    Poll::Pending
                }
                Poll::Ready(Ok(())) => Poll::Ready(self.withheld.take().map(Ok)),
                Poll::Ready(Err(refusal)) => {
                    self.withheld = None;
                    Poll::Ready(Some(Err(BoxError::from(refusal))))
                }
            },
            State::Done => Poll::Ready(None),
        }
    }

    /// AWS's answer breaks off. If that is because the agent's own events broke off, the reason is
    /// recorded, and then the agent's to read.
    fn poll_broken(
        &mut self,
        error: BoxError,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let conversation = self.body.conversation();
        let refusal = conversation.and_then(|conversation| conversation.refusal());
        let State::Streaming(replying) = std::mem::replace(&mut self.state, State::Done) else {
            return Poll::Ready(Some(Err(error)));
        };
        let (Some(refusal), true) = (refusal, self.watch.is_events()) else {
            return Poll::Ready(Some(Err(error)));
        };
        let event = write::error(refusal.code(self.dialect), &refusal.to_string());
        if let Ok(event) = event {
            self.passed += event.len() as u64;
            self.withheld = Some(Frame::data(event));
        }
        let recording = cut_off(self.audit.clone(), replying, refusal, self.dialect);
        self.state = State::Recording(Box::pin(recording));
        self.poll_end(context)
    }

    /// Gives up: what was withheld is dropped, and the record says that the answer was interrupted.
    fn poll_corrupt(&mut self, corrupt: Corrupt) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.withheld = None;
        self.state = State::Done;
        Poll::Ready(Some(Err(BoxError::from(corrupt))))
    }
}

async fn end(
    audit: Arc<Audit>,
    replying: Replying,
    bytes: u64,
    failure: Option<Failure>,
) -> Result<(), Refusal> {
    let outcome = Outcome {
        response_bytes: Some(bytes),
        ..Outcome::new(End::Answered, clock::now())
    };
    audit
        .end(replying, &failed(outcome, failure.as_ref()))
        .await
}

/// Records that the agent's own events broke off, and why.
async fn cut_off(
    audit: Arc<Audit>,
    replying: Replying,
    refusal: Refusal,
    dialect: Dialect,
) -> Result<(), Refusal> {
    let message = refusal.to_string();
    let outcome = Outcome {
        error_code: Some(refusal.code(dialect)),
        error_class: Some(refusal.fault().as_str()),
        error_message: Some(&message),
        ..Outcome::new(End::Interrupted, clock::now())
    };
    audit.end(replying, &outcome).await
}

impl Body for RecordedStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let stream = self.get_mut();
        if !matches!(stream.state, State::Streaming(_)) {
            return stream.poll_end(context);
        }
        loop {
            if let Err(corrupt) = stream.watch.check() {
                return stream.poll_corrupt(corrupt);
            }
            let frame = match ready!(Pin::new(&mut stream.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return stream.poll_broken(error, context),
                None => return stream.poll_end(context),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            stream.bytes += data.len() as u64;
            let passed = stream.watch.pass(data);
            stream.passed += passed.len() as u64;
            if stream.length == Some(stream.bytes) {
                stream.withheld = Some(Frame::data(passed));
                return stream.poll_end(context);
            }
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed))));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, |length| {
            SizeHint::with_exact(length.saturating_sub(self.sent()))
        })
    }
}

impl RecordedStream {
    fn sent(&self) -> u64 {
        let withheld = self.withheld.as_ref().and_then(Frame::data_ref);
        self.passed - withheld.map_or(0, |data| data.len() as u64)
    }
}

#[cfg(test)]
mod tests;
