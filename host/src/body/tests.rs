//! What `body` promises, as tests.

use std::sync::Mutex;

use http::{Request, Response};
use portcullis_core::sigv4::PayloadMode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{Listen, Tls};
use crate::listener::Listener;

const LIMIT: usize = 100_000;

fn limits() -> Limits {
    Limits {
        body_bytes: LIMIT,
        buffered_bytes: LIMIT + LIMIT / 2,
        body_idle_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// Admits `sent` as one request after another and returns what became of the bodies.
async fn admitted(sent: &[&[u8]]) -> Vec<Result<Bytes, Refusal>> {
    let listen = Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: Tls::Off,
        hostname: None,
        limits: limits(),
    };
    let listener = Listener::bind(&listen, None).unwrap();
    let address = listener.address().unwrap();
    let bodies = Bodies::new(&limits());
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    // Kept, so that every body keeps its share of the budget.
    let kept = Arc::new(Mutex::new(Vec::new()));
    let log = outcomes.clone();
    let handler = move |request: Request<Incoming>, _| {
        let (bodies, log, kept) = (bodies.clone(), log.clone(), kept.clone());
        async move {
            let mode = PayloadMode::Absent;
            let outcome = bodies
                .admit(request.into_body(), &mode, Intake::Stream)
                .await;
            let outcome = outcome.map(|admitted| {
                let Payload::Whole(bytes) = admitted.payload else {
                    panic!("a body without a digest was not read whole");
                };
                kept.lock().unwrap().push(admitted.share);
                bytes
            });
            log.lock().unwrap().push(outcome);
            Response::new(ResponseBody::empty())
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(handler, CancellationToken::new()));
    for bytes in sent {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    std::mem::take(&mut outcomes.lock().unwrap())
}

fn post(length: usize) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.into_bytes(), vec![7; length]].concat()
}

fn chunked(length: usize) -> Vec<u8> {
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"3e8\r\n".as_slice(), &[7; 1000], b"\r\n"].concat();
    [head.as_bytes(), &chunk.repeat(length / 1000), b"0\r\n\r\n"].concat()
}

#[tokio::test]
async fn bodies_up_to_the_limit_are_read_whole_and_others_refused() {
    let too_large = Err(Refusal::PayloadTooLarge {
        limit: LIMIT as u64,
    });
    for (sent, expected) in [
        (post(0), Ok(Bytes::new())),
        (post(1), Ok(Bytes::from_static(&[7]))),
        (post(LIMIT), Ok(Bytes::from(vec![7; LIMIT]))),
        (post(LIMIT + 1), too_large.clone()),
        (chunked(50_000), Ok(Bytes::from(vec![7; 50_000]))),
        (chunked(LIMIT + 1000), too_large),
    ] {
        assert_eq!(admitted(&[&sent]).await, [expected]);
    }
}

#[tokio::test]
async fn bodies_of_all_connections_share_one_budget() {
    let outcomes = admitted(&[&post(LIMIT), &post(LIMIT), &post(1)]).await;
    let overloaded = Err(Refusal::Overloaded("bytes in flight"));
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], overloaded);
    assert!(outcomes[2].is_ok());
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_refused() {
    let sent = post(1000);
    assert_eq!(admitted(&[&sent[..500]]).await, [Err(Refusal::BodyTimeout)]);
}

#[tokio::test]
async fn trailers_are_refused() {
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sent = format!("{head}1\r\na\r\n0\r\nx-amz-meta-a: b\r\n\r\n");
    let refused = Refusal::Malformed("the body has trailers".to_owned());
    assert_eq!(admitted(&[sent.as_bytes()]).await, [Err(refused)]);
}

/// The side of a conversation that says nothing.
struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        std::task::Poll::Pending
    }
}

const SILENCE: Duration = Duration::from_millis(200);

/// Lets one side be heard for five times as long as both may be silent; `work` must not end
/// meanwhile.
async fn heard<T>(conversation: &Conversation, work: impl AsyncFn() -> T) {
    let mut ticks = tokio::time::interval(SILENCE / 10);
    let start = tokio::time::Instant::now();
    while start.elapsed() < 5 * SILENCE {
        tokio::select! {
            biased;
            _ = ticks.tick() => conversation.heard(),
            _ = work() => panic!("ended in the middle of a conversation"),
        }
    }
}

#[tokio::test]
async fn a_side_may_be_silent_for_as_long_as_the_other_is_heard() {
    let conversation = Conversation::new(StreamFailure::default());
    let idle = Idle::new(Silent, SILENCE).within(Some(conversation.clone()));
    let idle = tokio::sync::Mutex::new(idle);
    heard(&conversation, async || idle.lock().await.frame().await).await;
    let end = idle.into_inner().frame().await;
    assert!(matches!(end, Some(Err(IdleError::Paused))));
    assert!(conversation.last().elapsed() >= SILENCE);
}

#[tokio::test]
async fn a_conversation_keeps_its_connection_from_counting_as_stalled() {
    let conversation = Conversation::new(StreamFailure::default());
    let busy = Busy::default();
    let answer = ResponseBody::empty().within(Some(conversation.clone()));
    let _answer = answer.guarded(busy.guard());
    heard(&conversation, async || {
        busy.unused_for(SILENCE, SILENCE).await;
    })
    .await;
    busy.unused_for(SILENCE, SILENCE).await;
    assert!(conversation.last().elapsed() >= SILENCE);
}

#[test]
fn a_share_of_the_budget_is_what_is_held() {
    let budget = Arc::new(Semaphore::new(10));
    let mut share = BudgetShare::default();
    for (held, left) in [(0, 10), (4, 6), (7, 3), (2, 8), (2, 8), (0, 10), (10, 0)] {
        share.hold(&budget, held).unwrap();
        assert_eq!(budget.available_permits(), left, "{held}");
    }
    let more = share.hold(&budget, 11);
    assert_eq!(more, Err(Refusal::Overloaded("bytes in flight")));
    drop(share);
    assert_eq!(budget.available_permits(), 10);
}
