//! Streams of signed events: what AWS's own signer wrapped comes out as exactly what it wrapped, in
//! whatever pieces it arrives. Of a stream that was changed on its way nothing comes out that was
//! not in it, in its order, and only the right one ends.
//!
//! Input: `<event size> <piece size> <mend>`, a line feed, the data; its last `4 × n` bytes are
//! edits of the stream, as [`crate::edit`] has them, whose checksums are mended if `<mend>` is odd.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::event_stream::{sign_empty_message, sign_message};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use portcullis_core::catalog::{Catalog, Protocol};
use portcullis_core::event_stream::upload::{EventReader, Inputs};
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{EventChain, Scope};

use crate::request::{SECRET, now, secret};
use crate::{bounded, edit, events};

const TIME: &str = "20260102T030405Z";
/// What the request's own signature would be.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";

pub(crate) fn check(input: &[u8]) {
    let Some((case, edits)) = Case::parse(input) else {
        return;
    };
    let (stream, events) = case.signed();
    let right = bounded(stream.len(), || read(&stream, stream.len()));
    assert_eq!(right, (events.clone(), Ok(())), "what was signed");
    assert_eq!(read(&stream, case.piece), right, "pieces");
    let mut bent = edit::apply(&stream, &edits);
    if case.mend {
        mended(&mut bent);
    }
    let (passed, end) = read(&bent, bent.len().max(1));
    assert_eq!(read(&bent, case.piece).0, passed, "pieces");
    assert!(events.starts_with(&passed), "another event is accepted");
    if end.is_ok() {
        assert_eq!(passed, events, "another stream is accepted");
    }
}

struct Case {
    data: Vec<u8>,
    event: usize,
    piece: usize,
    mend: bool,
}

impl Case {
    fn parse(input: &[u8]) -> Option<(Self, Vec<edit::Edit>)> {
        let end = input.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(&input[..end]).ok()?;
        let mut words = line.split(' ');
        // A signature costs more than an event's bytes: few of them.
        let least = (input.len() / 32).max(1);
        let event = words.next()?.parse::<usize>().ok()?.clamp(least, 1 << 20);
        let piece = words.next()?.parse::<usize>().ok()?.clamp(1, 1 << 20);
        let mend = words.next()?.parse::<u8>().ok()? % 2 == 1;
        let (data, edits) = edit::split(&input[end + 1..])?;
        let case = Self {
            data: data.to_vec(),
            event,
            piece,
            mend,
        };
        Some((case, edits))
    }

    /// The stream as the other signer wraps and signs it, and what is in it.
    fn signed(&self) -> (Vec<u8>, Vec<Bytes>) {
        let identity = Credentials::new("PCAKEXAMPLE0000000", SECRET, None, None, "fuzz").into();
        let since = now().unix_timestamp().unsigned_abs();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("transcribe")
            .time(UNIX_EPOCH + Duration::from_secs(since))
            .settings(())
            .build()
            .unwrap();
        let (mut stream, mut events, mut last) = (Vec::new(), Vec::new(), SEED.to_owned());
        for chunk in self.data.chunks(self.event) {
            let event = audio(chunk);
            events.push(written(&event).into());
            let (envelope, signature) = sign_message(&event, &last, &params).unwrap().into_parts();
            stream.extend(written(&envelope));
            last = signature;
        }
        let (end, _) = sign_empty_message(&last, &params).unwrap().into_parts();
        stream.extend(written(&end));
        (stream, events)
    }
}

fn audio(chunk: &[u8]) -> Message {
    let header = |name: &'static str, value: &'static str| {
        Header::new(name, HeaderValue::String(value.into()))
    };
    Message::new(Bytes::copy_from_slice(chunk))
        .add_header(header(":event-type", "AudioEvent"))
        .add_header(header(":content-type", "application/octet-stream"))
        .add_header(header(":message-type", "event"))
}

fn written(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message_to(message, &mut bytes).unwrap();
    bytes
}

/// Gives envelopes, and the messages in them, the checksums that fit.
fn mended(stream: &mut [u8]) {
    let mut at = 0;
    while let Some(&[a, b, c, d, e, f, g, h]) = stream.get(at..).and_then(<[u8]>::first_chunk) {
        let end = at.saturating_add(u32::from_be_bytes([a, b, c, d]) as usize);
        let start = at.saturating_add(12 + u32::from_be_bytes([e, f, g, h]) as usize);
        let Some(message) = stream.get_mut(start..end.saturating_sub(4)) else {
            break;
        };
        events::mended(message);
        at = end;
    }
    events::mended(stream);
}

/// What comes out of a stream, and whether it ended as it should.
fn read(stream: &[u8], piece: usize) -> (Vec<Bytes>, Result<(), Refusal>) {
    let scope = Scope {
        date: "20260102".to_owned(),
        reach: "us-east-1".into(),
        service: "transcribe".to_owned(),
    };
    let chain = EventChain::new(&secret(), &scope, TIME, SEED).unwrap();
    let (service, operation) = ("transcribe-streaming", "StartStreamTranscription");
    let inputs = Inputs::new(Catalog::embedded(), service, operation, Protocol::RestJson);
    let mut reader = EventReader::new(chain, inputs.unwrap());
    let mut passed = Vec::new();
    for piece in stream.chunks(piece) {
        let mut wire = Bytes::copy_from_slice(piece);
        while !wire.is_empty() {
            match reader.pull(&mut wire, now()) {
                Ok(event) if event.is_empty() => {}
                Ok(event) => passed.push(event),
                Err(refusal) => return (passed, Err(refusal)),
            }
        }
    }
    let end = reader.finish();
    (passed, end)
}
