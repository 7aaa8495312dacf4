//! Connections to upstream hosts: whom to trust, and how long a connection may take to stand.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use http::Uri;
use hyper_rustls::{
    ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

use crate::body::BoxError;

/// Name resolution, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Probes find a peer that vanished while a long upload or answer was on its way.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Which versions of HTTP a connection may speak.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Versions {
    /// HTTP/2 if the other side offers it (ALPN).
    Negotiated,
    /// HTTP/1.1.
    #[default]
    One,
}

/// Opens connections for one account connection.
#[derive(Clone, Debug)]
pub(crate) struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    /// Trusts the web's certificate authorities, or only those of the PEM file.
    pub(crate) fn new(ca: Option<&Path>, versions: Versions) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing TLS versions")?;
        let config = match ca {
            None => builder.with_webpki_roots(),
            Some(file) => builder.with_root_certificates(roots(file)?),
        };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1();
        let https = match versions {
            Versions::Negotiated => https.enable_http2().wrap_connector(http),
            Versions::One => https.wrap_connector(http),
        };
        Ok(Self(https))
    }
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .with_context(|| format!("opening `{}`", file.display()))?;
    for certificate in certificates {
        let certificate =
            certificate.with_context(|| format!("reading certificates in `{}`", file.display()))?;
        roots
            .add(certificate)
            .with_context(|| format!("trusting a certificate in `{}`", file.display()))?;
    }
    anyhow::ensure!(
        !roots.is_empty(),
        "`{}` holds no certificate",
        file.display()
    );
    Ok(roots)
}

impl tower_service::Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = self.0.call(destination);
        Box::pin(async move { tokio::time::timeout(CONNECT_TIMEOUT, connecting).await? })
    }
}
