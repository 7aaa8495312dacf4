//! Reads how HTTP/1.1 requests are framed on a connection, so that what has two readings never
//! reaches the HTTP library, which mends some of it silently (RFC 9112 §6, §11.2).
//!
//! It looks at line ends, `Content-Length`, `Transfer-Encoding` and chunk sizes only; it never
//! changes a byte and never believes a head to be good. The library still parses everything.

/// The longest line kept for looking at it: longer ones are not framing fields.
const MAX_FIELD: usize = 128;
/// A request target longer than this is refused.
const MAX_REQUEST_LINE: usize = 32 * 1024;
/// No plain number of bytes or chunks has more digits.
const MAX_DIGITS: usize = 16;

/// What is known of one connection's bytes so far.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// The current line without its end, as far as it is kept.
    line: Vec<u8>,
    head: HeadFraming,
}

/// The framing fields of the head being read.
#[derive(Clone, Copy, Debug, Default)]
struct HeadFraming {
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Between requests.
    #[default]
    Idle,
    /// In the request line.
    RequestLine,
    /// In a header field.
    Field,
    /// After a CR; only LF may follow.
    LineEnd(Line),
    /// In a body, or in a chunk's data with the CRLF behind it.
    Data { left: u64, chunked: bool },
    /// In a chunk's size line.
    ChunkSize,
    /// After a chunk's data.
    ChunkEnd,
    /// In a trailer field.
    Trailer,
}

/// Which line a CR ends.
#[derive(Clone, Copy, Debug)]
enum Line {
    ChunkEnd,
    ChunkSize,
    Field,
    Request,
    Trailer,
}

/// The framing has two readings.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Broken;

impl Framing {
    /// Whether a head has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        match self.state {
            State::RequestLine | State::Field => true,
            State::LineEnd(line) => matches!(line, Line::Field | Line::Request),
            State::Idle
            | State::Data { .. }
            | State::ChunkSize
            | State::ChunkEnd
            | State::Trailer => false,
        }
    }

    /// Takes the next bytes of the connection.
    ///
    /// # Errors
    /// How many of `bytes` may still be handed on before the connection is given up.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::Data { left, chunked } = self.state {
                rest = self.skip_data(rest, left, chunked);
                continue;
            }
            self.state = self.step(byte).map_err(|Broken| bytes.len() - rest.len())?;
            rest = after;
        }
        Ok(())
    }

    fn skip_data<'a>(&mut self, bytes: &'a [u8], left: u64, chunked: bool) -> &'a [u8] {
        let skipped = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left - skipped as u64;
        self.state = match (left, chunked) {
            (0, true) => State::ChunkEnd,
            (0, false) => State::Idle,
            (1.., _) => State::Data { left, chunked },
        };
        bytes.get(skipped..).unwrap_or_default()
    }

    fn step(&mut self, byte: u8) -> Result<State, Broken> {
        match (self.state, byte) {
            (State::LineEnd(line), b'\n') => self.end_line(line),
            (State::LineEnd(_), _) | (_, b'\n' | 0) => Err(Broken),
            (State::Idle | State::RequestLine, b'\r') => Ok(State::LineEnd(Line::Request)),
            (State::Field, b'\r') => Ok(State::LineEnd(Line::Field)),
            (State::ChunkSize, b'\r') => Ok(State::LineEnd(Line::ChunkSize)),
            (State::ChunkEnd, b'\r') => Ok(State::LineEnd(Line::ChunkEnd)),
            (State::Trailer, b'\r') => Ok(State::LineEnd(Line::Trailer)),
            (State::Idle | State::RequestLine, _) => self.keep(byte, State::RequestLine),
            (State::Field, _) => self.keep(byte, State::Field),
            (State::ChunkSize, _) => self.keep(byte, State::ChunkSize),
            (State::Trailer, _) => self.keep(byte, State::Trailer),
            (State::ChunkEnd | State::Data { .. }, _) => Err(Broken),
        }
    }

    fn keep(&mut self, byte: u8, state: State) -> Result<State, Broken> {
        let room = match state {
            State::RequestLine if self.line.len() >= MAX_REQUEST_LINE => return Err(Broken),
            State::ChunkSize if self.line.len() >= MAX_DIGITS => return Err(Broken),
            State::RequestLine | State::ChunkSize => true,
            State::Idle
            | State::Field
            | State::LineEnd(_)
            | State::Data { .. }
            | State::ChunkEnd
            | State::Trailer => self.line.len() < MAX_FIELD,
        };
        if room {
            self.line.push(byte);
        }
        Ok(state)
    }

    fn end_line(&mut self, line: Line) -> Result<State, Broken> {
        let next = match line {
            Line::Request => {
                check_request_line(&self.line)?;
                self.head = HeadFraming::default();
                State::Field
            }
            Line::Field if self.line.is_empty() => self.head.body(),
            Line::Field => {
                self.head.take(&self.line)?;
                State::Field
            }
            Line::ChunkSize => match number(&self.line, 16)? {
                0 => State::Trailer,
                left => State::Data {
                    left,
                    chunked: true,
                },
            },
            Line::ChunkEnd => State::ChunkSize,
            Line::Trailer if self.line.is_empty() => State::Idle,
            Line::Trailer => State::Trailer,
        };
        self.line.clear();
        Ok(next)
    }
}

