//! Where agents connect: sockets, TLS, HTTP/1.1 and HTTP/2, and everything that limits what a
//! stranger may cost before a signature was checked.
//!
//! It hands each request to one handler and never answers anything itself but what the HTTP
//! library answers to bytes that are no request, which it reports. `listener/gate.rs` and `listener/framing.rs`
//! refuse ambiguous framing on the wire, `listener/head.rs` ambiguous heads.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_core::aws_host::HostError;
use portcullis_core::catalog::Catalog;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::ResponseBody;
use crate::config::{Limits, Listen};

mod connection;
mod framing;
mod gate;
mod head;

pub(crate) use connection::Server;
pub use head::head;

/// Pending connections the kernel may queue.
const BACKLOG: u32 = 1024;
/// The pause after the system refused to accept, e.g. for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Who is at the other end, as far as the socket knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Never taken from a header.
    pub address: SocketAddr,
    /// Whether the bytes arrive over TLS.
    pub tls: bool,
}

/// Where a request's tunnel leads; carried by every request that came by way of the proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tunnel(Arc<str>);

impl Tunnel {
    /// To a host that an API of AWS has, on the port of all of them.
    ///
    /// # Errors
    /// [`HostError`] for every other host.
    pub fn to(catalog: &Catalog, host: &str) -> Result<Self, HostError> {
        catalog.hosts().read(host).map(|_| Self(host.into()))
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0
    }

    fn leads_to(&self, authority: &str) -> bool {
        *self.0 == *authority.strip_suffix(":443").unwrap_or(authority)
    }
}

/// A bound socket that nobody is served on yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
    unreadable: Unreadable,
}

/// Who is told of bytes that are no request.
#[derive(Clone)]
struct Unreadable(Arc<Report>);

type Report = dyn Fn(Peer, &str) + Send + Sync;

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unreadable")
    }
}

impl Listener {
    /// Binds the address. Without `tls` it speaks plain HTTP/1.1, which the configuration allows
    /// on loopback only.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(listen: &Listen, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(listen.address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&listen.address.into())?;
        socket.listen(BACKLOG.cast_signed())?;
        Ok(Self {
            socket: TcpListener::from_std(socket.into())?,
            tls,
            limits: listen.limits,
            unreadable: Unreadable(Arc::new(|_, _| {})),
        })
    }

    /// Has `report` told of requests that the HTTP library refuses before the handler sees them,
    /// and why: broken or ambiguous framing, heads beyond the limits.
    #[must_use]
    pub fn reporting(self, report: impl Fn(Peer, &str) + Send + Sync + 'static) -> Self {
        Self {
            unreadable: Unreadable(Arc::new(report)),
            ..self
        }
    }

    /// The address that was bound, with the real port where the configuration said 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown`, then lets calls in flight finish for at most the drain time-out.
    ///
    /// `handler` always answers; dropping its future means that the client went away.
    pub async fn serve<H, F>(self, handler: H, shutdown: CancellationToken)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let server = Arc::new(self.server(shutdown.clone()));
        let connection = move |stream, address| {
            connection::serve(server.clone(), stream, address, handler.clone())
        };
        self.accept(shutdown, connection).await;
    }

    /// What the connections of this listener share.
    pub(crate) fn server(&self, shutdown: CancellationToken) -> Server {
        Server {
            tls: self.tls.clone(),
            limits: self.limits,
            unreadable: self.unreadable.clone(),
            shutdown,
        }
    }

    /// Accepts until `shutdown`, and then waits for what `connection` still does, at most the
    /// drain time-out.
    pub(crate) async fn accept<C, F>(self, shutdown: CancellationToken, connection: C)
    where
        C: Fn(TcpStream, SocketAddr) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let connections = TaskTracker::new();
        let abort = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = accept(&self.socket, &slots) => accepted,
            };
            let Some((stream, address, slot)) = accepted else {
                continue;
            };
            let serving = connection(stream, address);
            let aborted = abort.clone();
            connections.spawn(async move {
                tokio::select! {
                    () = serving => {}
                    () = aborted.cancelled() => {}
                }
                drop(slot);
            });
        }
        drop(self.socket);
        connections.close();
        let drained = tokio::time::timeout(self.limits.drain_timeout, connections.wait()).await;
        if drained.is_err() {
            tracing::warn!(
                open = connections.len(),
                "closing connections that did not drain"
            );
            abort.cancel();
            connections.wait().await;
        }
    }
}

/// The next connection, once there is room for it.
async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, address)) => Some((stream, address, slot)),
        Err(error) => {
            if is_lasting(&error) {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
            None
        }
    }
}

/// Errors of one connection that died in the queue are not worth a pause.
fn is_lasting(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
