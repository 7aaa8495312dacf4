//! The bytes of one HTTP/1.1 connection on their way to the HTTP library: framing with two
//! readings is cut off, a head must arrive in time, and a refused client gets to read why.
//!
//! It never changes what is passed on, except that broken framing ends in a NUL, which the
//! library answers with `400 Bad Request` and a closed connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::framing::Framing;

/// How long, and for how many bytes, a closing connection is still read, so that the client finds
/// the answer rather than a reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection behind the gate.
#[derive(Debug)]
pub(super) struct Gate<S> {
    stream: S,
    framing: Framing,
    broken: bool,
    head_timeout: Duration,
    /// Set while a head is incomplete.
    head_deadline: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Gate<S> {
    pub(super) fn new(stream: S, head_timeout: Duration) -> Self {
        Self {
            stream,
            framing: Framing::default(),
            broken: false,
            head_timeout,
            head_deadline: None,
            linger: None,
        }
    }

    /// Looks at what was just read into `buffer` from `start` on.
    fn inspect(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let fresh = buffer.filled().get(start..).unwrap_or_default();
        if let Err(good) = self.framing.advance(fresh) {
            buffer.set_filled(start + good);
            // There is room: the byte that broke the framing was just taken back.
            buffer.put_slice(&[0]);
            self.broken = true;
        }
        if !self.framing.in_head() {
            self.head_deadline = None;
        } else if self.head_deadline.is_none() {
            let deadline = Instant::now() + self.head_timeout;
            self.head_deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.broken {
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        match Pin::new(&mut gate.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                outcome?;
                gate.inspect(buffer, start);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match &mut gate.head_deadline {
                Some(deadline) => {
                    ready!(deadline.as_mut().poll(context));
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                None => Poll::Pending,
            },
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    /// Reads and drops what the client still sends, until it closes or the linger is used up.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(LINGER)),
            left: LINGER_BYTES,
        });
        let mut scratch = [0; 4096];
        while linger.left > 0 && linger.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(()),
                Ok(()) => linger.left = linger.left.saturating_sub(buffer.filled().len()),
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.linger.is_none() {
            ready!(Pin::new(&mut gate.stream).poll_shutdown(context))?;
        }
        gate.poll_linger(context).map(Ok)
    }
}