impl HeadFraming {
    /// Notes a framing field and refuses everything about it that needs interpretation.
    fn take(&mut self, line: &[u8]) -> Result<(), Broken> {
        let colon = line.iter().position(|&byte| byte == b':');
        let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else {
            // No colon among the bytes kept: not one of the short names below.
            return if line.len() < MAX_FIELD {
                Err(Broken)
            } else {
                Ok(())
            };
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let whole = line.len() < MAX_FIELD;
        if resembles(name, b"content-length") {
            let exact = whole && name.eq_ignore_ascii_case(b"content-length");
            if !exact || self.chunked || self.length.is_some() {
                return Err(Broken);
            }
            self.length = Some(number(value, 10)?);
        } else if resembles(name, b"transfer-encoding") {
            let exact = whole && name.eq_ignore_ascii_case(b"transfer-encoding");
            if !exact || self.chunked || self.length.is_some() || value != b"chunked" {
                return Err(Broken);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn body(self) -> State {
        match self {
            Self { chunked: true, .. } => State::ChunkSize,
            Self {
                length: Some(left @ 1..),
                ..
            } => State::Data {
                left,
                chunked: false,
            },
            Self { .. } => State::Idle,
        }
    }
}

/// Whether some reader could take `name` for `expected`: `_` for `-` and blanks around it are how a
/// field is hidden from another reader.
fn resembles(name: &[u8], expected: &[u8]) -> bool {
    let name = name.trim_ascii();
    let same = |(&found, &wanted): (&u8, &u8)| {
        found.eq_ignore_ascii_case(&wanted) || found == b'_' && wanted == b'-'
    };
    name.len() == expected.len() && name.iter().zip(expected).all(same)
}

/// `METHOD SP target SP HTTP/1.x`, single spaces, visible ASCII, and no fragment, which the URI
/// type would drop silently.
fn check_request_line(line: &[u8]) -> Result<(), Broken> {
    let visible = line
        .iter()
        .all(|&byte| byte.is_ascii_graphic() && byte != b'#' || byte == b' ');
    let parts = line.split(|&byte| byte == b' ');
    let version = parts.clone().next_back();
    let whole = parts.clone().count() == 3 && parts.clone().all(|part| !part.is_empty());
    if visible && whole && matches!(version, Some(b"HTTP/1.0" | b"HTTP/1.1")) {
        Ok(())
    } else {
        Err(Broken)
    }
}

/// A number of plain digits.
fn number(digits: &[u8], radix: u32) -> Result<u64, Broken> {
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(Broken);
    }
    digits.iter().try_fold(0_u64, |so_far, &byte| {
        let digit = char::from(byte).to_digit(radix).ok_or(Broken)?;
        so_far
            .checked_mul(u64::from(radix))
            .and_then(|shifted| shifted.checked_add(u64::from(digit)))
            .ok_or(Broken)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a whole stream is taken, fed in pieces of every size.
    fn check(stream: &str, expected: Result<(), usize>) {
        for size in [1, 3, stream.len()] {
            let mut framing = Framing::default();
            let mut offset = 0;
            let mut outcome = Ok(());
            for piece in stream.as_bytes().chunks(size) {
                if let Err(at) = framing.advance(piece) {
                    outcome = Err(offset + at);
                    break;
                }
                offset += piece.len();
            }
            assert_eq!(outcome.is_ok(), expected.is_ok(), "{stream:?} by {size}");
            if let Err(at) = expected {
                assert_eq!(outcome, Err(at), "{stream:?} by {size}");
            }
            assert!(outcome.is_err() || !framing.in_head(), "{stream:?}");
        }
    }

    #[test]
    fn plain_requests_are_taken() {
        for stream in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nb",
            "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\0b\r\nA\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n",
        ] {
            check(stream, Ok(()));
        }
    }

    #[test]
    fn what_has_two_readings_is_refused_where_it_shows() {
        let post = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3, 3",
            "Content-Length: +3",
            "Content-Length: 0x3",
            "Content-Length: -1",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Content-Length : 3",
            " Content-Length: 3",
            "Content_Length: 3",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: Chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer_Encoding: chunked",
            "X: a\nContent-Length: 3",
            "X: a\rContent-Length: 3",
            "X: a\0b",
            "nocolon",
        ] {
            let mut framing = Framing::default();
            assert!(
                framing.advance(post(fields).as_bytes()).is_err(),
                "{fields}"
            );
        }
    }

    #[test]
    fn request_lines_must_be_exact() {
        for line in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/2.0",
            "GET /",
            "GET /a#b HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET /\t HTTP/1.1",
            "",
        ] {
            let mut framing = Framing::default();
            let stream = format!("{line}\r\n");
            assert!(framing.advance(stream.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn chunks_must_be_exact() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "3;x=1\r\nabc\r\n0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "+3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            " 3\r\n",
            "\r\n",
        ] {
            let stream = format!("{head}{body}");
            let broken_at = Framing::default().advance(stream.as_bytes());
            assert!(broken_at.is_err_and(|at| at >= head.len()), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_have_one_outcome(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..40,
        ) {
            let whole = Framing::default().advance(&bytes);
            let mut framing = Framing::default();
            let mut pieces = Ok(());
            let mut offset = 0;
            for piece in bytes.chunks(size) {
                if let Err(at) = framing.advance(piece) {
                    pieces = Err(offset + at);
                    break;
                }
                offset += piece.len();
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
