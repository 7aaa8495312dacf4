//! What `tls` promises, as tests.

use std::os::unix::fs::PermissionsExt as _;

use rustls_pki_types::ServerName;
use time::Duration as Span;

use super::*;
use crate::config::Limits;

fn listen(tls: Tls, hostname: Option<&str>) -> Listen {
    Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls,
        hostname: hostname.map(str::to_owned),
        limits: Limits::default(),
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn own_ca(dir: &Path, hostname: Option<&str>, now: OffsetDateTime) -> Arc<Certificates> {
    let listen = listen(Tls::OwnCa, hostname);
    Certificates::load(&listen, dir, now).unwrap().unwrap()
}

/// Shakes hands in memory, trusting only `ca.pem` of `dir`.
fn handshake(certificates: &Arc<Certificates>, dir: &Path, name: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(dir.join(CA_FILE)).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(certificates.server_config().unwrap()).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire).unwrap();
        server
            .read_tls(&mut std::mem::take(&mut wire).as_slice())
            .unwrap();
        server
            .process_new_packets()
            .map_err(|error| error.to_string())?;
        server.write_tls(&mut wire).unwrap();
        client
            .read_tls(&mut std::mem::take(&mut wire).as_slice())
            .unwrap();
        client
            .process_new_packets()
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn the_own_ca_vouches_for_every_name_of_the_gateway_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = own_ca(dir.path(), Some("gw.example"), now());
    for name in [
        "gw.example",
        "bucket.gw.example",
        "localhost",
        "127.0.0.1",
        "::1",
    ] {
        assert_eq!(handshake(&certificates, dir.path(), name), Ok(()), "{name}");
    }
    for name in ["other.example", "a.b.gw.example", "127.0.0.2"] {
        assert!(
            handshake(&certificates, dir.path(), name).is_err(),
            "{name}"
        );
    }
}

#[test]
fn the_ca_stays_over_a_restart_and_its_key_is_private() {
    let dir = tempfile::tempdir().unwrap();
    own_ca(dir.path(), None, now());
    let before = std::fs::read(dir.path().join(CA_FILE)).unwrap();
    let certificates = own_ca(dir.path(), Some("new.example"), now());
    assert_eq!(std::fs::read(dir.path().join(CA_FILE)).unwrap(), before);
    assert_eq!(handshake(&certificates, dir.path(), "new.example"), Ok(()));
    let key = std::fs::metadata(dir.path().join("ca.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_leaf_is_renewed_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = own_ca(dir.path(), None, now());
    let first = certificates.fingerprint();
    let after = |days| certificates.reload(now() + Span::days(days)).unwrap();
    assert_eq!(after(19), Reload::Unchanged);
    assert_eq!(after(21), Reload::Replaced);
    assert_eq!(after(21), Reload::Unchanged);
    assert_ne!(certificates.fingerprint(), first);
}

#[test]
fn a_file_that_changed_is_used_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    let write_pair = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    };
    write_pair();
    let listen = listen(
        Tls::Files {
            cert: cert.clone(),
            key: key.clone(),
        },
        None,
    );
    let certificates = Certificates::load(&listen, dir.path(), now())
        .unwrap()
        .unwrap();
    let first = certificates.fingerprint();
    assert_eq!(certificates.reload(now()).unwrap(), Reload::Unchanged);

    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(
        certificates.reload(now()).is_err(),
        "a key of another certificate"
    );
    std::fs::write(&cert, "").unwrap();
    assert!(certificates.reload(now()).is_err(), "an empty file");
    assert_eq!(certificates.fingerprint(), first);
    std::fs::write(&key, good).unwrap();

    write_pair();
    assert_eq!(certificates.reload(now()).unwrap(), Reload::Replaced);
    assert_ne!(certificates.fingerprint(), first);
}
