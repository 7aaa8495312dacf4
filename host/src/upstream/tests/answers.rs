//! Answers on their way back: as they came, when they came, over whatever AWS speaks.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Version;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use super::*;
use crate::tls::{CA_FILE, Certificates};

/// A body that the test feeds.
struct Fed(mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = crate::body::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = self.0.poll_recv(context);
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

type Seen = Arc<Mutex<Vec<(Version, Head)>>>;

/// Something in AWS's place that offers HTTP/2, and answers with what it is fed.
fn encrypted(dir: &Path, fed: mpsc::Receiver<Bytes>) -> (Endpoint, Seen, JoinSet<()>) {
    let listen = Listen {
        tls: Tls::OwnCa,
        ..config(None).listen
    };
    let issued = OffsetDateTime::now_utc();
    let certificates = Certificates::load(&listen, dir, issued).unwrap().unwrap();
    let tls = certificates.server_config().unwrap();
    let listener = Listener::bind(&listen, Some(tls)).unwrap();
    let address = listener.address().unwrap();
    let seen = Seen::default();
    let (log, fed) = (seen.clone(), Arc::new(Mutex::new(Some(fed))));
    let handler = move |request: Request<Incoming>, peer| {
        let head = listener::head(&request, &peer).unwrap();
        log.lock().unwrap().push((request.version(), head));
        let fed = fed.lock().unwrap().take();
        async move {
            let body = fed.map_or_else(ResponseBody::empty, |fed| ResponseBody::wrap(Fed(fed)));
            Response::new(body)
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.serve(handler, CancellationToken::new()));
    let endpoint = Endpoint {
        https: true,
        ca: Some(dir.join(CA_FILE)),
        ..endpoint(address)
    };
    (endpoint, seen, tasks)
}

/// A call that is sent over these versions.
fn subscribe(endpoint: &Endpoint, versions: Versions) -> Outgoing {
    let route = Route::endpoint(endpoint, "kinesis", "us-east-1");
    let target = [("x-amz-target", "Kinesis_20131202.SubscribeToShard")];
    let head = head(Method::POST, "/", None, &target);
    Outgoing {
        versions,
        ..outgoing(head, route, PayloadMode::Absent, b"{}")
    }
}

#[tokio::test]
async fn an_event_stream_comes_over_http2_frame_by_frame() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, fed) = mpsc::channel(1);
    let (endpoint, seen, _tasks) = encrypted(dir.path(), fed);
    let mut config = config(Some(endpoint.clone()));
    config.listen.limits.upstream_timeout = Duration::from_secs(20);
    let upstream = Upstream::new(&config).unwrap();
    let outgoing = subscribe(&endpoint, Versions::Negotiated);
    let mut body = exchange(&upstream, outgoing).await.unwrap().into_body();
    // The next one is only fed when the one before it is here.
    for event in ["first event", "second event"] {
        feed.send(Bytes::from_static(event.as_bytes()))
            .await
            .unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    drop(feed);
    assert!(body.collect().await.unwrap().to_bytes().is_empty());
    let (version, head) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(version, Version::HTTP_2);
    check_signature(head, b"{}").unwrap();
}

#[tokio::test]
async fn other_calls_stay_on_http1_and_an_emulator_need_not_offer_more() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, fed) = mpsc::channel(1);
    drop(feed);
    let (endpoint, seen, _tasks) = encrypted(dir.path(), fed);
    let upstream = Upstream::new(&config(Some(endpoint.clone()))).unwrap();
    let outgoing = subscribe(&endpoint, Versions::One);
    exchange(&upstream, outgoing).await.unwrap();
    assert_eq!(seen.lock().unwrap().pop().unwrap().0, Version::HTTP_11);

    let aws = aws(|| Response::new(Full::default()));
    let plain = self::endpoint(aws.address);
    let upstream = self::upstream(aws.address);
    let outgoing = subscribe(&plain, Versions::Negotiated);
    exchange(&upstream, outgoing).await.unwrap();
    assert_eq!(aws.seen.lock().unwrap().len(), 1);
}

/// What the agent gets of these bytes: head, body and trailers.
async fn answered(bytes: &'static [u8]) -> (Response<()>, Bytes, Option<HeaderMap>) {
    let (address, _tasks) = rude(bytes);
    let answer = exchange(&upstream(address), get(address)).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    (Response::from_parts(head, ()), body.to_bytes(), trailers)
}

#[tokio::test]
async fn trailers_of_an_answer_are_kept() {
    let (head, body, trailers) = answered(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-amz-checksum-crc32\r\n\r\n\
          5\r\nhello\r\n0\r\nx-amz-checksum-crc32: NhCmhg==\r\n\r\n",
    )
    .await;
    assert_eq!(head.headers()["trailer"], "x-amz-checksum-crc32");
    assert_eq!(body, "hello");
    assert_eq!(trailers.unwrap()["x-amz-checksum-crc32"], "NhCmhg==");
}

#[tokio::test]
async fn an_error_behind_a_200_reaches_the_agent_with_the_blanks_before_it() {
    let (head, body, _) = answered(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n1\r\n\n\r\n\
          32\r\n<Error><Code>SlowDown</Code><Message/></Error>    \r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(head.status(), StatusCode::OK);
    let expected = " \n<Error><Code>SlowDown</Code><Message/></Error>    ";
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_said_so_and_not_followed() {
    for (status, expected) in [
        (301, StatusCode::MOVED_PERMANENTLY),
        (307, StatusCode::TEMPORARY_REDIRECT),
    ] {
        let bytes = format!(
            "HTTP/1.1 {status} Moved\r\nx-amz-bucket-region: eu-west-1\r\n\
             location: http://127.0.0.1:1/\r\ncontent-length: 59\r\n\r\n\
             <Error><Code>PermanentRedirect</Code><Bucket>b</Bucket></Er"
        );
        let (head, body, _) = answered(bytes.leak().as_bytes()).await;
        assert_eq!(head.status(), expected);
        assert_eq!(head.headers()["x-amz-bucket-region"], "eu-west-1");
        assert_eq!(head.headers()["location"], "http://127.0.0.1:1/");
        assert!(body.starts_with(b"<Error><Code>PermanentRedirect"));
    }
}
