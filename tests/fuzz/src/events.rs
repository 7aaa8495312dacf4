//! Event streams: the same messages in whatever pieces they come, every checksum right by another
//! CRC, and the messages' own bytes are the stream's.
//!
//! Input: how many bytes come at once, whether checksums are mended first, the stream.

use bytes::Bytes;
use portcullis_core::event_stream::{Frame, Frames};

use crate::bounded;

const PRELUDE: usize = 12;

pub(crate) fn check(bytes: &[u8]) {
    let [size, mend, stream @ ..] = bytes else {
        return;
    };
    let mut stream = stream.to_vec();
    if mend % 2 == 1 {
        mended(&mut stream);
    }
    let (whole, corrupt) = bounded(stream.len(), || frames(&stream, stream.len().max(1)));
    let (pieces, again) = frames(&stream, usize::from(*size).max(1));
    assert_eq!((&whole, corrupt), (&pieces, again), "pieces");
    let mut at = 0;
    for frame in whole {
        let raw = &frame.raw;
        assert_eq!(&stream[at..at + raw.len()], raw, "other bytes");
        at += raw.len();
        let (body, crc) = raw.split_at(raw.len() - 4);
        assert_eq!(crc32fast::hash(body).to_be_bytes(), crc, "checksum");
        assert_eq!(
            crc32fast::hash(&raw[..8]).to_be_bytes(),
            raw[8..12],
            "prelude"
        );
        assert_eq!(Frame::parse(Bytes::copy_from_slice(raw)), Ok(frame.clone()));
        let mut names: Vec<_> = frame.headers.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), frame.headers.len(), "a header twice");
    }
}

/// The messages of a stream, and whether it broke.
fn frames(stream: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let (mut frames, mut all) = (Frames::default(), Vec::new());
    for piece in stream.chunks(size) {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
    }
    (all, frames.finish().is_err())
}

/// Gives every message whose lengths make sense the checksums that fit.
pub(crate) fn mended(stream: &mut [u8]) {
    let mut at = 0;
    while let Some(prelude) = stream.get(at..at + PRELUDE) {
        let length = u32::from_be_bytes([prelude[0], prelude[1], prelude[2], prelude[3]]) as usize;
        let end = at.saturating_add(length);
        if length < PRELUDE + 4 || end > stream.len() {
            return;
        }
        let crc = crc32fast::hash(&stream[at..at + 8]).to_be_bytes();
        stream[at + 8..at + PRELUDE].copy_from_slice(&crc);
        let crc = crc32fast::hash(&stream[at..end - 4]).to_be_bytes();
        stream[end - 4..end].copy_from_slice(&crc);
        at = end;
    }
}
