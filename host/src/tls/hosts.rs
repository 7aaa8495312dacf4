//! Certificates for AWS's host names, issued when a tunnel to one is opened, by an authority that
//! only this gateway's agents trust. They have one key, which is in memory only.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;

use super::own_ca::OwnCa;
use crate::config;
use crate::listener::Tunnel;

/// Hosts whose certificates are kept; a bucket makes a host.
const KEPT: u64 = 1024;
/// Far less than a certificate's life.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Issues and keeps certificates.
pub struct HostCertificates {
    ca: OwnCa,
    key: KeyPair,
    tickets: Arc<dyn ProducesTickets>,
    configs: moka::future::Cache<Arc<str>, Arc<ServerConfig>>,
}

impl HostCertificates {
    /// Opens the configured authority, or the gateway's own, which is made if there is none.
    ///
    /// # Errors
    /// When its files cannot be read or written, or are not those of an authority.
    pub fn open(
        proxy: &config::Proxy,
        state_dir: &Path,
        now: OffsetDateTime,
    ) -> anyhow::Result<Self> {
        let ca = match &proxy.ca {
            Some(files) => OwnCa::read(&files.cert, &files.key, Vec::new())?,
            None => OwnCa::for_hosts(state_dir, now)?,
        };
        Ok(Self {
            ca,
            key: KeyPair::generate().context("making a key")?,
            tickets: rustls::crypto::aws_lc_rs::Ticketer::new()
                .context("making a session ticket key")?,
            configs: moka::future::Cache::builder()
                .max_capacity(KEPT)
                .time_to_live(KEPT_FOR)
                .build(),
        })
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, in the name of the tunnel's host and no other.
    ///
    /// # Errors
    /// When a certificate cannot be issued.
    pub async fn of(
        &self,
        tunnel: &Tunnel,
        now: OffsetDateTime,
    ) -> Result<Arc<ServerConfig>, Arc<anyhow::Error>> {
        let host: Arc<str> = tunnel.host().into();
        let config = async { self.issue(&host, now).map(Arc::new) };
        self.configs.try_get_with(host.clone(), config).await
    }

    fn issue(&self, host: &Arc<str>, now: OffsetDateTime) -> anyhow::Result<ServerConfig> {
        let chain = self.ca.issue_to(&self.key, vec![host.to_string()], now)?;
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider)
            .context("a certificate and its key do not belong together")?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing TLS versions")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Only {
                host: host.clone(),
                certified: Arc::new(certified),
            }));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = self.tickets.clone();
        Ok(config)
    }
}

impl fmt::Debug for HostCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCertificates").finish_non_exhaustive()
    }
}

/// A certificate for whoever asks for exactly this host.
#[derive(Debug)]
struct Only {
    host: Arc<str>,
    certified: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Only {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (hello.server_name() == Some(&*self.host)).then(|| self.certified.clone())
    }
}
