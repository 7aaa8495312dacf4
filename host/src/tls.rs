//! The listener's certificate: from files, or from a certificate authority of the gateway's own,
//! and renewed without dropping a connection.
//!
//! A certificate that cannot be used never replaces one that can. The CA's key leaves the state
//! directory only into memory; the leaf's key is never written at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::config::{Listen, Tls};

mod hosts;
mod own_ca;

pub use hosts::HostCertificates;
pub use own_ca::CA_FILE;

/// How often files are read again: file events are hints only.
const POLL: Duration = Duration::from_secs(5);

/// The certificate that new connections get.
pub struct Certificates {
    source: Source,
    current: ArcSwap<CertifiedKey>,
}

enum Source {
    Files { cert: PathBuf, key: PathBuf },
    OwnCa(Box<own_ca::OwnCa>),
}

/// What a reload found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reload {
    /// New connections get another certificate from now on.
    Replaced,
    /// Nothing new.
    Unchanged,
}

impl Certificates {
    /// Loads the configured certificate, making the gateway's own CA if there is none yet;
    /// `None` where TLS is off.
    ///
    /// # Errors
    /// When files cannot be read or written, or do not belong together.
    pub fn load(
        listen: &Listen,
        state_dir: &Path,
        now: OffsetDateTime,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let source = match &listen.tls {
            Tls::Off => return Ok(None),
            Tls::Files { cert, key } => Source::Files {
                cert: cert.clone(),
                key: key.clone(),
            },
            Tls::OwnCa => Source::OwnCa(Box::new(own_ca::OwnCa::open(listen, state_dir, now)?)),
        };
        let current = source.load(now)?;
        Ok(Some(Arc::new(Self {
            source,
            current: ArcSwap::new(Arc::new(current)),
        })))
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with whatever certificate is current.
    ///
    /// # Errors
    /// When the cryptography provider refuses the versions or a ticket key.
    pub fn server_config(self: &Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let resolver = Arc::new(Resolver(Arc::clone(self)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing TLS versions")?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer =
            rustls::crypto::aws_lc_rs::Ticketer::new().context("making a session ticket key")?;
        Ok(Arc::new(config))
    }

    /// Looks at the files, or at the leaf's age, and swaps the certificate if it should be.
    ///
    /// # Errors
    /// When the new certificate cannot be used; the old one then stays.
    pub fn reload(&self, now: OffsetDateTime) -> anyhow::Result<Reload> {
        if let Source::OwnCa(ca) = &self.source
            && !ca.is_leaf_due(now)
        {
            return Ok(Reload::Unchanged);
        }
        let fresh = self.source.load(now)?;
        if fresh.cert == self.current.load().cert {
            return Ok(Reload::Unchanged);
        }
        self.current.store(Arc::new(fresh));
        Ok(Reload::Replaced)
    }

    /// Reloads until `shutdown`; a certificate that cannot be used is logged once.
    pub async fn keep_current(
        self: Arc<Self>,
        now: impl Fn() -> OffsetDateTime,
        shutdown: CancellationToken,
    ) {
        let mut last = String::new();
        while shutdown
            .run_until_cancelled(tokio::time::sleep(POLL))
            .await
            .is_some()
        {
            match self.reload(now()) {
                Ok(Reload::Unchanged) => last.clear(),
                Ok(Reload::Replaced) => {
                    last.clear();
                    metrics::counter!("portcullis_certificate_reloads_total").increment(1);
                    tracing::info!(certificate = self.fingerprint(), "new certificate in use");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    if error != last {
                        tracing::error!(error, "the new certificate is not used");
                    }
                    last = error;
                }
            }
        }
    }

    /// SHA-256 of the current leaf, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let current = self.current.load();
        current
            .cert
            .first()
            .map(|leaf| hex::encode(Sha256::digest(leaf)))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("certificate", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Source {
    fn load(&self, now: OffsetDateTime) -> anyhow::Result<CertifiedKey> {
        let (chain, key) = match self {
            Self::Files { cert, key } => (read_chain(cert)?, read_key(key)?),
            Self::OwnCa(ca) => ca.issue(now)?,
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .context("the certificate and the private key do not belong together")
    }
}

fn read_chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading certificates in `{}`", file.display()))?;
    anyhow::ensure!(
        !chain.is_empty(),
        "`{}` holds no certificate",
        file.display()
    );
    Ok(chain)
}

fn read_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("reading the private key in `{}`", file.display()))
}

#[derive(Debug)]
struct Resolver(Arc<Certificates>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

#[cfg(test)]
mod tests;
