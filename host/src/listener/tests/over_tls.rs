//! The same over TLS, with both versions of HTTP.

use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::{CA_FILE, Certificates};

struct Secure {
    fixture: Fixture,
    dir: tempfile::TempDir,
}

fn secure(limits: Limits) -> Secure {
    let dir = tempfile::tempdir().unwrap();
    let mut listen = listen(limits);
    listen.tls = Tls::OwnCa;
    let now = time::OffsetDateTime::now_utc();
    let certificates = Certificates::load(&listen, dir.path(), now)
        .unwrap()
        .unwrap();
    let fixture = fixture_with(limits, Some(certificates.server_config().unwrap()));
    Secure { fixture, dir }
}

impl Secure {
    async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.dir.path().join(CA_FILE)).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.fixture.address).await.unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap()
    }

    /// One HTTP/2 request and the status it gets.
    async fn status(&self, request: Request<http_body_util::Full<Bytes>>) -> StatusCode {
        let stream = TokioIo::new(self.connect(b"h2").await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        sender.send_request(request).await.unwrap().status()
    }
}

fn request(target: &str) -> http::request::Builder {
    Request::builder().uri(target)
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_and_held_to_the_same_heads() {
    let secure = secure(limits());
    let body = || http_body_util::Full::new(Bytes::from_static(b"abc"));
    let good = request("https://localhost/a//..%2Fb").method("PUT");
    assert_eq!(
        secure.status(good.body(body()).unwrap()).await,
        StatusCode::OK
    );
    assert_eq!(secure.fixture.served(), ["/a//..%2Fb"]);
    let bad = [
        request("https://localhost/").header("host", "other"),
        request("https://localhost/").header("x_y", "1"),
        request("https://localhost/").header("x", "caf\u{e9}"),
        request("https://user@localhost/"),
        request("https://localhost/")
            .header("content-length", "3")
            .header("expect", "x"),
    ];
    for request in bad {
        let request = request.body(body()).unwrap();
        let shown = format!("{request:?}");
        assert_eq!(
            secure.status(request).await,
            StatusCode::BAD_REQUEST,
            "{shown}"
        );
    }
    let trace = request("https://localhost/").method("TRACE");
    let status = secure.status(trace.body(body()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(secure.fixture.served().len(), 1);
}

#[tokio::test]
async fn http1_over_tls_is_gated_too() {
    let secure = secure(limits());
    let mut stream = secure.connect(b"http/1.1").await;
    stream
        .write_all(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"));
    assert!(secure.fixture.served().is_empty());
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up_and_plain_http_is_no_handshake() {
    let secure = secure(Limits {
        handshake_timeout: Duration::from_millis(200),
        ..limits()
    });
    assert_eq!(secure.fixture.exchange(b"\x16\x03\x01").await, "");
    let answer = secure
        .fixture
        .exchange(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert!(!answer.contains("HTTP/1.1"), "{answer:?}");
    assert!(secure.fixture.served().is_empty());
}
