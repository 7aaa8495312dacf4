//! What is looked at while an answer passes: the error that AWS answered with, wherever it stands,
//! and whether a stream of events is whole. Nothing but an event that is not complete yet is held
//! back.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use portcullis_core::answer::{Body, Expected, LateError, Received};
use portcullis_core::event_stream::events::Event;
use portcullis_core::event_stream::{Corrupt, Frames};
use portcullis_core::refusal::Fault;

/// Far above any error that AWS writes.
const MAX_ERROR: usize = 64 << 10;

const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// Watches one answer.
#[derive(Debug, Default)]
pub(super) struct Watch {
    expected: Option<Expected>,
    status: StatusCode,
    kind: Kind,
}

#[derive(Debug, Default)]
enum Kind {
    Events(Box<EventWatch>),
    Failed {
        headers: HeaderMap,
        seen: BytesMut,
    },
    Late(LateError),
    #[default]
    Nothing,
}

/// An error that AWS answered with, as records name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) fault: Fault,
}

impl Watch {
    /// For the answer of that head. Without a call there is nothing to look for.
    pub(super) fn new(expected: Option<&Expected>, head: &Parts) -> Self {
        let Some(expected) = expected else {
            return Self::default();
        };
        let kind = if head.status.as_u16() >= 300 {
            Kind::Failed {
                headers: head.headers.clone(),
                seen: BytesMut::new(),
            }
        } else if expected.is_event_stream() && may_be_events(&head.headers) {
            Kind::Events(Box::default())
        } else {
            let late = expected.late_error(head.status);
            late.map_or(Kind::Nothing, Kind::Late)
        };
        Self {
            expected: Some(expected.clone()),
            status: head.status,
            kind,
        }
    }

    /// Whether the answer is a stream of events.
    pub(super) fn is_events(&self) -> bool {
        matches!(self.kind, Kind::Events(_))
    }

    /// Takes note of bytes and gives back what may go on now.
    pub(super) fn pass(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.kind {
            Kind::Events(events) => return events.pass(&bytes),
            Kind::Failed { seen, .. } => {
                let room = MAX_ERROR.saturating_sub(seen.len());
                seen.extend_from_slice(bytes.get(..room).unwrap_or(&bytes));
            }
            Kind::Late(late) => late.take(&bytes),
            Kind::Nothing => {}
        }
        bytes
    }

    /// Whether more may be passed on.
    ///
    /// # Errors
    /// [`Corrupt`], behind the last event that was whole.
    pub(super) fn check(&self) -> Result<(), Corrupt> {
        match &self.kind {
            Kind::Events(events) => events.broken.map_or(Ok(()), Err),
            Kind::Failed { .. } | Kind::Late(_) | Kind::Nothing => Ok(()),
        }
    }

    /// The error that the answer was, at its end.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub(super) fn finish(self) -> Result<Option<Failure>, Corrupt> {
        self.check()?;
        let Some(expected) = self.expected else {
            return Ok(None);
        };
        let error = match self.kind {
            Kind::Events(events) => {
                events.frames.finish()?;
                return Ok(events.error_code.map(|code| Failure {
                    fault: expected.event_fault(&code),
                    code,
                }));
            }
            Kind::Failed { headers, seen } => expected.error(&Received {
                status: self.status,
                headers: &headers,
                body: Body::Whole(&seen.freeze()),
            }),
            Kind::Late(late) => late.finish(&expected, self.status),
            Kind::Nothing => None,
        };
        Ok(error.map(|error| Failure {
            code: error.code,
            fault: error.fault,
        }))
    }
}

/// A stream of events so far.
#[derive(Debug, Default)]
struct EventWatch {
    frames: Frames,
    broken: Option<Corrupt>,
    error_code: Option<String>,
}

impl EventWatch {
    fn pass(&mut self, bytes: &[u8]) -> Bytes {
        let mut whole = BytesMut::new();
        if self.broken.is_some() {
            return Bytes::new();
        }
        self.frames.push(bytes);
        loop {
            match self.frames.next_frame() {
                Ok(None) => return whole.freeze(),
                Ok(Some(frame)) => {
                    if let Some(code) = Event::error_code(&frame) {
                        self.error_code = Some(code.to_owned());
                    }
                    whole.extend_from_slice(&frame.raw);
                }
                Err(corrupt) => {
                    self.broken = Some(corrupt);
                    return whole.freeze();
                }
            }
        }
    }
}

