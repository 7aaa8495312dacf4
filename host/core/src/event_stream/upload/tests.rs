//! Streams signed by the SDK's own signer, whole, cut in every way, and tampered with.

use std::time::{Duration as StdDuration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::event_stream::{sign_empty_message, sign_message};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::event_stream::HeaderValue;
use crate::event_stream::tests::{frame, string};
use crate::sigv4::{Scope, SigningSecret};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const OTHER: &str = "another-secret-that-AWS-believes-in-12345";
const HEAD: OffsetDateTime = datetime!(2015-08-30 12:36:00 UTC);

/// The head's own signature, where the chain begins.
fn seed(byte: u8) -> String {
    hex::encode([byte; 32])
}

fn chain(secret: &str, seed: &str) -> EventChain {
    let scope = Scope {
        date: "20150830".to_owned(),
        reach: "us-east-1".into(),
        service: "lex".to_owned(),
    };
    let secret = SigningSecret::new(secret.to_owned());
    EventChain::new(&secret, &scope, "20150830T123600Z", seed).unwrap()
}

fn inputs() -> Inputs {
    let catalog = Catalog::embedded();
    let service = "lexv2-runtime";
    Inputs::new(catalog, service, "StartConversation", Protocol::RestJson).unwrap()
}

fn reader() -> EventReader {
    EventReader::new(chain(SECRET, &seed(7)), inputs())
}

/// The SDK's signer.
struct Sdk {
    secret: &'static str,
    last: String,
}

impl Sdk {
    fn new(secret: &'static str) -> Self {
        let last = seed(7);
        Self { secret, last }
    }

    /// Wraps a message, or nothing.
    fn sign(&mut self, message: Option<&[u8]>, at: OffsetDateTime) -> Vec<u8> {
        let credentials = Credentials::new("AKIDEXAMPLE", self.secret, None, None, "test");
        let identity = credentials.into();
        let since = u64::try_from(at.unix_timestamp()).unwrap();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("lex")
            .time(SystemTime::UNIX_EPOCH + StdDuration::from_secs(since))
            .settings(())
            .build()
            .unwrap();
        let signed = match message {
            Some(bytes) => {
                let message = read_message_from(&mut &bytes[..]).unwrap();
                let signed = sign_message(&message, &self.last, &params).unwrap();
                signed.into_parts()
            }
            None => sign_empty_message(&self.last, &params)
                .unwrap()
                .into_parts(),
        };
        self.last = signed.1;
        let mut bytes = Vec::new();
        write_message_to(&signed.0, &mut bytes).unwrap();
        bytes
    }

    /// A whole stream.
    fn stream(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut sdk = Self::new(SECRET);
        let messages = messages.iter().map(|message| Some(&**message));
        let all = messages.chain([None]);
        all.map(|message| sdk.sign(message, HEAD)).collect()
    }
}

fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [
        (":event-type", string(name)),
        (":message-type", string("event")),
        (":content-type", string("application/json")),
    ];
    frame(&headers, payload.as_bytes())
}

fn said(text: &str) -> Vec<u8> {
    event("TextInputEvent", &format!("{{\"text\":\"{text}\"}}"))
}

/// What is passed on of a stream that comes in these pieces.
fn read(pieces: &[&[u8]], now: OffsetDateTime) -> Result<Vec<Bytes>, Refusal> {
    let mut reader = reader();
    let mut passed = Vec::new();
    for piece in pieces {
        let mut wire = Bytes::copy_from_slice(piece);
        loop {
            match reader.pull(&mut wire, now)? {
                event if event.is_empty() => break,
                event => passed.push(event),
            }
        }
        assert!(wire.is_empty());
    }
    reader.finish().map(|()| passed)
}

fn check(expected: &Refusal, stream: &[Vec<u8>]) {
    let seen = read(&[&stream.concat()], HEAD);
    assert_eq!(seen.as_ref(), Err(expected));
}

