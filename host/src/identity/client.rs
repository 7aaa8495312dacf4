//! The HTTP client that asks identity providers: bounded in time and size, follows no redirect,
//! and speaks plain HTTP to this machine only.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// From connecting to the last byte of the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer's body.
const MAX_BODY: usize = 1024 * 1024;

/// An HTTP client for discovery, keys and token endpoints.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// Why an identity provider gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Connecting, TLS or HTTP itself.
    #[error("{0}")]
    Connection(String),
    /// The answer is larger than the limit or broke off.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// Plain HTTP to another machine, or no http URL at all.
    #[error("`{0}` is neither https nor http on this machine")]
    Insecure(Uri),
    /// Too slow.
    #[error("no whole answer came in time")]
    Timeout,
}

impl HttpClient {
    /// A client that trusts the public web's certificate authorities.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(timeout: Duration) -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .context("setting up TLS towards identity providers")?
            .https_or_http()
            .enable_http1()
            .build();
        // One question in ten minutes: an idle connection would be closed by then.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self { client, timeout })
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        if !may_ask(request.uri()) {
            return Err(FetchError::Insecure(request.uri().clone()));
        }
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| FetchError::Connection(chain(&error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|error| FetchError::Body(error.to_string()))?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            tokio::time::timeout(self.timeout, self.fetch(request))
                .await
                .unwrap_or(Err(FetchError::Timeout))
        })
    }
}

/// Whether a URL may be asked at all: https anywhere, http on this machine.
pub(super) fn may_ask(uri: &Uri) -> bool {
    match uri.scheme_str() {
        Some("https") => uri.host().is_some_and(|host| !host.is_empty()),
        Some("http") => is_this_machine(uri),
        Some(_) | None => false,
    }
}

/// Whether a URL names this machine literally, without asking DNS.
fn is_this_machine(uri: &Uri) -> bool {
    let Some(host) = uri.host() else {
        return false;
    };
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || literal
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        let check = |url: &str, expected: bool| {
            assert_eq!(may_ask(&url.parse().unwrap()), expected, "{url}");
        };
        check("https://idp.example/keys", true);
        check("http://127.0.0.1:4000/keys", true);
        check("http://[::1]:4000/keys", true);
        check("http://localhost:4000/keys", true);
        check("http://idp.example/keys", false);
        check("http://169.254.169.254/latest/meta-data", false);
        check("http://127.0.0.1.example/", false);
        check("http://localhost.example/", false);
        check("ftp://127.0.0.1/", false);
        check("/keys", false);
    }
}
