//! Streamed answers and what is recorded of them.

use std::collections::VecDeque;
use std::path::Path;

use portcullis_core::answer::Expected;
use portcullis_core::catalog::{Catalog, Protocol};
use portcullis_core::record::Intent;
use portcullis_core::record::entry::Entry;
use tempfile::TempDir;

use super::*;
use crate::audit::read::Reader;
use crate::audit::{OpenError, Settings};

/// An answer to one operation, streamed in pieces, and its log.
struct Streamed {
    dir: TempDir,
    audit: Arc<Audit>,
    body: RecordedStream,
}

/// A body of known pieces.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.get_mut().0.pop_front();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn open(dir: &Path) -> Audit {
    // Children that other tests start hold the lock between their fork and their exec.
    loop {
        match Audit::open(dir, Settings::default()) {
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

async fn streamed(operation: &str, status: u16, length: Option<u64>, pieces: &[&[u8]]) -> Streamed {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
    let audit = Arc::new(open(dir.path()));
    let now = clock::now();
    let intent = Intent::new(crate::audit::request_id(now).unwrap(), now);
    let recorded = audit.intent(&intent).await.unwrap();
    let outcome = Outcome::new(End::Answered, now);
    let replying = audit.head(recorded, &outcome).await.unwrap();
    let expected = Expected::new(Catalog::embedded(), "s3", operation, Protocol::RestXml);
    let head = Response::builder().status(status).body(()).unwrap();
    let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece));
    let body = RecordedStream {
        body: ResponseBody::wrap(Pieces(pieces.collect())),
        length,
        bytes: 0,
        passed: 0,
        withheld: None,
        dialect: Dialect::S3,
        watch: Watch::new(expected.as_ref(), &head.into_parts().0),
        state: State::Streaming(replying),
        audit: audit.clone(),
    };
    Streamed { dir, audit, body }
}

impl Streamed {
    /// What was passed on, whether it ended in good order, and the record.
    async fn end(mut self) -> (Vec<Bytes>, bool, Entry) {
        let mut passed = Vec::new();
        let good = loop {
            match self.body.frame().await {
                Some(Ok(frame)) => passed.push(frame.into_data().unwrap()),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        drop(self.body);
        self.audit.close();
        let mut reader = Reader::open(self.dir.path(), None).unwrap();
        let mut call = None;
        while let Some(entry) = reader.next_entry().unwrap() {
            if entry.text("outcome").is_some() {
                call = Some(entry);
            }
        }
        (passed, good, call.unwrap())
    }
}

/// `SelectObjectContent`'s `Cont` event: both checksums hold.
fn event() -> Vec<u8> {
    watch::tests::message(&[(":message-type", "event"), (":event-type", "Cont")], b"")
}

#[tokio::test]
async fn white_space_passes_at_once_and_the_error_behind_it_is_recorded() {
    let pieces: [&[u8]; 3] = [b"  ", b" <Error><Code>SlowDown</Code>", b"</Error>"];
    let answer = streamed("CompleteMultipartUpload", 200, None, &pieces).await;
    let (passed, good, record) = answer.end().await;
    assert_eq!(
        (passed, good),
        (pieces.map(Bytes::from_static).to_vec(), true)
    );
    assert_eq!(record.text("outcome"), Some("answered"));
    assert_eq!(record.text("error_code"), Some("SlowDown"));
    assert_eq!(record.text("error_class"), Some("upstream"));
}

#[tokio::test]
async fn a_streamed_error_is_recorded_with_its_code() {
    let body: &[u8] = b"<Error><Code>NoSuchKey</Code><Message>secret</Message></Error>";
    for length in [None, Some(body.len() as u64)] {
        let answer = streamed("GetObject", 404, length, &[body]).await;
        let (passed, good, record) = answer.end().await;
        assert_eq!((passed.concat(), good), (body.to_vec(), true));
        assert_eq!(record.text("error_code"), Some("NoSuchKey"));
        assert_eq!(record.text("error_class"), Some("downstream"));
        assert_eq!(record.text("error_message"), None);
    }
}

#[tokio::test]
async fn an_object_that_looks_like_an_error_is_none() {
    let body: &[u8] = b"<Error><Code>NoSuchKey</Code></Error>";
    let answer = streamed("GetObject", 200, None, &[body]).await;
    let (passed, good, record) = answer.end().await;
    assert_eq!((passed.concat(), good), (body.to_vec(), true));
    assert_eq!(record.text("error_code"), None);
}

#[tokio::test]
async fn a_whole_stream_of_events_passes_as_it_came() {
    let stream = [event(), event()].concat();
    for length in [None, Some(stream.len() as u64)] {
        for cut in [1, 20, event().len(), stream.len() - 1] {
            let (first, second) = stream.split_at(cut);
            let answer = streamed("SelectObjectContent", 200, length, &[first, second]).await;
            let (passed, good, record) = answer.end().await;
            assert_eq!((passed.concat(), good), (stream.clone(), true), "{cut}");
            assert_eq!(record.text("outcome"), Some("answered"));
        }
    }
}

#[tokio::test]
async fn a_corrupt_event_ends_the_connection() {
    let good = event();
    let mut bad = event();
    *bad.last_mut().unwrap() ^= 1;
    let all = [&good[..], &bad].concat();
    for (pieces, length) in [
        (vec![&good[..], &bad, &good], None),
        (vec![&all[..]], None),
        (vec![&all[..]], Some(all.len() as u64)),
        (vec![&good[..], &good[1..]], None),
        (vec![&good[..], &good[..9]], None),
    ] {
        let answer = streamed("SelectObjectContent", 200, length, &pieces).await;
        let (passed, whole, record) = answer.end().await;
        assert!(!whole);
        assert!(good.starts_with(&passed.concat()), "{passed:?}");
        assert_eq!(record.text("outcome"), Some("interrupted"));
    }
}