proptest! {
    #[test]
    fn what_the_sdk_signs_passes_however_it_is_cut(
        texts in prop::collection::vec("[a-z]{0,40}", 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let messages: Vec<_> = texts.iter().map(|text| said(text)).collect();
        let stream = Sdk::stream(&messages).concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&pieces, HEAD).unwrap(), messages);
    }

    #[test]
    fn what_is_sent_is_what_the_sdk_would_have_signed(
        texts in prop::collection::vec("[a-z]{0,40}", 0..6),
        pauses in prop::collection::vec(0..40_000_i64, 7),
    ) {
        let mut sdk = Sdk::new(OTHER);
        let mut writer = EventWriter::new(chain(OTHER, &seed(7)));
        let mut now = HEAD;
        for (text, pause) in texts.iter().zip(&pauses) {
            now += Duration::seconds(*pause);
            let message = said(text);
            let sent = writer.event(&message, now + Duration::milliseconds(999)).unwrap();
            prop_assert_eq!(&*sent, &*sdk.sign(Some(&message), now));
        }
        prop_assert_eq!(&*writer.finish(now).unwrap(), &*sdk.sign(None, now));
    }
}

#[test]
fn one_flipped_bit_anywhere_breaks_the_stream() {
    let whole = Sdk::stream(&[said("a"), said("b")]).concat();
    assert!(read(&[&whole], HEAD).is_ok());
    for at in 0..whole.len() * 8 {
        let mut broken = whole.clone();
        broken[at / 8] ^= 1 << (at % 8);
        assert!(read(&[&broken], HEAD).is_err(), "{at}");
    }
}

/// With checksums that hold, only the signature can tell.
#[test]
fn one_flipped_bit_behind_right_checksums_breaks_the_signature() {
    let stream = Sdk::stream(&[said("a")]);
    let envelope = Frame::parse(stream[0].clone().into()).unwrap();
    let resealed = |headers: &[(String, HeaderValue)], payload: &[u8]| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.clone()))
            .collect();
        frame(&headers, payload)
    };
    assert_eq!(resealed(&envelope.headers, &envelope.payload), stream[0]);
    let inner = Frame::parse(envelope.payload.clone()).unwrap();
    for at in 0..inner.payload.len() * 8 {
        let mut payload = inner.payload.to_vec();
        payload[at / 8] ^= 1 << (at % 8);
        let bent = resealed(&envelope.headers, &resealed(&inner.headers, &payload));
        check(&Refusal::SignatureMismatch, &[bent, stream[1].clone()]);
    }
    for at in 0..256 {
        let mut headers = envelope.headers.clone();
        for (_, value) in &mut headers {
            if let HeaderValue::Bytes(signature) = value {
                let mut bent = signature.to_vec();
                bent[at / 8] ^= 1 << (at % 8);
                *signature = bent.into();
            }
        }
        let bent = resealed(&headers, &envelope.payload);
        check(&Refusal::SignatureMismatch, &[bent, stream[1].clone()]);
    }
}

#[test]
fn messages_hold_in_their_own_place_only() {
    let stream = Sdk::stream(&[said("a"), said("b"), said("c")]);
    let pick = |order: &[usize]| -> Vec<_> { order.iter().map(|at| stream[*at].clone()).collect() };
    assert!(read(&[&pick(&[0, 1, 2, 3]).concat()], HEAD).is_ok());
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 2, 1, 3],
        &[0, 0, 1, 2, 3],
        &[1, 2, 3],
        &[0, 2, 3],
        &[0, 1, 3],
        &[3],
    ] {
        check(&Refusal::SignatureMismatch, &pick(order));
    }
}

#[test]
fn a_chain_begins_with_its_own_head() {
    let stream = Sdk::stream(&[said("a")]).concat();
    for other in [chain(SECRET, &seed(8)), chain(OTHER, &seed(7))] {
        let mut reader = EventReader::new(other, inputs());
        let seen = reader.pull(&mut stream.clone().into(), HEAD);
        assert_eq!(seen, Err(Refusal::SignatureMismatch));
    }
}

