//! Bodies on their way to AWS, checked while they pass.

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
