//! Scalars that arrive as text: in a query or form parameter, a header, a URI label, an XML
//! element. One spelling per value: what two parsers could read differently is refused. Answers
//! have [`tolerant`].

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;

use crate::call::Value;
use crate::catalog::{Shape, TimestampFormat};
use crate::refusal::Refusal;

const HTTP_DATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The longest piece of a client's own text that a refusal repeats.
const QUOTED: usize = 80;

/// Reads a scalar of the model. A timestamp is written in the member's `own` format, else in its
/// shape's, else in the protocol's `usual` one.
///
/// # Errors
/// [`Refusal::InvalidInput`] naming the member when the text is not such a scalar.
pub(crate) fn scalar(
    name: &str,
    shape: &Shape,
    text: String,
    own: Option<TimestampFormat>,
    usual: TimestampFormat,
) -> Result<Value, Refusal> {
    let (value, expected) = match shape {
        Shape::String { .. } => return Ok(Value::String(text)),
        Shape::Blob { .. } => (blob(&text).map(Value::Blob), "base64"),
        Shape::Boolean => (boolean(&text).map(Value::Boolean), "`true` or `false`"),
        Shape::Float => (float(&text).map(Value::Float), "a number"),
        Shape::Integer => (integer(&text).map(Value::Integer), "an integer"),
        Shape::Timestamp(shape) => {
            let seconds = timestamp(&text, own.or(*shape).unwrap_or(usual));
            (seconds.map(Value::Timestamp), "a timestamp")
        }
        Shape::Document | Shape::List { .. } | Shape::Map { .. } | Shape::Structure(_) => {
            (None, "a structure, not text")
        }
    };
    value.ok_or_else(|| wrong_type(name, expected))
}

/// Reads a scalar of an answer: in its modelled form, in another form of the same type that AWS is
/// known to write, or else as the text it is. Never fails.
pub(crate) fn tolerant(shape: &Shape, text: String, format: TimestampFormat) -> Value {
    let value = match shape {
        Shape::Blob { .. } => loose_blob(&text).map(Value::Blob),
        Shape::Boolean => boolean(&text).map(Value::Boolean),
        Shape::Float => float(text.trim()).map(Value::Float),
        Shape::Integer => text.trim().parse().ok().map(Value::Integer),
        Shape::Timestamp(_) => any_timestamp(&text, format).map(Value::Timestamp),
        Shape::Document
        | Shape::List { .. }
        | Shape::Map { .. }
        | Shape::String { .. }
        | Shape::Structure(_) => None,
    };
    value.unwrap_or(Value::String(text))
}

/// How a timestamp is written: as its member says, else its shape, else its protocol.
pub(crate) fn format_of(
    shape: &Shape,
    own: Option<TimestampFormat>,
    usual: TimestampFormat,
) -> TimestampFormat {
    let shape = match shape {
        Shape::Timestamp(format) => *format,
        Shape::Blob { .. }
        | Shape::Boolean
        | Shape::Document
        | Shape::Float
        | Shape::Integer
        | Shape::List { .. }
        | Shape::Map { .. }
        | Shape::String { .. }
        | Shape::Structure(_) => None,
    };
    own.or(shape).unwrap_or(usual)
}

/// Base64 in lines or without its padding.
pub(crate) fn loose_blob(text: &str) -> Option<Bytes> {
    if let Some(bytes) = blob(text) {
        return Some(bytes);
    }
    let plain: String = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace() && *character != '=')
        .collect();
    STANDARD_NO_PAD.decode(plain).ok().map(Bytes::from)
}

/// A timestamp in the format it should have, or in one that no other can be taken for.
fn any_timestamp(text: &str, format: TimestampFormat) -> Option<f64> {
    timestamp(text, format)
        .or_else(|| float(text).filter(|seconds| seconds.is_finite()))
        .or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok().map(seconds))
        .or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok().map(seconds))
}

/// The refusal for a member of the wrong type.
pub(crate) fn wrong_type(name: &str, expected: &str) -> Refusal {
    Refusal::InvalidInput(format!("`{}` must be {expected}", quote(name)))
}

/// A client's text, short and without control characters, fit for a message.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text
        .chars()
        .take(QUOTED)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

/// The key that is there twice. Sorting keeps a body of a million keys from costing more than
/// n·log n, whatever the keys.
pub(crate) fn repeated(entries: &[(String, Value)]) -> Option<&str> {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| match pair {
        [first, second] if first == second => Some(*first),
        _ => None,
    })
}

/// The refusal for a key or member that is there twice.
pub(crate) fn duplicate(key: &str) -> Refusal {
    Refusal::Ambiguous(format!("`{}` is there twice", quote(key)))
}

