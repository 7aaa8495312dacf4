//! What `listener` promises, as tests.

use std::sync::Mutex;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONNECTION;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinSet;

mod over_tls;

use super::*;
use crate::config::Tls;

/// A listener whose handler answers `ok` to every good head and remembers its path.
struct Fixture {
    address: SocketAddr,
    served: Arc<Mutex<Vec<String>>>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

fn limits() -> Limits {
    Limits {
        head_bytes: 8 * 1024,
        headers: 20,
        head_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(2),
        drain_timeout: Duration::from_secs(5),
        ..Limits::default()
    }
}

fn listen(limits: Limits) -> Listen {
    Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: Tls::Off,
        hostname: None,
        limits,
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    served: Arc<Mutex<Vec<String>>>,
) -> Response<ResponseBody> {
    let head = match head(&request, &peer) {
        Ok(head) => head,
        Err(refusal) => {
            let status = if matches!(
                refusal,
                portcullis_core::refusal::Refusal::MethodNotAllowed(_)
            ) {
                StatusCode::METHOD_NOT_ALLOWED
            } else {
                StatusCode::BAD_REQUEST
            };
            return Response::builder()
                .status(status)
                .header(CONNECTION, "close")
                .body(ResponseBody::empty())
                .unwrap();
        }
    };
    served.lock().unwrap().push(head.path.clone());
    if head.path != "/unread" && request.into_body().collect().await.is_err() {
        served.lock().unwrap().pop();
    }
    Response::new(ResponseBody::from(Bytes::from_static(b"ok")))
}

fn fixture_with(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>) -> Fixture {
    let listener = Listener::bind(&listen(limits), tls).unwrap();
    let address = listener.address().unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let seen = served.clone();
    let handler = move |request, peer| answer(request, peer, seen.clone());
    tasks.spawn(listener.serve(handler, shutdown.clone()));
    Fixture {
        address,
        served,
        shutdown,
        tasks,
    }
}

fn fixture() -> Fixture {
    fixture_with(limits(), None)
}

impl Fixture {
    /// Sends bytes and returns everything that comes back until the gateway closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .expect("the gateway closes the connection")
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn served(&self) -> Vec<String> {
        self.served.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let fixture = fixture();
    let heads: &[&[u8]] = &[
        // Framing.
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Lines and fields.
        b"GET /x HTTP/1.1\nHost: a\n\n",
        b"GET /x HTTP/1.1\r\nHost: a\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: caf\xe9\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        // Hosts.
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: user@a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a%2eb\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
        // Targets.
        b"GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /x\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // Other protocols and expectations.
        b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: x-amz-date\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nTrailer: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
        // Methods.
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"BREW /x HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for bytes in heads {
        let shown = String::from_utf8_lossy(bytes);
        let answer = fixture.exchange(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{shown:?} got {answer:?}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{shown:?} got {answer:?}"
        );
        assert_eq!(fixture.served(), Vec::<String>::new(), "{shown:?}");
    }
}

#[tokio::test]
async fn ambiguous_chunks_never_become_a_whole_body() {
    let fixture = fixture();
    for body in [
        "3;x=1\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nX-Smuggled: 1\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n",
        "3\r\nabc\r\n",
    ] {
        let head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let mut stream = TcpStream::connect(fixture.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an end.
        drop(stream.read_to_end(&mut answer).await);
        assert_eq!(fixture.served(), Vec::<String>::new(), "{body:?}");
    }
}

#[tokio::test]
async fn paths_keep_the_bytes_of_the_client() {
    let fixture = fixture();
    for path in [
        "/b/..//x",
        "/b/%2F%2f/%C3%A9",
        "/a+b:c@d!$&'()*,;=~",
        "//",
        "/./../%2e%2e",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = fixture.exchange(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} got {answer}");
        assert_eq!(fixture.served().pop().as_deref(), Some(path));
    }
}

#[tokio::test]
async fn a_body_nobody_read_is_never_a_request() {
    let fixture = fixture();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
    let request = format!(
        "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let answer = fixture.exchange(request.as_bytes()).await;
    assert_eq!(
        answer.matches("HTTP/1.1 200").count(),
        1,
        "the client reads the answer"
    );
    assert_eq!(fixture.served(), ["/unread"]);
}

#[tokio::test]
async fn a_client_that_is_still_sending_is_not_reset_at_once() {
    let fixture = fixture();
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let head = b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for _ in 0..20 {
        stream.write_all(&[7; 10_000]).await.expect("no reset");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_second_request_on_a_connection_is_served() {
    let fixture = fixture();
    let answer = fixture
        .exchange(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
              POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\
              GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(fixture.served(), ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let fixture = fixture();
    let long = format!(
        "GET /x HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(30_000)
    );
    assert!(
        fixture
            .exchange(long.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let many = format!(
        "GET /x HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: a\r\n".repeat(50)
    );
    assert!(
        fixture
            .exchange(many.as_bytes())
            .await
            .starts_with("HTTP/1.1 4")
    );
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    assert!(
        fixture
            .exchange(target.as_bytes())
            .await
            .starts_with("HTTP/1.1 4")
    );
    assert!(fixture.served().is_empty());
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let fixture = fixture();
    let started = tokio::time::Instant::now();
    let answer = fixture.exchange(b"GET /x HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert_eq!(answer, "");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "before the idle time-out"
    );
    assert!(fixture.served().is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let fixture = fixture_with(
        Limits {
            idle_timeout: Duration::from_millis(300),
            ..limits()
        },
        None,
    );
    assert_eq!(fixture.exchange(b"").await, "");
    let answer = fixture
        .exchange(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let limits = Limits {
        upstream_timeout: Duration::from_millis(100),
        body_idle_timeout: Duration::from_millis(200),
        drain_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_secs(60),
        ..limits()
    };
    let listener = Listener::bind(&listen(limits), None).unwrap();
    let address = listener.address().unwrap();
    let ended = Arc::new(Notify::new());
    let handler = {
        let ended = ended.clone();
        move |_: Request<Incoming>, _| {
            let endless = Endless(ended.clone());
            async move { Response::new(ResponseBody::wrap(endless)) }
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(handler, CancellationToken::new()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let ended = ended.notified();
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("the answer is given up");
}

/// A body without an end that tells when it is dropped.
struct Endless(Arc<Notify>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = crate::body::BoxError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let chunk = Bytes::from_static(&[0; 16 * 1024]);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(chunk))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let fixture = fixture_with(
        Limits {
            connections: 1,
            idle_timeout: Duration::from_millis(500),
            ..limits()
        },
        None,
    );
    let occupying = TcpStream::connect(fixture.address).await.unwrap();
    let waiting = fixture.exchange(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (answer, ()) = tokio::join!(waiting, async {
        occupying.readable().await.unwrap();
        drop(occupying);
    });
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn calls_in_flight_finish_after_shutdown_and_new_ones_find_nobody() {
    let listener = Listener::bind(&listen(limits()), None).unwrap();
    let address = listener.address().unwrap();
    let shutdown = CancellationToken::new();
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, release) = (entered.clone(), release.clone());
        move |_: Request<Incoming>, _| {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                Response::new(ResponseBody::from(Bytes::from_static(b"done")))
            }
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(handler, shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    entered.notified().await;
    shutdown.cancel();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
        "{answer}"
    );
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_does_not_drain_is_cut() {
    let fixture = fixture_with(
        Limits {
            drain_timeout: Duration::from_millis(100),
            head_timeout: Duration::from_secs(60),
            ..limits()
        },
        None,
    );
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head).await.unwrap();
    while fixture.served().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut tasks = fixture.tasks;
    fixture.shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
