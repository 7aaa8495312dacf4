//! The way in for clients that take no endpoint: `CONNECT` to a host of AWS ends here, in TLS with a
//! certificate of the gateway's own authority, and the same pipeline serves what comes inside.
//!
//! Other hosts are refused, or passed on blindly where the operator lists them and their addresses
//! are public. Nobody is known yet when a tunnel opens: the requests inside are what is signed.

mod connect;
mod tunnel;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use portcullis_core::aws_host::HostError;
use portcullis_core::catalog::Catalog;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::connect::{Refused, Wanted};
use self::tunnel::Tunnels;
use crate::body::ResponseBody;
use crate::clock;
use crate::config::Limits;
use crate::listener::{Listener, Peer, Server, Tunnel};
use crate::tls::HostCertificates;

/// The port of every API of AWS, and the only one that is passed on.
const HTTPS: u16 = 443;
/// What a TLS connection begins with; nothing in HTTP does.
const TLS_HANDSHAKE: u8 = 0x16;

/// Opens tunnels.
pub struct Proxy {
    certificates: HostCertificates,
    tunnels: Tunnels,
    /// For clients that speak TLS to the proxy itself.
    outer: Option<TlsAcceptor>,
    limits: Limits,
    report: Box<Report>,
}

type Report = dyn Fn(Peer, StatusCode, &str) + Send + Sync;

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy that passes hosts under `suffixes` on and tells `report` what it refuses.
    pub fn new(
        certificates: HostCertificates,
        suffixes: &[String],
        limits: Limits,
        report: impl Fn(Peer, StatusCode, &str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            certificates,
            tunnels: Tunnels::new(suffixes),
            outer: None,
            limits,
            report: Box::new(report),
        }
    }

    /// Takes TLS to the proxy itself as well, with the endpoint's certificate.
    #[must_use]
    pub fn with_tls(mut self, config: Option<&rustls::ServerConfig>) -> Self {
        self.outer = config.map(|config| {
            let mut config = config.clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        });
        self
    }

    /// Serves until `shutdown`, then lets calls in flight finish for at most the drain time-out.
    pub async fn serve<H, F>(self, listener: Listener, handler: H, shutdown: CancellationToken)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let server = Arc::new(listener.server(shutdown.clone()));
        let proxy = Arc::new(self);
        let connection = move |stream, address| {
            let (proxy, server, handler) = (proxy.clone(), server.clone(), handler.clone());
            async move { proxy.connection(&server, stream, address, handler).await }
        };
        listener.accept(shutdown, connection).await;
    }

    async fn connection<H, F>(
        &self,
        server: &Server,
        stream: TcpStream,
        address: SocketAddr,
        handler: H,
    ) where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let mut first = [0];
        let peeked = tokio::time::timeout(self.limits.head_timeout, stream.peek(&mut first)).await;
        if !matches!(peeked, Ok(Ok(1))) || stream.set_nodelay(true).is_err() {
            return;
        }
        match &self.outer {
            Some(acceptor) if first == [TLS_HANDSHAKE] => {
                let handshake = acceptor.accept(stream);
                let handshake = tokio::time::timeout(self.limits.handshake_timeout, handshake);
                if let Ok(Ok(stream)) = handshake.await {
                    self.tunnelled(server, stream, address, handler).await;
                }
            }
            Some(_) | None => self.tunnelled(server, stream, address, handler).await,
        }
    }

    async fn tunnelled<S, H, F>(
        &self,
        server: &Server,
        mut stream: S,
        address: SocketAddr,
        handler: H,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let outcome = match connect::read(&mut stream, &self.limits).await {
            Ok(wanted) => self.open(&wanted).await,
            Err(refused) => Err(refused),
        };
        let opened = match outcome {
            Ok(opened) => opened,
            Err(refused) => {
                metrics::counter!("portcullis_proxy_tunnels_total", "outcome" => "refused")
                    .increment(1);
                let peer = Peer {
                    address,
                    tls: false,
                };
                (self.report)(peer, refused.status, &refused.why);
                return connect::refuse(stream, &refused).await;
            }
        };
        if connect::accept(&mut stream).await.is_err() {
            return;
        }
        match opened {
            Opened::Aws(tunnel) => {
                self.intercept(server, stream, (address, tunnel), handler)
                    .await
            }
            Opened::Blind(upstream) => {
                metrics::counter!("portcullis_proxy_tunnels_total", "outcome" => "passed on")
                    .increment(1);
                tunnel::relay(stream, upstream, self.limits.idle_timeout).await;
            }
        }
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, Refused> {
        let Wanted { host, port } = wanted;
        if *port != HTTPS {
            return Err(Refused::forbidden(format!(
                "`{wanted}`: only port 443 is served"
            )));
        }
        match Tunnel::to(Catalog::embedded(), host) {
            Ok(tunnel) => Ok(Opened::Aws(tunnel)),
            Err(HostError::Unserved(reason)) => Err(Refused::forbidden(format!(
                "`{host}` is not served: {reason}"
            ))),
            Err(HostError::Foreign | HostError::Malformed) => {
                self.tunnels.open(host).await.map(Opened::Blind)
            }
        }
    }

    /// Serves AWS's place: whoever asked for the tunnel must ask for the same host in TLS, and in
    /// every request.
    async fn intercept<S, H, F>(
        &self,
        server: &Server,
        stream: S,
        (address, tunnel): (SocketAddr, Tunnel),
        handler: H,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let peer = Peer { address, tls: true };
        let config = match self.certificates.of(&tunnel, clock::now()).await {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, host = tunnel.host(), "no certificate could be issued");
                return;
            }
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, handshake);
        let stream = match handshake.await {
            Ok(Ok(stream)) if stream.get_ref().1.server_name() == Some(tunnel.host()) => stream,
            Ok(Ok(_) | Err(_)) | Err(_) => {
                metrics::counter!("portcullis_tls_handshake_failures_total").increment(1);
                let why = format!("no TLS for `{}` followed the CONNECT to it", tunnel.host());
                return (self.report)(peer, StatusCode::BAD_REQUEST, &why);
            }
        };
        metrics::counter!("portcullis_proxy_tunnels_total", "outcome" => "served").increment(1);
        let handler = move |mut request: Request<Incoming>, peer| {
            request.extensions_mut().insert(tunnel.clone());
            handler(request, peer)
        };
        server.negotiated(stream, peer, handler).await;
    }
}

/// What a tunnel leads to.
#[derive(Debug)]
enum Opened {
    /// The gateway, in the place of this host.
    Aws(Tunnel),
    /// This connection.
    Blind(TcpStream),
}
