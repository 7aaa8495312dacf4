//! A certificate authority for this gateway alone: agents trust `ca.pem`, and leaves are issued
//! from it in memory whenever one is due.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::config::Listen;

/// The CA's certificate in the state directory: what agents set `AWS_CA_BUNDLE` to.
pub const CA_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";

const CA_LIFE: Duration = Duration::days(10 * 365);
const LEAF_LIFE: Duration = Duration::days(30);
/// Leaves are renewed with this much of their life left.
const LEAF_RESERVE: Duration = Duration::days(10);
/// Certificates start a little in the past, for clients whose clock is behind.
const BACKDATE: Duration = Duration::hours(1);

pub(super) struct OwnCa {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    names: Vec<String>,
    /// Unix time from which the last leaf should be replaced.
    leaf_due: AtomicI64,
}

impl OwnCa {
    /// Opens the CA in the state directory, or makes it.
    pub(super) fn open(
        listen: &Listen,
        state_dir: &Path,
        now: OffsetDateTime,
    ) -> anyhow::Result<Self> {
        let (cert_file, key_file) = (state_dir.join(CA_FILE), state_dir.join(KEY_FILE));
        make_if_absent(state_dir, now)?;
        Self::read(&cert_file, &key_file, names(listen))
    }

    /// Opens the CA in the state directory, or makes it, for hosts that are named later.
    pub(super) fn for_hosts(state_dir: &Path, now: OffsetDateTime) -> anyhow::Result<Self> {
        make_if_absent(state_dir, now)?;
        let (cert_file, key_file) = (state_dir.join(CA_FILE), state_dir.join(KEY_FILE));
        Self::read(&cert_file, &key_file, Vec::new())
    }

    /// Opens a CA of the operator's.
    pub(super) fn read(
        cert_file: &Path,
        key_file: &Path,
        names: Vec<String>,
    ) -> anyhow::Result<Self> {
        let key = fs::read_to_string(key_file)
            .with_context(|| format!("reading `{}`", key_file.display()))?;
        let key = KeyPair::from_pem(&key)
            .with_context(|| format!("reading the key in `{}`", key_file.display()))?;
        let certificate = CertificateDer::from_pem_file(cert_file)
            .with_context(|| format!("reading the certificate in `{}`", cert_file.display()))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .with_context(|| format!("`{}` is not a CA certificate", cert_file.display()))?;
        Ok(Self {
            certificate,
            issuer,
            names,
            leaf_due: AtomicI64::new(i64::MIN),
        })
    }

    pub(super) fn is_leaf_due(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.leaf_due.load(Ordering::Acquire)
    }

    /// A new leaf for all of the gateway's names, and its chain.
    pub(super) fn issue(
        &self,
        now: OffsetDateTime,
    ) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate().context("making a key")?;
        let chain = self.issue_to(&key, self.names.clone(), now)?;
        let due = now + LEAF_LIFE - LEAF_RESERVE;
        self.leaf_due.store(due.unix_timestamp(), Ordering::Release);
        Ok((chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    /// A leaf for these names and that key, and its chain.
    pub(super) fn issue_to(
        &self,
        key: &KeyPair,
        names: Vec<String>,
        now: OffsetDateTime,
    ) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let mut params = CertificateParams::new(names).context("a host name is not a DNS name")?;
        params.distinguished_name = named("portcullis");
        params.not_before = now - BACKDATE;
        params.not_after = now + LEAF_LIFE;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(key, &self.issuer)
            .context("signing a certificate")?;
        Ok(vec![leaf.der().clone(), self.certificate.clone()])
    }
}

fn make_if_absent(state_dir: &Path, now: OffsetDateTime) -> anyhow::Result<()> {
    if state_dir.join(KEY_FILE).exists() {
        return Ok(());
    }
    make(state_dir, now).with_context(|| {
        format!(
            "making a certificate authority in `{}`",
            state_dir.display()
        )
    })
}

/// Everything the gateway may be called on this machine, and by its host name.
fn names(listen: &Listen) -> Vec<String> {
    // Go takes a wildcard right below a top-level domain; OpenSSL and rustls do not.
    let mut names: Vec<String> = ["localhost", "*.localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .into();
    if let Some(hostname) = &listen.hostname {
        names.push(hostname.clone());
        // Virtual-host S3 puts one label, the bucket, before it.
        if hostname.parse::<IpAddr>().is_err() {
            names.push(format!("*.{hostname}"));
        }
    }
    if !listen.address.ip().is_unspecified() {
        names.push(listen.address.ip().to_string());
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn make(state_dir: &Path, now: OffsetDateTime) -> anyhow::Result<()> {
    fs::create_dir_all(state_dir)?;
    let key = KeyPair::generate().context("making a key")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Portcullis gateway CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATE;
    params.not_after = now + CA_LIFE;
    let certificate = params.self_signed(&key).context("signing the CA")?;
    // The key last: its presence says that both are there.
    write(&state_dir.join(CA_FILE), &certificate.pem(), 0o644)?;
    write(&state_dir.join(KEY_FILE), &key.serialize_pem(), 0o600)
}

/// Writes a file whole or not at all, with its mode from the first byte on.
fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let fresh = file.with_extension("new");
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error.into());
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    fs::rename(&fresh, file)?;
    Ok(())
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