#[test]
fn a_stream_ends_with_its_signed_end_and_nothing_else() {
    let stream = Sdk::stream(&[said("a")]);
    let cut = malformed("the event stream ends without its signed empty message");
    check(&cut, &stream[..1]);
    check(&cut, &[]);
    for end in 1..stream[1].len() {
        check(&cut, &[stream[0].clone(), stream[1][..end].to_vec()]);
    }
    let behind = malformed("the event stream goes on behind its end");
    for more in [&b"\0"[..], &stream[0], &stream[1]] {
        let all = [stream.clone(), vec![more.to_vec()]].concat();
        check(&behind, &all);
    }
}

#[test]
fn what_was_refused_stays_refused() {
    let stream = Sdk::stream(&[said("a"), said("b")]);
    let mut reader = reader();
    let first = reader.pull(&mut stream[1].clone().into(), HEAD);
    assert_eq!(first, Err(Refusal::SignatureMismatch));
    for message in &stream {
        let next = reader.pull(&mut message.clone().into(), HEAD);
        assert_eq!(next, Err(malformed("it was refused before")));
    }
    assert!(reader.finish().is_err());
}

#[test]
fn dates_are_near_the_time_of_arrival() {
    let passes = |dates: &[Duration], arrival: Duration| {
        let mut sdk = Sdk::new(SECRET);
        let ends = dates.iter().enumerate();
        let stream: Vec<_> = ends
            .map(|(at, date)| {
                let message = said("a");
                let message = (at + 1 < dates.len()).then_some(&message[..]);
                sdk.sign(message, HEAD + *date)
            })
            .collect();
        read(&[&stream.concat()], HEAD + arrival).map(drop)
    };
    let (second, minute) = (Duration::SECOND, Duration::MINUTE);
    assert_eq!(passes(&[second, 2 * second], 2 * second), Ok(()));
    assert_eq!(
        passes(&[Duration::ZERO, minute * 5], Duration::ZERO),
        Ok(())
    );
    assert_eq!(passes(&[Duration::ZERO, second], minute * 5), Ok(()));
    let skewed = |seen| matches!(seen, Err(Refusal::ClockSkew { .. }));
    assert!(skewed(passes(
        &[Duration::ZERO, second],
        minute * 5 + second
    )));
    assert!(skewed(passes(
        &[Duration::ZERO, minute * 5 + second],
        Duration::ZERO
    )));
}

#[test]
fn a_conversation_may_last_past_midnight() {
    let mut sdk = Sdk::new(SECRET);
    let mut reader = reader();
    for hour in 0..30 {
        let now = HEAD + Duration::hours(hour);
        let mut wire = Bytes::from(sdk.sign(Some(&said("a")), now));
        assert_eq!(reader.pull(&mut wire, now), Ok(said("a").into()));
    }
}

#[test]
fn a_date_outside_every_calendar_is_refused() {
    for date in [i64::MAX, 253_402_300_800_000] {
        let headers = [
            (":date", HeaderValue::Timestamp(date)),
            (
                ":chunk-signature",
                HeaderValue::Bytes(Bytes::from_static(&[0; 32])),
            ),
        ];
        check(
            &malformed("an event has no real date"),
            &[frame(&headers, b"")],
        );
    }
}