/// Strict base64: canonical, padded, without white space.
pub(crate) fn blob(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

/// A timestamp in exactly that format, in seconds since the epoch.
pub(crate) fn timestamp(text: &str, format: TimestampFormat) -> Option<f64> {
    match format {
        TimestampFormat::HttpDate => http_date(text),
        TimestampFormat::Iso8601 => iso8601(text),
        TimestampFormat::UnixTimestamp => float(text).filter(|seconds| seconds.is_finite()),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0');
    if padded || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => finite(number),
    }
}

/// Rust's own parser also takes `inf`, `nan` and their spellings, which JSON and XML do not.
fn finite(text: &str) -> Option<f64> {
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// RFC 3339 with `T` and `Z` only: offsets and lower case are where parsers part ways.
fn iso8601(text: &str) -> Option<f64> {
    if text.as_bytes().get(10) != Some(&b'T') || !text.ends_with('Z') {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(seconds)
}

fn http_date(text: &str) -> Option<f64> {
    let date = time::PrimitiveDateTime::parse(text, HTTP_DATE).ok()?;
    // The parser does not compare the weekday with the date; writing it again does.
    let same = date
        .format(HTTP_DATE)
        .is_ok_and(|canonical| canonical == text);
    same.then(|| seconds(date.assume_utc()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "four-digit years fit in the 53 bits of a double, nanoseconds do too"
)]
fn seconds(date: OffsetDateTime) -> f64 {
    date.unix_timestamp() as f64 + f64::from(date.nanosecond()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("+7", None),
            ("007", None),
            ("1.0", None),
            (" 1", None),
            ("", None),
            ("-", None),
            ("٣", None),
        ] {
            assert_eq!(integer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn floats_take_the_modelled_spellings_only() {
        assert_eq!(float("1.5e3"), Some(1500.0));
        assert_eq!(float("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(float("NaN").is_some_and(f64::is_nan));
        for text in ["nan", "inf", "infinity", "1e999", "0x10", "1_0", ""] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn timestamps_are_exact() {
        use TimestampFormat::{HttpDate, Iso8601, UnixTimestamp};
        for (text, format, expected) in [
            ("2026-01-02T03:04:05Z", Iso8601, Some(1_767_323_045.0)),
            ("2026-01-02T03:04:05.25Z", Iso8601, Some(1_767_323_045.25)),
            ("2026-01-02T03:04:05+01:00", Iso8601, None),
            ("2026-01-02t03:04:05z", Iso8601, None),
            ("2026-02-30T03:04:05Z", Iso8601, None),
            (
                "Tue, 29 Apr 2014 18:30:38 GMT",
                HttpDate,
                Some(1_398_796_238.0),
            ),
            ("Wed, 29 Apr 2014 18:30:38 GMT", HttpDate, None),
            ("29 Apr 2014", HttpDate, None),
            ("1398796238.5", UnixTimestamp, Some(1_398_796_238.5)),
            ("Infinity", UnixTimestamp, None),
        ] {
            assert_eq!(timestamp(text, format), expected, "{text:?}");
        }
    }

    #[test]
    fn answers_may_spell_scalars_in_other_ways() {
        let timestamp = Shape::Timestamp(None);
        let blob = Shape::Blob {
            streaming: false,
            requires_length: false,
        };
        let at = |seconds| Value::Timestamp(seconds);
        for (shape, text, expected) in [
            (&Shape::Integer, "007", Value::Integer(7)),
            (&Shape::Integer, "x", Value::String("x".to_owned())),
            (&Shape::Boolean, "True", Value::String("True".to_owned())),
            (&timestamp, "2014-04-29T18:30:38Z", at(1_398_796_238.0)),
            (&timestamp, "2014-04-29T20:30:38+02:00", at(1_398_796_238.0)),
            (&timestamp, "1398796238.5", at(1_398_796_238.5)),
            (
                &timestamp,
                "Tue, 29 Apr 2014 18:30:38 GMT",
                at(1_398_796_238.0),
            ),
            (
                &timestamp,
                "Tue, 29 Apr 2014 18:30:38 +0000",
                at(1_398_796_238.0),
            ),
            (&timestamp, "never", Value::String("never".to_owned())),
            (&blob, "YWJj\nZA", Value::Blob(Bytes::from_static(b"abcd"))),
            (&blob, "!", Value::String("!".to_owned())),
        ] {
            let usual = TimestampFormat::Iso8601;
            assert_eq!(tolerant(shape, text.to_owned(), usual), expected, "{text}");
        }
    }

    #[test]
    fn quoted_text_is_short_and_printable() {
        assert_eq!(quote("a\nb"), "a\\nb");
        assert!(quote(&"x".repeat(500)).chars().count() <= QUOTED + 1);
    }
}
