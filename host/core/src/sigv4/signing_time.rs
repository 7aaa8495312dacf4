//! When a request says it was signed, and whether that is near enough to now.

use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::{Scope, header, malformed};
use crate::head::Head;
use crate::refusal::Refusal;
use crate::s3_name;

/// What AWS allows for S3, and "in most cases" for everything else.
const S3_SKEW: Duration = Duration::minutes(15);
pub(super) const SKEW: Duration = Duration::minutes(5);

/// The instant, and its ISO 8601 basic form that the string to sign holds.
#[derive(Debug)]
pub(super) struct SigningTime {
    instant: OffsetDateTime,
    text: String,
    /// For how long a presigned URL is good.
    lifetime: Option<Duration>,
}

impl SigningTime {
    /// Reads `X-Amz-Date`, or `Date` when only that is sent and it is signed.
    pub(super) fn of(head: &Head, signed_headers: &str) -> Result<Self, Refusal> {
        match header(head, "x-amz-date")? {
            Some(text) => Self::of_text(head, text, None),
            None => Self::of_date_header(date(head)?, signed_headers),
        }
    }

    /// The time a URL was presigned at, and for how long it is good.
    pub(super) fn of_url(head: &Head, text: &str, lifetime: Duration) -> Result<Self, Refusal> {
        if head.headers.contains_key("x-amz-date") {
            return Err(Refusal::Ambiguous("`X-Amz-Date` is there twice".to_owned()));
        }
        Self::of_text(head, text, Some(lifetime))
    }

    fn of_text(head: &Head, text: &str, lifetime: Option<Duration>) -> Result<Self, Refusal> {
        let instant = parse_basic(text).ok_or_else(bad_time)?;
        if date(head)?.is_some_and(|date| date != instant) {
            return Err(Refusal::Ambiguous(
                "`Date` and `X-Amz-Date` differ".to_owned(),
            ));
        }
        Ok(Self {
            instant,
            text: text.to_owned(),
            lifetime,
        })
    }

    fn of_date_header(date: Option<OffsetDateTime>, signed_headers: &str) -> Result<Self, Refusal> {
        let instant = date.ok_or_else(|| malformed("the request has no `X-Amz-Date`"))?;
        if !signed_headers.split(';').any(|name| name == "date") {
            return Err(Refusal::UnsignedHeader("date".to_owned()));
        }
        Ok(Self {
            instant,
            text: format_basic(instant),
            lifetime: None,
        })
    }

    /// When it is.
    pub(super) fn instant(&self) -> OffsetDateTime {
        self.instant
    }

    /// `YYYYMMDDTHHMMSSZ`.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The scope's date must be the day of signing, also around midnight.
    pub(super) fn check_day(&self, scope: &Scope) -> Result<(), Refusal> {
        if self.text.starts_with(&scope.date) {
            Ok(())
        } else {
            Err(malformed(
                "the date in the credential scope is not the day of `X-Amz-Date`",
            ))
        }
    }

    /// A signature is good for a few minutes either side of `now`, a presigned URL for as long as
    /// it says.
    pub(super) fn check_age(&self, service: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        let skew = if s3_name::is_signing_name(service) {
            S3_SKEW
        } else {
            SKEW
        };
        let age = now - self.instant;
        match self.lifetime {
            Some(lifetime) if age >= lifetime => Err(Refusal::UrlExpired {
                ended: format_basic((self.instant + lifetime).to_offset(UtcOffset::UTC)),
            }),
            Some(_) if age >= -skew => Ok(()),
            Some(_) => Err(skewed(self.instant, now)),
            None => check_skew(self.instant, skew, now),
        }
    }
}

/// Whether what was signed at `instant` is near enough to `now`.
pub(super) fn check_skew(
    instant: OffsetDateTime,
    skew: Duration,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    if (now - instant).abs() <= skew {
        Ok(())
    } else {
        Err(skewed(instant, now))
    }
}

fn skewed(instant: OffsetDateTime, now: OffsetDateTime) -> Refusal {
    Refusal::ClockSkew {
        signed: format_basic(instant.to_offset(UtcOffset::UTC)),
        now: format_basic(now.to_offset(UtcOffset::UTC)),
    }
}

fn date(head: &Head) -> Result<Option<OffsetDateTime>, Refusal> {
    header(head, "date")?.map(parse_date).transpose()
}

fn parse_date(text: &str) -> Result<OffsetDateTime, Refusal> {
    let instant = parse_basic(text)
        .or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok())
        .filter(|instant| instant.offset().is_utc());
    instant.ok_or_else(bad_time)
}

/// ISO 8601 basic format in UTC, zero-padded.
pub(super) fn parse_basic(text: &str) -> Option<OffsetDateTime> {
    let shaped = text.len() == "YYYYMMDDTHHMMSSZ".len()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
    if !shaped {
        return None;
    }
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let parsed = PrimitiveDateTime::parse(text, format).ok()?;
    Some(parsed.assume_utc())
}

pub(super) fn format_basic(instant: OffsetDateTime) -> String {
    let (date, time) = (instant.date(), instant.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn bad_time() -> Refusal {
    malformed("the signing time is not `YYYYMMDDTHHMMSSZ`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_padded_real_instants_are_times() {
        for (text, expected) in [
            ("20150830T123600Z", true),
            ("99991231T235959Z", true),
            ("20150830T123660Z", false),
            ("20150830T126000Z", false),
            ("20150230T123600Z", false),
            ("2015083T0123600Z", false),
            ("20150830T12360Z", false),
            ("20150830T123600", false),
            ("20150830t123600z", false),
            ("+2150830T123600Z", false),
            ("-2150830T123600Z", false),
            ("20150830T1236 0Z", false),
            ("2015-08-30T12:36:00Z", false),
            ("", false),
        ] {
            let parsed = parse_basic(text);
            assert_eq!(parsed.is_some(), expected, "{text}");
            if let Some(instant) = parsed {
                assert_eq!(format_basic(instant), text);
            }
        }
    }

    #[test]
    fn date_headers_are_read_in_both_spellings() {
        let expected = parse_basic("20150830T123600Z").unwrap();
        for text in [
            "20150830T123600Z",
            "Sun, 30 Aug 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 -0000",
        ] {
            assert_eq!(parse_date(text), Ok(expected), "{text}");
        }
        for text in ["Sun, 30 Aug 2015 12:36:00 +0200", "yesterday", ""] {
            assert_eq!(parse_date(text), Err(bad_time()), "{text}");
        }
    }
}
