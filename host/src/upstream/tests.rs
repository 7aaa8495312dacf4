//! What `upstream` promises, as tests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_core::access::Principal;
use portcullis_core::destination::{Addressing, Variant};
use portcullis_core::sigv4::{Payload, SignedRequest, SigningSecret};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod answers;
mod evaluated;
mod requests;
mod streaming;
mod variants;

use super::*;
use crate::body::{Bodies, Intake};
use crate::config::{Connection, Console, CredentialSource, Endpoint, Listen, Tls};
use crate::listener::{self, Listener, Peer};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "session-token-of-the-gateway";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", SECRET, Some(TOKEN.to_owned()), None, "test")
}

fn session(subject: &str) -> Session {
    Session {
        principal: Principal {
            issuer: "https://idp.example".to_owned(),
            subject: subject.to_owned(),
            email: None,
            groups: Vec::new(),
        },
        name: "agent".to_owned(),
        access_key_id: "PCAKEXAMPLE".to_owned(),
        connection: "dev".to_owned(),
        role: "reader".to_owned(),
        parent: None,
        confined_to: None,
        issued_at: now(),
        expires_at: now() + time::Duration::hours(1),
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        https: false,
        host: address.ip().to_string(),
        port: address.port(),
        ca: None,
    }
}

fn config(endpoint: Option<Endpoint>) -> Config {
    Config {
        digest: String::new(),
        listen: Listen {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: Tls::Off,
            hostname: None,
            limits: Limits {
                upstream_timeout: Duration::from_millis(500),
                body_idle_timeout: Duration::from_secs(2),
                ..Limits::default()
            },
        },
        proxy: None,
        console: Console {
            address: "127.0.0.1:0".parse().unwrap(),
        },
        state_dir: "state".into(),
        plugins_dir: "plugins".into(),
        plugin_grants: Vec::new(),
        policies_dir: "policies".into(),
        mint_longest: Duration::from_secs(900),
        issuers: Vec::new(),
        connections: vec![Connection {
            name: "dev".to_owned(),
            account: "123456789012".to_owned(),
            partition: "aws".to_owned(),
            regions: None,
            credentials: CredentialSource::Environment,
            endpoint,
            variant: Variant::Plain,
            unknown_members: Vec::new(),
            roles: Vec::new(),
        }],
    }
}

fn head(method: Method, path: &str, query: Option<&str>, headers: &[(&str, &str)]) -> Head {
    let mut map = HeaderMap::new();
    map.insert("host", "gw.example".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        map.append(name, value.parse().unwrap());
    }
    Head {
        method,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        authority: "gw.example".to_owned(),
        headers: map,
        tls: true,
        proxied: false,
    }
}

fn outgoing(head: Head, route: Route, payload_mode: PayloadMode, body: &[u8]) -> Outgoing {
    Outgoing {
        head,
        bucket: None,
        route,
        embedded: None,
        versions: Versions::One,
        payload_mode,
        body: OutgoingBody::Whole(Bytes::copy_from_slice(body)),
    }
}

fn get(address: SocketAddr) -> Outgoing {
    let route = Route::endpoint(&endpoint(address), "s3", "us-east-1");
    let head = head(Method::GET, "/b/k", None, &[("x-amz-content-sha256", "x")]);
    outgoing(
        head,
        route,
        PayloadMode::Digest(Sha256::digest(b"").into()),
        b"",
    )
}

