//! Streams that are whole, cut in every way, and broken.

use bytes::BufMut;
use proptest::prelude::*;
use serde_json::json;

use super::events::{Direction, Event, Events};
use super::*;
use crate::call::Value;
use crate::catalog::{Catalog, Protocol, Shape};

/// Writes a message; the reverse of what is tested.
pub(crate) fn frame(headers: &[(&str, HeaderValue)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.put_u8(u8::try_from(name.len()).unwrap());
        block.put_slice(name.as_bytes());
        put(&mut block, value);
    }
    sealed(&block, payload)
}

fn put(block: &mut Vec<u8>, value: &HeaderValue) {
    let sized = |block: &mut Vec<u8>, kind: u8, bytes: &[u8]| {
        block.put_u8(kind);
        block.put_u16(u16::try_from(bytes.len()).unwrap());
        block.put_slice(bytes);
    };
    match value {
        HeaderValue::Boolean(value) => block.put_u8(u8::from(!value)),
        HeaderValue::Bytes(bytes) => sized(block, 6, bytes),
        HeaderValue::Integer(number) => {
            block.put_u8(5);
            block.put_i64(*number);
        }
        HeaderValue::String(text) => sized(block, 7, text.as_bytes()),
        HeaderValue::Timestamp(millis) => {
            block.put_u8(8);
            block.put_i64(*millis);
        }
        HeaderValue::Uuid(bytes) => {
            block.put_u8(9);
            block.put_slice(bytes);
        }
    }
}

fn sealed(block: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.put_u32(u32::try_from(16 + block.len() + payload.len()).unwrap());
    message.put_u32(u32::try_from(block.len()).unwrap());
    message.put_u32(crc32(&message));
    message.put_slice(block);
    message.put_slice(payload);
    message.put_u32(crc32(&message));
    message
}

pub(crate) fn string(text: &str) -> HeaderValue {
    HeaderValue::String(text.to_owned())
}

fn event(name: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        (":message-type", string("event")),
        (":event-type", string(name)),
    ];
    frame(&headers, payload)
}

fn all(chunks: &[&[u8]]) -> Result<Vec<Frame>, Corrupt> {
    let mut frames = Frames::default();
    let mut read = Vec::new();
    for chunk in chunks {
        frames.push(chunk);
        while let Some(frame) = frames.next_frame()? {
            read.push(frame);
        }
    }
    frames.finish().map(|()| read)
}

#[test]
fn every_kind_of_header_is_read() {
    let headers = [
        ("b", HeaderValue::Boolean(true)),
        ("c", HeaderValue::Boolean(false)),
        ("d", HeaderValue::Bytes(Bytes::from_static(b"\0\xff"))),
        ("e", HeaderValue::Integer(i64::MIN)),
        ("f", string("ü")),
        ("g", HeaderValue::Timestamp(1)),
        ("h", HeaderValue::Uuid([7; 16])),
    ];
    let bytes = frame(&headers, b"payload");
    let read = Frame::parse(bytes.clone().into()).unwrap();
    let expected = headers.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(read.headers, expected);
    assert_eq!((&*read.payload, &*read.raw), (&b"payload"[..], &*bytes));
    let narrow = sealed(
        b"\x01a\x02\xff\x01b\x03\xff\xfe\x01c\x04\xff\xff\xff\xfd",
        b"",
    );
    let read = Frame::parse(narrow.into()).unwrap();
    let numbers = [-1, -2, -3].map(HeaderValue::Integer);
    assert_eq!(
        read.headers
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>(),
        numbers
    );
}

#[test]
fn one_flipped_bit_anywhere_is_noticed() {
    let whole = event("Records", b"abc");
    for at in 0..whole.len() * 8 {
        let mut broken = whole.clone();
        broken[at / 8] ^= 1 << (at % 8);
        assert!(all(&[&broken]).is_err(), "{at}");
    }
}

#[test]
fn impossible_messages_are_refused_by_their_prelude() {
    let prelude = |total: u32, headers: u32| {
        let mut bytes = Vec::new();
        bytes.put_u32(total);
        bytes.put_u32(headers);
        bytes.put_u32(crc32(&bytes));
        bytes
    };
    for (total, headers) in [
        (15, 0),
        (16, 1),
        (0, 0),
        ((24 << 20) + 1, 0),
        (u32::MAX, 0),
        (1 << 20, (128 << 10) + 1),
        (20, u32::MAX),
    ] {
        let bytes = prelude(total, headers);
        assert_eq!(all(&[&bytes]), Err(Corrupt::Length), "{total} {headers}");
    }
    assert_eq!(all(&[&prelude(24 << 20, 0)]), Err(Corrupt::Cut));
}

