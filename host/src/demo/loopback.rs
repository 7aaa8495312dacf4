//! A minimal HTTP/1.1 server on loopback for the demo's two stand-ins. Whole bodies, no TLS.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The largest body the stand-ins take: this is a demo.
const MAX_BODY: usize = 256 << 20;

/// A free port on 127.0.0.1.
pub(super) async fn bind() -> std::io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await
}

/// Serves until the process ends.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo's servers live as long as the process"
)]
pub(super) fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Bytes>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let handler = handler.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(handler.clone(), request, peer));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "demo connection ended");
                }
            });
        }
    });
}

async fn answer<H, F>(
    handler: H,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    H: Fn(Request<Bytes>, SocketAddr) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let (head, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(handler(Request::from_parts(head, body.to_bytes()), peer).await),
        Err(_) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}
