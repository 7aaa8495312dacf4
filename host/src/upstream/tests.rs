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
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
        console: Console {
            address: "127.0.0.1:0".parse().unwrap(),
        },
        state_dir: "state".into(),
        plugins_dir: "plugins".into(),
        plugin_grants: Vec::new(),
        policies_dir: "policies".into(),
        issuers: Vec::new(),
        connections: vec![Connection {
            name: "dev".to_owned(),
            account: "123456789012".to_owned(),
            partition: "aws".to_owned(),
            regions: None,
            credentials: CredentialSource::Environment,
            endpoint,
            variant: Variant::Plain,
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
    }
}

fn outgoing(head: Head, route: Route, payload_mode: PayloadMode, body: &[u8]) -> Outgoing {
    Outgoing {
        head,
        bucket: None,
        route,
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

#[test]
fn the_agents_own_signature_and_hop_by_hop_headers_end_here() {
    let dropped = [
        ("authorization", "AWS4-HMAC-SHA256 Credential=PCAK/x"),
        ("x-amz-security-token", "agent"),
        ("x-amz-date", "20000101T000000Z"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("keep-alive", "3"),
        ("expect", "100-continue"),
        ("cookie", "a=b"),
        ("via", "1.1 a"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.example"),
        ("proxy-authorization", "Basic x"),
        ("amz-sdk-request", "attempt=1"),
        ("amz-sdk-invocation-id", "1"),
        ("transfer-encoding", "chunked"),
        ("accept-encoding", "gzip"),
    ];
    let kept = [
        ("user-agent", "Boto3/1.2"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.GetItem"),
        ("if-match", "\"x\""),
    ];
    let all: Vec<_> = dropped.into_iter().chain(kept).collect();
    let route = Route::aws(
        "dynamodb.eu-west-1.amazonaws.com",
        Addressing::Path,
        "dynamodb",
        "eu-west-1",
    );
    let request = sign(outgoing(
        head(Method::POST, "/", None, &all),
        route,
        PayloadMode::Absent,
        b"{}",
    ));
    let found = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    for (name, value) in dropped {
        assert_ne!(found(name), Some(value), "{name}");
    }
    assert_eq!(found("content-type"), Some("application/x-amz-json-1.0"));
    assert_eq!(found("if-match"), Some("\"x\""));
    assert_eq!(found("host"), Some("dynamodb.eu-west-1.amazonaws.com"));
    assert_eq!(found("accept-encoding"), Some("identity"));
    assert_eq!(found("content-length"), Some("2"));
    assert_eq!(found("x-amz-security-token"), Some(TOKEN));
    let agent = found("user-agent").unwrap();
    assert!(agent.starts_with("Boto3/1.2 portcullis/"), "{agent}");
    let scope = "Credential=AKIDEXAMPLE/20231114/eu-west-1/dynamodb/aws4_request";
    let signed = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target";
    let authorization = found("authorization").unwrap();
    assert!(
        authorization.contains(scope) && authorization.contains(signed),
        "{authorization}"
    );
    check_signature(received(&request), b"{}").unwrap();
}

#[test]
fn every_payload_mode_goes_out_as_it_came_in() {
    let digest: [u8; 32] = Sha256::digest(b"abc").into();
    let check = |mode: PayloadMode, extra: &[(&str, &str)], expected: &str| {
        let mut headers = vec![("x-amz-content-sha256", "agent")];
        headers.extend(extra);
        let route = Route::aws(
            "b.s3.amazonaws.com",
            Addressing::VirtualHost,
            "s3",
            "us-east-1",
        );
        let request = sign(outgoing(
            head(Method::PUT, "/k", None, &headers),
            route,
            mode,
            b"abc",
        ));
        let sent = request.headers().get("x-amz-content-sha256").unwrap();
        assert_eq!(sent, expected);
    };
    check(PayloadMode::Digest(digest), &[], &hex::encode(digest));
    check(PayloadMode::Absent, &[], &hex::encode(digest));
    check(PayloadMode::Unsigned, &[], "UNSIGNED-PAYLOAD");
    let trailer = PayloadMode::UnsignedTrailer {
        decoded_length: 3,
        trailer: Some("x-amz-checksum-crc32".to_owned()),
    };
    check(trailer, &[], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
}

/// A path as S3 signs it, or any path as other services take it.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-Za-z0-9._~-]{1,8}",
        Just("%2F".to_owned()),
        Just("%20".to_owned()),
        Just("%C3%A9".to_owned()),
        Just("%3A".to_owned()),
        Just("/".to_owned()),
        Just("/../".to_owned()),
        Just("//".to_owned()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn query() -> impl Strategy<Value = Option<String>> {
    let pair = (
        "[a-z][A-Za-z0-9-]{0,5}",
        "([A-Za-z0-9._~-]|%20|%2F|%2B|%C3%A9|/|:|@){0,8}",
    );
    let pairs = proptest::collection::vec(pair, 1..5).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    });
    proptest::option::of(pairs)
}

proptest! {
    #[test]
    fn what_is_signed_is_what_is_sent(
        path in path(),
        query in query(),
        body in proptest::collection::vec(any::<u8>(), 0..50),
        meta in "[ -~]{0,20}",
        s3 in any::<bool>(),
    ) {
        let (service, digest) = if s3 { ("s3", "x") } else { ("apigateway", "") };
        let mut headers = vec![("x-amz-meta-a", meta.as_str()), ("content-type", "a/b")];
        if s3 {
            headers.push(("x-amz-content-sha256", digest));
        }
        let route = Route::aws("host.example", Addressing::Path, service, "eu-west-1");
        let request = sign(outgoing(
            head(Method::PUT, &path, query.as_deref(), &headers), route, PayloadMode::Absent, &body,
        ));
        let seen = received(&request);
        prop_assert_eq!(&seen.path, &path);
        prop_assert_eq!(&seen.query, &query);
        match check_signature(seen, &body) {
            // Refused for its looks before any signature was computed.
            Err(Refusal::Ambiguous(_) | Refusal::Malformed(_)) => {}
            outcome => prop_assert_eq!(outcome, Ok(())),
        }
    }
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

mod streaming {
    use http_body::Frame;

    use super::*;

    /// A gateway that streams every body on, as the pipeline does.
    async fn gateway(
        aws: SocketAddr,
        mode: PayloadMode,
    ) -> (SocketAddr, Arc<Mutex<Vec<Refusal>>>, JoinSet<()>) {
        let mut config = config(Some(endpoint(aws)));
        config.listen.limits.upstream_timeout = Duration::from_secs(20);
        let listener = Listener::bind(&config.listen, None).unwrap();
        let address = listener.address().unwrap();
        let upstream = Arc::new(Upstream::new(&config).unwrap());
        let bodies = Bodies::new(&config.listen.limits);
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let log = refusals.clone();
        let handler = move |request: Request<Incoming>, peer| {
            let (upstream, bodies) = (upstream.clone(), bodies.clone());
            let (mode, log) = (mode.clone(), log.clone());
            async move {
                let head = listener::head(&request, &peer).unwrap();
                let body = request.into_body();
                let admitted = bodies.admit(body, &mode, Intake::Stream).await.unwrap();
                let outgoing = Outgoing {
                    head,
                    bucket: None,
                    route: Route::endpoint(&endpoint(aws), "s3", "us-east-1"),
                    payload_mode: mode,
                    body: OutgoingBody::Stream(Box::new(admitted.stream.unwrap())),
                };
                match exchange(&upstream, outgoing).await {
                    Ok(answer) => answer,
                    Err(refusal) => {
                        log.lock().unwrap().push(refusal);
                        let mut answer = Response::new(ResponseBody::empty());
                        *answer.status_mut() = StatusCode::BAD_REQUEST;
                        answer
                    }
                }
            }
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.serve(handler, CancellationToken::new()));
        (address, refusals, tasks)
    }

    async fn put(address: SocketAddr, fields: &str, body: &[u8]) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("PUT /b/k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_body_with_the_right_digest_arrives_whole() {
        let aws = aws(|| Response::new(Full::default()));
        let body = vec![7; 300_000];
        let mode = PayloadMode::Digest(Sha256::digest(&body).into());
        let (gateway, refusals, _tasks) = gateway(aws.address, mode).await;
        let answer = put(gateway, "Content-Length: 300000", &body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (head, seen) = aws.seen.lock().unwrap().pop().unwrap();
        assert_eq!(head.headers["content-length"], "300000");
        assert_eq!(seen, body);
        assert!(refusals.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_body_with_another_digest_never_arrives_whole() {
        let aws = aws(|| Response::new(Full::default()));
        let mode = PayloadMode::Digest(Sha256::digest(b"something else").into());
        let (gateway, refusals, _tasks) = gateway(aws.address, mode).await;
        for fields in ["Content-Length: 300000", "Content-Length: 1"] {
            let length: usize = fields.rsplit(' ').next().unwrap().parse().unwrap();
            let answer = put(gateway, fields, &vec![7; length]).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
        assert!(aws.seen.lock().unwrap().is_empty());
        let refusals = refusals.lock().unwrap();
        assert_eq!(
            *refusals,
            [Refusal::PayloadMismatch, Refusal::PayloadMismatch]
        );
    }

    #[tokio::test]
    async fn a_chunked_body_passes_verbatim_and_only_with_the_right_checksum() {
        let aws = aws(|| Response::new(Full::default()));
        let mode = PayloadMode::UnsignedTrailer {
            decoded_length: 9,
            trailer: Some("x-amz-checksum-crc32".to_owned()),
        };
        let (gateway, refusals, _tasks) = gateway(aws.address, mode).await;
        // CRC-32's published check value.
        let good = "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
        let length = format!("Content-Length: {}", good.len());
        let answer = put(gateway, &length, good.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(aws.seen.lock().unwrap().pop().unwrap().1, good);

        let bad = good.replace('9', "8");
        let answer = put(gateway, &length, bad.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let bad = good.replace("y/Q5", "z/Q5");
        let answer = put(gateway, &length, bad.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(aws.seen.lock().unwrap().is_empty());
        let last = refusals.lock().unwrap().pop();
        assert_eq!(last, Some(Refusal::ChecksumMismatch("crc32".to_owned())));
    }

    #[tokio::test]
    async fn an_agent_that_stops_sending_is_not_waited_for() {
        let aws = aws(|| Response::new(Full::default()));
        let (gateway, refusals, _tasks) = gateway(aws.address, PayloadMode::Unsigned).await;
        let answer = put(gateway, "Content-Length: 300000", &[7; 1000]).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(*refusals.lock().unwrap(), [Refusal::BodyTimeout]);
        assert!(aws.seen.lock().unwrap().is_empty());
    }

    /// In kilobytes, of this process.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_large_body_streams_both_ways_in_flat_memory() {
        const CHUNK: usize = 64 * 1024;
        const CHUNKS: usize = 4096;
        let echo = Listener::bind(&config(None).listen, None).unwrap();
        let echo_address = echo.address().unwrap();
        let mut tasks = JoinSet::new();
        let handler = |request: Request<Incoming>, _| async {
            Response::new(ResponseBody::upstream(
                request.into_body(),
                Duration::from_secs(5),
            ))
        };
        tasks.spawn(echo.serve(handler, CancellationToken::new()));
        let (gateway, refusals, _tasks) = gateway(echo_address, PayloadMode::Unsigned).await;

        let body = Repeated {
            chunk: Bytes::from(vec![1; CHUNK]),
            left: CHUNKS,
        };
        let stream = tokio::net::TcpStream::connect(gateway).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tasks.spawn(async { drop(connection.await) });
        let request = Request::put("/b/k").header("host", "a").body(body).unwrap();
        let before = resident();
        let mut answer = sender.send_request(request).await.unwrap().into_body();
        let (mut received, mut most) = (0, 0);
        while let Some(frame) = answer.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
            most = most.max(resident());
        }
        assert_eq!(received, CHUNK * CHUNKS);
        assert!(refusals.lock().unwrap().is_empty());
        let growth = most.saturating_sub(before);
        assert!(growth < 32 * 1024, "resident memory grew by {growth} kB");
    }

    /// A body of many equal chunks.
    struct Repeated {
        chunk: Bytes,
        left: usize,
    }

    impl http_body::Body for Repeated {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let more = self.left.checked_sub(1).map(|left| {
                self.left = left;
                Ok(Frame::data(self.chunk.clone()))
            });
            std::task::Poll::Ready(more)
        }
    }
}