#[test]
fn broken_headers_are_refused() {
    for (block, expected) in [
        (&b"\x01a"[..], Corrupt::Headers),
        (b"\x00\x00", Corrupt::Headers),
        (b"\x01a\x0a", Corrupt::Headers),
        (b"\x01a\x07\x00\x02x", Corrupt::Headers),
        (b"\x01a\x07\x00\x01\xff", Corrupt::Headers),
        (b"\x01\xff\x00", Corrupt::Headers),
        (b"\x05a", Corrupt::Headers),
        (b"\x01a\x09123", Corrupt::Headers),
        (b"\x01a\x00\x01a\x01", Corrupt::Duplicate),
    ] {
        assert_eq!(all(&[&sealed(block, b"")]), Err(expected), "{block:?}");
    }
    let many: Vec<u8> = (0..=256_u32)
        .flat_map(|at| format!("\x04{at:04}\0").into_bytes())
        .collect();
    assert_eq!(all(&[&sealed(&many, b"")]), Err(Corrupt::Headers));
}

#[test]
fn signed_messages_are_opened() {
    let inner = event("AudioEvent", b"pcm");
    let date = (":date", HeaderValue::Timestamp(5));
    let signature = (
        ":chunk-signature",
        HeaderValue::Bytes(Bytes::from_static(b"sig")),
    );
    let open = |headers: &[(&str, HeaderValue)], payload: &[u8]| {
        Envelope::open(&Frame::parse(frame(headers, payload).into()).unwrap())
    };
    let envelope = open(&[date.clone(), signature.clone()], &inner).unwrap();
    assert_eq!((envelope.date, &*envelope.signature), (5, &b"sig"[..]));
    assert_eq!(envelope.message.unwrap().raw, inner);
    let end = open(&[date.clone(), signature.clone()], b"").unwrap();
    assert_eq!(end.message, None);
    for (headers, payload) in [
        (vec![date.clone()], &inner[..]),
        (
            vec![date.clone(), signature.clone(), ("x", string("y"))],
            &inner,
        ),
        (
            vec![date.clone(), (":chunk-signature", string("sig"))],
            &inner,
        ),
        (vec![date.clone(), signature.clone()], &inner[1..]),
        (vec![date, signature], &[&inner[..], &inner].concat()),
    ] {
        assert!(open(&headers, payload).is_err(), "{headers:?}");
    }
}

fn read(
    (service, operation): (&str, &str),
    protocol: Protocol,
    direction: Direction,
    bytes: Vec<u8>,
) -> Result<Event, String> {
    let service = Catalog::embedded().service(service).unwrap();
    let operation = service.operation(operation).unwrap();
    let events = Events::new(&service, operation, protocol, direction).unwrap();
    let frame = Frame::parse(bytes.into()).unwrap();
    events.decode(&frame).map_err(|error| error.to_string())
}

#[test]
fn events_are_typed_by_the_model() {
    let select = |bytes| {
        read(
            ("s3", "SelectObjectContent"),
            Protocol::RestXml,
            Direction::Output,
            bytes,
        )
    };
    let named = |name: &str, value| Event::Event {
        name: name.to_owned(),
        value: Value::Structure(value),
    };
    let blob = Value::Blob(Bytes::from_static(b"a,b"));
    assert_eq!(
        select(event("Records", b"a,b")),
        Ok(named("Records", vec![("Payload".to_owned(), blob)]))
    );
    let Ok(Event::Event { value, .. }) = select(event(
        "Stats",
        b"<Stats><BytesScanned>3</BytesScanned></Stats>",
    )) else {
        panic!("no event")
    };
    assert_eq!(value.to_json(), json!({"Details": {"BytesScanned": 3}}));
    assert_eq!(select(event("Cont", b"")), Ok(named("Cont", vec![])));
    assert_eq!(
        select(event("Newer", b"x")),
        Ok(Event::Unknown {
            name: "Newer".to_owned()
        })
    );
    let error = frame(
        &[
            (":message-type", string("error")),
            (":error-code", string("InternalError")),
        ],
        b"",
    );
    assert_eq!(
        select(error.clone()),
        Ok(Event::Error {
            code: "InternalError".to_owned(),
            message: None
        })
    );
    let error = Frame::parse(error.into()).unwrap();
    assert_eq!(Event::error_code(&error), Some("InternalError"));
    assert!(select(frame(&[(":event-type", string("Cont"))], b"")).is_err());
    assert!(select(frame(&[(":message-type", string("event"))], b"")).is_err());
}