/// What AWS would have seen of a signed request.
fn received(request: &SignedCall) -> Head {
    let uri = request.uri();
    Head {
        method: request.method().clone(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        authority: uri.authority().unwrap().to_string(),
        headers: request.headers().clone(),
        tls: true,
        proxied: false,
    }
}

/// Checks a signature with the verifier that agents' requests are checked with.
fn check_signature(head: Head, body: &[u8]) -> Result<(), Refusal> {
    let signed = SignedRequest::parse(head)?;
    assert_eq!(signed.session_token(), Some(TOKEN));
    assert_eq!(signed.access_key_id(), "AKIDEXAMPLE");
    let payload = Payload::Whole(Bytes::copy_from_slice(body));
    let secret = SigningSecret::new(SECRET.to_owned());
    signed.verify(&secret, payload, now()).map(drop)
}

fn sign(outgoing: Outgoing) -> SignedCall {
    request::signed(outgoing, &credentials(), now()).unwrap().0
}

/// Something that accepts connections and answers each request with what `answer` says.
struct Aws {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<(Head, Bytes)>>>,
    _tasks: JoinSet<()>,
}

fn aws(answer: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static) -> Aws {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (count, log) = (connections.clone(), seen.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let socket = TcpListener::from_std(socket).unwrap();
        let mut serving = JoinSet::new();
        loop {
            let (stream, address) = socket.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let (log, answer) = (log.clone(), answer.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (log, answer) = (log.clone(), answer.clone());
                async move {
                    let peer = Peer {
                        address,
                        tls: false,
                    };
                    let head = listener::head(&request, &peer).expect("an unambiguous head");
                    let body = request.into_body().collect().await?.to_bytes();
                    log.lock().unwrap().push((head, body));
                    Ok::<_, hyper::Error>(answer())
                }
            });
            serving.spawn(async move {
                let builder = hyper::server::conn::http1::Builder::new();
                drop(
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    Aws {
        address,
        connections,
        seen,
        _tasks: tasks,
    }
}

/// Something that reads one request's head and then writes bytes and closes.
fn rude(bytes: &'static [u8]) -> (SocketAddr, JoinSet<()>) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let socket = TcpListener::from_std(socket).unwrap();
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(read > 0);
            stream.write_all(bytes).await.unwrap();
        }
    });
    (address, tasks)
}

fn upstream(address: SocketAddr) -> Upstream {
    Upstream::new(&config(Some(endpoint(address)))).unwrap()
}

async fn exchange(
    upstream: &Upstream,
    outgoing: Outgoing,
) -> Result<Response<ResponseBody>, Refusal> {
    upstream
        .exchange(&session("alice"), outgoing, &credentials(), now())
        .await
}

fn unreachable(address: SocketAddr, state: Delivery) -> Refusal {
    Refusal::UpstreamUnreachable {
        host: address.ip().to_string(),
        state,
    }
}

#[tokio::test]
async fn an_answer_comes_back_without_its_hop_by_hop_headers() {
    let aws = aws(|| {
        Response::builder()
            .status(StatusCode::NOT_FOUND)
            .header("x-amzn-requestid", "r-1")
            .header("connection", "keep-alive, x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("set-cookie", "a=b")
            .header("alt-svc", "h3=\":443\"")
            .body(Full::new(Bytes::from_static(b"no such key")))
            .unwrap()
    });
    let answer = exchange(&upstream(aws.address), get(aws.address))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.headers()["x-amzn-requestid"], "r-1");
    for name in ["connection", "x-hop", "keep-alive", "set-cookie", "alt-svc"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "no such key"
    );
    let (head, _) = aws.seen.lock().unwrap().pop().unwrap();
    assert_eq!(head.authority, aws.address.to_string());
    check_signature(Head { tls: true, ..head }, b"").unwrap();
}

#[tokio::test]
async fn redirects_are_handed_on_and_never_followed() {
    let aws = aws(|| {
        Response::builder()
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header("location", "http://127.0.0.1:1/")
            .body(Full::default())
            .unwrap()
    });
    let answer = exchange(&upstream(aws.address), get(aws.address))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(aws.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_error_about_the_gateways_signature_is_withheld() {
    for body in [
        "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>AWS4</StringToSign></Error>",
        "<Error><Code>ExpiredToken</Code><Token-0>session-token-of-the-gateway</Token-0></Error>",
        r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException"}"#,
    ] {
        let aws = aws(move || {
            Response::builder()
                .status(StatusCode::FORBIDDEN)
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .unwrap()
        });
        let refusal = exchange(&upstream(aws.address), get(aws.address))
            .await
            .unwrap_err();
        let role = "reader".to_owned();
        assert_eq!(refusal, Refusal::CredentialsUnavailable { role });
    }
}

#[tokio::test]
async fn other_errors_reach_the_agent_whole() {
    let body = format!(
        "<Error><Code>AccessDenied</Code><M>{}</M></Error>",
        "x".repeat(200_000)
    );
    let sent = Bytes::from(body.clone());
    let aws = aws(move || {
        Response::builder()
            .status(StatusCode::FORBIDDEN)
            .body(Full::new(sent.clone()))
            .unwrap()
    });
    let answer = exchange(&upstream(aws.address), get(aws.address))
        .await
        .unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
}

#[tokio::test]
async fn what_is_known_of_a_failed_delivery_is_told_exactly() {
    let closed = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let refusal = exchange(&upstream(closed), get(closed)).await.unwrap_err();
    assert_eq!(refusal, unreachable(closed, Delivery::NotSent));

    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ] {
        let (address, _tasks) = rude(bytes);
        let refusal = exchange(&upstream(address), get(address))
            .await
            .unwrap_err();
        let Refusal::UpstreamUnreachable { state, .. } = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(
            state,
            Delivery::Unknown,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let (address, _tasks) =
        rude(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    let answer = exchange(&upstream(address), get(address)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn silence_ends_with_the_upstream_timeout() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let refusal = exchange(&upstream(address), get(address))
        .await
        .unwrap_err();
    assert_eq!(refusal, unreachable(address, Delivery::Unknown));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_not_an_end() {
    let (address, _tasks) = rude(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let answer = exchange(&upstream(address), get(address)).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn connections_are_reused_by_their_principal_only() {
    let aws = aws(|| Response::new(Full::new(Bytes::from_static(b"ok"))));
    let upstream = upstream(aws.address);
    for subject in ["alice", "alice", "bob", "alice"] {
        let answer = upstream
            .exchange(&session(subject), get(aws.address), &credentials(), now())
            .await
            .unwrap();
        answer.into_body().collect().await.unwrap();
        // The connection goes back to its pool in a task of its own.
        tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    assert_eq!(aws.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_of_another_name_is_not_used() {
    let aws = aws(|| Response::new(Full::default()));
    let mut session = session("alice");
    session.connection = "prod".to_owned();
    let outcome = upstream(aws.address)
        .exchange(&session, get(aws.address), &credentials(), now())
        .await;
    assert_eq!(outcome.unwrap_err(), Refusal::Internal);
}

#[tokio::test]
async fn an_upstream_without_a_trusted_certificate_is_not_sent_anything() {
    let dir = tempfile::tempdir().unwrap();
    let mut listen = config(None).listen;
    listen.tls = Tls::OwnCa;
    let started = OffsetDateTime::now_utc();
    let certificates = crate::tls::Certificates::load(&listen, dir.path(), started)
        .unwrap()
        .unwrap();
    let listener = Listener::bind(&listen, Some(certificates.server_config().unwrap())).unwrap();
    let address = listener.address().unwrap();
    let mut tasks = JoinSet::new();
    let handler = |_, _| async { Response::new(ResponseBody::empty()) };
    tasks.spawn(listener.serve(handler, CancellationToken::new()));
    let trusting = |ca: Option<std::path::PathBuf>| Endpoint {
        https: true,
        ca,
        ..endpoint(address)
    };
    let send = async |endpoint: Endpoint| {
        let upstream = Upstream::new(&config(Some(endpoint.clone()))).unwrap();
        let mut outgoing = get(address);
        outgoing.route = Route::endpoint(&endpoint, "s3", "us-east-1");
        exchange(&upstream, outgoing).await
    };
    let trusted = trusting(Some(dir.path().join(crate::tls::CA_FILE)));
    assert_eq!(send(trusted).await.unwrap().status(), StatusCode::OK);
    let refusal = send(trusting(None)).await.unwrap_err();
    assert_eq!(refusal, unreachable(address, Delivery::NotSent));
}
