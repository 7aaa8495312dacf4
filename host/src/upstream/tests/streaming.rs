//! Bodies on their way to AWS, checked while they pass.

use http_body::Frame;
use portcullis_core::aws_chunked::{Decoder, Encoder, SignedDecoder, Trailer};
use portcullis_core::checksum::{Algorithm, Hasher};
use portcullis_core::sigv4::payload::{BodyCheck, BodyDigest};
use portcullis_core::sigv4::{ChunkChain, Scope};

use super::*;

/// The chain of an agent's upload.
fn chain() -> ChunkChain {
    let scope = Scope {
        date: "20231114".to_owned(),
        reach: "us-east-1".into(),
        service: "s3".to_owned(),
    };
    let secret = SigningSecret::new("secret of the agent".to_owned());
    ChunkChain::new(&secret, &scope, "20231114T221320Z", &"0".repeat(64)).unwrap()
}

/// What verification would have said that the body has to hold to.
fn check(mode: &PayloadMode) -> BodyCheck {
    match mode {
        PayloadMode::Absent => panic!("a body that is read whole"),
        PayloadMode::Digest(digest) => BodyCheck::Digest(BodyDigest::new(*digest)),
        PayloadMode::SignedChunks {
            decoded_length,
            trailer,
        } => {
            let decoder = SignedDecoder::new(chain(), *decoded_length, *trailer);
            BodyCheck::SignedChunks(Box::new(decoder))
        }
        PayloadMode::SignedEvents => panic!("events, which are tested with both sides at once"),
        PayloadMode::Unsigned => BodyCheck::Nothing,
        PayloadMode::UnsignedTrailer {
            decoded_length,
            trailer,
        } => {
            let decoder = Decoder::new(*decoded_length, trailer.as_deref()).unwrap();
            BodyCheck::Trailer(Box::new(decoder))
        }
    }
}

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
            let body = StreamingBody::new(admitted.stream.unwrap(), check(&mode));
            let outgoing = Outgoing {
                head,
                bucket: None,
                route: Route::endpoint(&endpoint(aws), "s3", "us-east-1"),
                embedded: None,
                versions: Versions::One,
                payload_mode: mode,
                body: OutgoingBody::Stream(Box::new(body)),
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

/// `data` as an agent sends it in signed chunks, with a CRC-32 behind it.
fn signed_chunks(data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(chain());
    let mut left = Bytes::copy_from_slice(data);
    let mut body = Vec::new();
    while let Some(chunk) = encoder.pull(&mut left) {
        body.extend_from_slice(&chunk);
    }
    let mut hasher = Hasher::new(Algorithm::Crc32);
    hasher.update(data);
    let trailer = Trailer {
        algorithm: Algorithm::Crc32,
        value: hasher.finish(),
    };
    body.extend_from_slice(&encoder.finish(Some(&trailer)));
    body
}

fn signed_mode(data: &[u8]) -> PayloadMode {
    PayloadMode::SignedChunks {
        decoded_length: data.len() as u64,
        trailer: Some(Algorithm::Crc32),
    }
}

const CHUNKED: &str = "x-amz-trailer: x-amz-checksum-crc32\r\nContent-Encoding: aws-chunked,gzip";

/// What an agent announces of it, and the framing of HTTP.
fn announced(data: &[u8], framing: &str) -> String {
    let length = data.len();
    format!("x-amz-decoded-content-length: {length}\r\n{CHUNKED}\r\n{framing}")
}

#[tokio::test]
async fn signed_chunks_are_signed_anew_with_the_gateways_credential() {
    for length in [0, 1, 65_536, 300_000] {
        let aws = aws(|| Response::new(Full::default()));
        let data: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
        let (gateway, refusals, _tasks) = gateway(aws.address, signed_mode(&data)).await;
        let body = signed_chunks(&data);
        let framing = format!("Content-Length: {}", body.len());
        let answer = put(gateway, &announced(&data, &framing), &body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer} {refusals:?}");
        let (head, seen) = aws.seen.lock().unwrap().pop().unwrap();
        assert_eq!(head.headers["content-length"], seen.len().to_string());
        assert_eq!(head.headers["content-encoding"], "aws-chunked,gzip");
        assert_ne!(seen, body);
        let signed = SignedRequest::parse(head).unwrap();
        let secret = SigningSecret::new(SECRET.to_owned());
        let verified = signed.verify(&secret, Payload::Streamed, now()).unwrap();
        let Some(BodyCheck::SignedChunks(mut decoder)) = verified.into_parts(None).unwrap().check
        else {
            panic!("not sent in signed chunks");
        };
        let (mut wire, mut arrived) = (seen, Vec::new());
        while !wire.is_empty() {
            arrived.extend_from_slice(&decoder.pull(&mut wire).unwrap());
        }
        assert_eq!(arrived, data);
        assert!(decoder.finish().unwrap().is_some());
    }
}

#[tokio::test]
async fn a_bad_chain_never_becomes_a_whole_upload() {
    let aws = aws(|| Response::new(Full::default()));
    let data = vec![b'a'; 200_000];
    let (gateway, refusals, _tasks) = gateway(aws.address, signed_mode(&data)).await;
    let good = signed_chunks(&data);
    let chunk = good.len() - signed_chunks(&data[65_536..]).len();
    let (first, second) = (&good[..chunk], &good[chunk..2 * chunk]);
    let mut flipped = good.clone();
    flipped[200] ^= 1;
    let mut trailer = good.clone();
    let last = trailer.len() - 5;
    trailer[last] ^= 1;
    for (what, body) in [
        ("a flipped bit", flipped),
        ("a flipped bit in the trailer's signature", trailer),
        ("reordered", [second, first, &good[2 * chunk..]].concat()),
        ("a missing chunk", [first, &good[2 * chunk..]].concat()),
        ("no end", good[..good.len() - 300].to_vec()),
        ("bytes behind the end", [&good[..], first].concat()),
    ] {
        let framing = format!("Content-Length: {}", body.len());
        let answer = put(gateway, &announced(&data, &framing), &body).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        assert!(aws.seen.lock().unwrap().is_empty(), "{what}");
        assert!(refusals.lock().unwrap().pop().is_some(), "{what}");
    }
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