/// A content type that says something else is believed.
fn may_be_events(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_none_or(|media| media.as_bytes().starts_with(EVENT_STREAM.as_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use http::Response;
    use portcullis_core::catalog::{Catalog, Protocol};

    use super::*;

    /// `SelectObjectContent`'s `Cont` event, without a payload.
    const CONT: &[u8] = b"\x00\x00\x00\x3a\x00\x00\x00\x2a";

    fn watch(service: &str, operation: &str, protocol: Protocol, status: u16) -> Watch {
        let expected = Expected::new(Catalog::embedded(), service, operation, protocol);
        let head = Response::builder().status(status).body(()).unwrap();
        Watch::new(expected.as_ref(), &head.into_parts().0)
    }

    fn select() -> Watch {
        watch("s3", "SelectObjectContent", Protocol::RestXml, 200)
    }

    fn crc32(bytes: &[u8]) -> [u8; 4] {
        let mut crc = !0_u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
        (!crc).to_be_bytes()
    }

    pub(in crate::reply) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(u8::try_from(name.len()).unwrap());
            block.extend_from_slice(name.as_bytes());
            block.push(7);
            block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            block.extend_from_slice(value.as_bytes());
        }
        let length = u32::try_from(16 + block.len() + payload.len()).unwrap();
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&crc32(&bytes));
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&crc32(&bytes));
        bytes
    }

    fn records(payload: &[u8]) -> Vec<u8> {
        message(
            &[(":message-type", "event"), (":event-type", "Records")],
            payload,
        )
    }

    #[test]
    fn events_go_on_one_by_one_as_they_came() {
        let (first, second) = (records(b"a"), records(b"bc"));
        let mut watch = select();
        let (head, tail) = second.split_at(5);
        let passed = watch.pass([&first[..], head].concat().into());
        assert_eq!(passed, first);
        assert_eq!(watch.pass(Bytes::copy_from_slice(tail)), second);
        assert_eq!(watch.finish(), Ok(None));
    }

    #[test]
    fn nothing_of_a_broken_event_goes_on() {
        let good = records(b"a");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let mut watch = select();
            let passed = watch.pass([&good[..], &bad, &good].concat().into());
            assert_eq!(passed, good, "{at}");
            assert!(watch.check().is_err(), "{at}");
            assert!(watch.pass(Bytes::from(good.clone())).is_empty());
            assert!(watch.finish().is_err());
        }
        let mut cut = select();
        assert!(cut.pass(Bytes::from_static(CONT)).is_empty());
        assert_eq!(cut.finish(), Err(Corrupt::Cut));
    }

    #[test]
    fn an_error_among_events_is_told() {
        let mut watch = select();
        let error = [(":message-type", "error"), (":error-code", "InternalError")];
        watch.pass(message(&error, b"").into());
        let failure = watch.finish().unwrap().unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.fault),
            ("InternalError", Fault::Upstream)
        );
        let mut watch = self::watch("kinesis", "SubscribeToShard", Protocol::Json11, 200);
        let exception = [
            (":message-type", "exception"),
            (":exception-type", "ResourceInUseException"),
        ];
        watch.pass(message(&exception, b"{}").into());
        let failure = watch.finish().unwrap().unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.fault),
            ("ResourceInUseException", Fault::Downstream)
        );
    }

    #[test]
    fn white_space_goes_on_at_once_and_the_error_behind_it_is_told() {
        let mut watch = watch("s3", "CompleteMultipartUpload", Protocol::RestXml, 200);
        let mut passed = Vec::new();
        for part in [
            "<?xml version=\"1.0\"?>\n",
            "   ",
            "<Error><Code>Slow",
            "Down</Code></Error>",
        ] {
            let went = watch.pass(Bytes::from_static(part.as_bytes()));
            assert_eq!(went, part);
            passed.push(went);
        }
        let failure = watch.finish().unwrap().unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.fault),
            ("SlowDown", Fault::Upstream)
        );
    }

    #[test]
    fn the_code_of_a_failed_call_is_told() {
        let mut failed = watch("dynamodb", "GetItem", Protocol::Json10, 400);
        let body = Bytes::from_static(br#"{"__type":"x#ResourceNotFoundException"}"#);
        assert_eq!(failed.pass(body.clone()), body);
        let failure = failed.finish().unwrap().unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.fault),
            ("ResourceNotFoundException", Fault::Downstream)
        );
        let head = watch("s3", "HeadObject", Protocol::RestXml, 404);
        assert_eq!(head.finish().unwrap().unwrap().code, "404");
    }

    #[test]
    fn objects_and_successes_are_not_looked_into() {
        for (service, operation, protocol) in [
            ("s3", "GetObject", Protocol::RestXml),
            ("dynamodb", "GetItem", Protocol::Json10),
        ] {
            let mut watch = watch(service, operation, protocol, 200);
            let body = Bytes::from_static(b"<Error><Code>x</Code></Error>");
            assert_eq!(watch.pass(body.clone()), body);
            assert_eq!(watch.finish(), Ok(None));
        }
    }
}
