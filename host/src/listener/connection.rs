//! One connection from accepting to closing: TLS handshake, HTTP version, limits, drain.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{Peer, Unreadable};
use crate::body::{Busy, ResponseBody};
use crate::config::Limits;

/// HTTP/2 windows of Envoy's advice for edge proxies.
const H2_STREAM_WINDOW: u32 = 64 * 1024;
const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an answer buffered for one stream before its source is paused.
const H2_SEND_BUFFER: usize = 256 * 1024;
/// Streams that a client may open and reset before it is sent away (CVE-2023-44487), and the same
/// for streams the gateway has to reset (CVE-2025-8671).
const H2_RESETS: usize = 20;
/// How often a silent HTTP/2 peer is asked whether it is there, and how long it may take.
const H2_PING: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Room in HTTP/1.1's read buffer beyond the largest head.
const H1_READ_AHEAD: usize = 16 * 1024;

/// What all connections of a listener share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) limits: Limits,
    pub(super) unreadable: Unreadable,
    pub(super) shutdown: CancellationToken,
}

/// Serves one connection to its end.
pub(super) async fn serve<H, F>(
    server: Arc<Server>,
    stream: TcpStream,
    address: SocketAddr,
    handler: H,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "connection closed before it was served");
        return;
    }
    let tls = server.tls.is_some();
    let service = Service {
        handler,
        peer: Peer { address, tls },
        busy: Busy::default(),
    };
    let Some(config) = &server.tls else {
        return server.http1(stream, service).await;
    };
    let handshake = tokio_rustls::TlsAcceptor::from(config.clone()).accept(stream);
    match tokio::time::timeout(server.limits.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => server.versioned(stream, service).await,
        Ok(Err(error)) => {
            metrics::counter!("portcullis_tls_handshake_failures_total").increment(1);
            tracing::debug!(%address, %error, "TLS handshake failed");
        }
        Err(_) => {
            metrics::counter!("portcullis_tls_handshake_failures_total").increment(1);
            tracing::debug!(%address, "TLS handshake timed out");
        }
    }
}

/// The handler, bound to one connection.
#[derive(Clone)]
struct Service<H> {
    handler: H,
    peer: Peer,
    busy: Busy,
}

impl<H, F> Service<H>
where
    H: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<ResponseBody>>,
{
    async fn call(self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
        let guard = self.busy.guard();
        let response = (self.handler)(request, self.peer).await;
        Ok(response.map(|body| body.guarded(guard)))
    }
}

impl Server {
    /// Serves a connection whose handshake is done.
    pub(crate) async fn negotiated<S, H, F>(&self, stream: TlsStream<S>, peer: Peer, handler: H)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let busy = Busy::default();
        let service = Service {
            handler,
            peer,
            busy,
        };
        self.versioned(stream, service).await;
    }

    async fn versioned<S, H, F>(&self, stream: TlsStream<S>, service: Service<H>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, service).await;
        } else {
            self.http1(stream, service).await;
        }
    }

    async fn http1<S, H, F>(&self, stream: S, service: Service<H>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let gate = Gate::new(stream, self.limits.head_timeout);
        let (busy, peer) = (service.busy.clone(), service.peer);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Counts from the end of the last answer; the gate times the head itself.
            .header_read_timeout(self.limits.idle_timeout)
            .max_headers(self.limits.headers)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(8 * 1024) + H1_READ_AHEAD)
            .half_close(false)
            .serve_connection(
                TokioIo::new(gate),
                service_fn(move |request| service.clone().call(request)),
            );
        self.drive(connection, busy, peer).await;
    }

    async fn http2<S, H, F>(&self, stream: S, service: Service<H>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let (busy, peer) = (service.busy.clone(), service.peer);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(H2_RESETS)
            .max_local_error_reset_streams(H2_RESETS)
            .max_send_buf_size(H2_SEND_BUFFER)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING_TIMEOUT)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| service.clone().call(request)),
            );
        self.drive(connection, busy, peer).await;
    }

    /// Polls a connection to its end; asks it to end when the gateway shuts down, when nothing was
    /// asked of it for the idle time-out, or when nobody reads its answers.
    async fn drive<C>(&self, connection: C, busy: Busy, peer: Peer)
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let limits = &self.limits;
        // Longer than AWS may pause, so that a slow answer is not taken for a slow reader.
        let stalled = limits.upstream_timeout + limits.body_idle_timeout;
        let mut connection = pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.shutdown.cancelled() => finish(connection).await,
            () = busy.unused_for(limits.idle_timeout, stalled) => {
                let finishing = tokio::time::timeout(limits.drain_timeout, finish(connection));
                finishing.await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = outcome {
            if error.is_parse() {
                (self.unreadable.0)(peer, &error.to_string());
            }
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// Lets calls in flight finish and takes no others.
async fn finish<C: GracefulConnection>(mut connection: Pin<&mut C>) -> Result<(), C::Error> {
    connection.as_mut().graceful_shutdown();
    connection.await
}