#[test]
fn only_events_of_the_model_pass() {
    let refused = |message: Vec<u8>| {
        let seen = read(&[&Sdk::stream(&[message]).concat()], HEAD);
        matches!(seen, Err(Refusal::InvalidInput(_)))
    };
    let headed = |headers: &[(&str, &str)], payload: &str| {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, string(v))).collect();
        frame(&headers, payload.as_bytes())
    };
    let text = (":event-type", "TextInputEvent");
    let is_event = (":message-type", "event");
    assert!(!refused(headed(&[text, is_event], "{\"text\":\"a\"}")));
    assert!(!refused(headed(&[text, is_event], "")));
    assert!(refused(event("IntentResultEvent", "{}")));
    assert!(refused(event("textInputEvent", "{}")));
    assert!(refused(event("initial-request", "{\"botId\":\"other\"}")));
    assert!(refused(event("TextInputEvent", "{\"Text\":\"a\"}")));
    assert!(refused(event(
        "TextInputEvent",
        "{\"text\":\"a\",\"text\":\"b\"}"
    )));
    assert!(refused(event("TextInputEvent", "{\"text\":7}")));
    assert!(refused(event("TextInputEvent", "{\"text\":\"a\"} ,")));
    assert!(refused(headed(&[text], "{}")));
    assert!(refused(headed(&[is_event], "{}")));
    for kind in ["exception", "error", "Event", ""] {
        assert!(
            refused(headed(&[text, (":message-type", kind)], "{}")),
            "{kind}"
        );
    }
    assert!(refused(headed(&[text, is_event, ("botId", "x")], "{}")));
    assert!(refused(headed(
        &[text, is_event, (":content-type", "text/plain")],
        "{}"
    )));
}

#[test]
fn a_blob_is_an_event_of_its_own_content_type() {
    let operation = "StartMedicalScribeListeningSession";
    let catalog = Catalog::embedded();
    let inputs = Inputs::new(catalog, "connecthealth", operation, Protocol::RestJson).unwrap();
    let pass = |media: &str| {
        let headers = [
            (":event-type", string("binaryAudioEvent")),
            (":message-type", string("event")),
            (":content-type", string(media)),
        ];
        let stream = Sdk::stream(&[frame(&headers, b"\0\xff")]).concat();
        let mut reader = EventReader::new(chain(SECRET, &seed(7)), inputs.clone());
        reader.pull(&mut stream.into(), HEAD)
    };
    assert!(pass("application/octet-stream").is_ok());
    assert!(matches!(
        pass("application/json"),
        Err(Refusal::InvalidInput(_))
    ));
}

#[test]
fn operations_without_such_input_take_no_events() {
    let catalog = Catalog::embedded();
    for (service, operation, protocol) in [
        ("kinesis", "SubscribeToShard", Protocol::Json11),
        ("s3", "PutObject", Protocol::RestXml),
        ("s3", "SelectObjectContent", Protocol::RestXml),
        ("lexv2-runtime", "RecognizeText", Protocol::RestJson),
        ("lexv2-runtime", "StartConversation", Protocol::RpcV2Cbor),
    ] {
        let inputs = Inputs::new(catalog, service, operation, protocol);
        assert!(inputs.is_none(), "{operation}");
    }
}

#[test]
fn no_more_than_one_message_is_held() {
    let long = said(&"a".repeat(10_000));
    let messages: Vec<_> = (0..20).map(|_| long.clone()).collect();
    let stream = Sdk::stream(&messages);
    for size in [700, usize::MAX] {
        let mut reader = reader();
        for piece in stream.concat().chunks(size) {
            let mut wire = Bytes::copy_from_slice(piece);
            while !reader.pull(&mut wire, HEAD).unwrap().is_empty() {
                assert_eq!(reader.held(), 0);
            }
            assert!(reader.held() <= stream[0].len());
        }
    }
}

#[test]
fn a_stream_that_botocore_leaves_out_is_known() {
    let catalog = Catalog::embedded();
    for operation in [
        "StartCallAnalyticsStreamTranscription",
        "StartMedicalScribeStream",
        "StartMedicalStreamTranscription",
        "StartStreamTranscription",
    ] {
        let rest = Protocol::RestJson;
        let inputs = Inputs::new(catalog, "transcribe-streaming", operation, rest);
        assert!(inputs.is_some(), "{operation}");
    }
}