#[test]
fn initial_answers_and_exceptions_are_told_apart() {
    let shard = |bytes| {
        read(
            ("kinesis", "SubscribeToShard"),
            Protocol::Json11,
            Direction::Output,
            bytes,
        )
    };
    assert_eq!(
        shard(event("initial-response", b"{}")),
        Ok(Event::Initial(Value::Structure(vec![])))
    );
    let headers = [
        (":message-type", string("exception")),
        (":exception-type", string("ResourceInUseException")),
    ];
    let exception = frame(&headers, br#"{"message":"no"}"#);
    let Ok(Event::Exception { name, value }) = shard(exception.clone()) else {
        panic!("no exception")
    };
    assert_eq!(
        (name.as_str(), value.to_json()),
        ("ResourceInUseException", json!({"message": "no"}))
    );
    let exception = Frame::parse(exception.into()).unwrap();
    assert_eq!(
        Event::error_code(&exception),
        Some("ResourceInUseException")
    );
}

#[test]
fn what_an_agent_streams_is_read_exactly() {
    let medical = |bytes| {
        let converse = ("bedrock-runtime", "InvokeModelWithBidirectionalStream");
        read(converse, Protocol::RestJson, Direction::Input, bytes)
    };
    let Ok(Event::Event { name, value }) = medical(event("chunk", br#"{"bytes":"YWJj"}"#)) else {
        panic!("no event")
    };
    assert_eq!(
        (name.as_str(), value.get("bytes")),
        ("chunk", Some(&Value::Blob(Bytes::from_static(b"abc"))))
    );
    for bytes in [
        event("chunk", br#"{"bytes":"YWJj","newer":1}"#),
        event("chunk", br#"{"bytes":"YWJj","bytes":"YWJj"}"#),
        event("newer", b"{}"),
    ] {
        assert!(medical(bytes).is_err());
    }
}

/// No service of the catalog has header members, so one of an event's is made one.
#[test]
fn members_in_headers_are_read() {
    let mut service = (*Catalog::embedded().service("kinesis").unwrap()).clone();
    for shape in &mut service.shapes {
        if let Shape::Structure(event) = shape
            && event.name == "SubscribeToShardEvent"
        {
            event.members[1].event_header = true;
        }
    }
    let mut operation = service.operation("SubscribeToShard").unwrap().clone();
    operation.input = operation.output;
    let read = |direction, header: HeaderValue, payload: &[u8]| {
        let headers = [
            (":message-type", string("event")),
            (":event-type", string("SubscribeToShardEvent")),
            ("ContinuationSequenceNumber", header),
        ];
        let events = Events::new(&service, &operation, Protocol::Json11, direction).unwrap();
        let event = events.decode(&Frame::parse(frame(&headers, payload).into()).unwrap());
        event.map(|event| match &event {
            Event::Event { value, .. } => value.to_json(),
            Event::Error { .. }
            | Event::Exception { .. }
            | Event::Initial(_)
            | Event::Unknown { .. } => panic!("{event:?}"),
        })
    };
    for direction in [Direction::Input, Direction::Output] {
        assert_eq!(
            read(direction, string("7"), br#"{"Records":[]}"#),
            Ok(json!({"ContinuationSequenceNumber": "7", "Records": []}))
        );
        let twice = read(
            direction,
            string("7"),
            br#"{"ContinuationSequenceNumber":"8"}"#,
        );
        assert!(twice.is_err());
    }
    let number = HeaderValue::Integer(7);
    assert!(read(Direction::Input, number.clone(), b"").is_err());
    assert_eq!(
        read(Direction::Output, number, b""),
        Ok(json!({"ContinuationSequenceNumber": 7}))
    );
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_messages(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| event("e", payload)).collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for place in places {
            chunks.push(&stream[from..place]);
            from = place;
        }
        chunks.push(&stream[from..]);
        let frames = all(&chunks).unwrap();
        let read: Vec<&[u8]> = frames.iter().map(|frame| &*frame.payload).collect();
        prop_assert_eq!(&read, &payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let passed: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        prop_assert_eq!(passed, stream);
    }

    #[test]
    fn arbitrary_streams_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        block in proptest::collection::vec(any::<u8>(), 0..64),
        name in "Records|Stats|Progress|initial-response|x",
    ) {
        drop(all(&[&bytes]));
        drop(all(&[&sealed(&block, &bytes)]));
        for (operation, protocol) in [
            (("s3", "SelectObjectContent"), Protocol::RestXml),
            (("kinesis", "SubscribeToShard"), Protocol::Json11),
        ] {
            drop(read(operation, protocol, Direction::Output, event(&name, &bytes)));
        }
    }
}
