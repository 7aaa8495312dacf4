//! S3's error behind a status of success. A copy or the end of a multipart upload takes longer than
//! a connection lives without bytes, so S3 sends its head and white space at once and the error, if
//! there is one, at the end: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>.
//! The body is watched while it passes and nothing of it is held back.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Body, Expected, Received, ServiceError};

/// Far above any error S3 writes.
const MAX_ERROR: usize = 64 << 10;

/// Watches one body.
#[derive(Debug, Default)]
pub struct LateError {
    seen: Vec<u8>,
    root: Root,
}

/// What the body's first element is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Root {
    Error,
    Other,
    #[default]
    Unknown,
}

impl LateError {
    /// Takes note of the bytes that pass.
    pub fn take(&mut self, mut bytes: &[u8]) {
        if self.root == Root::Other {
            return;
        }
        if self.seen.is_empty() {
            bytes = bytes.trim_ascii_start();
        }
        let room = MAX_ERROR.saturating_sub(self.seen.len());
        self.seen
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if self.root == Root::Unknown {
            self.look();
        }
    }

    /// The error that the body was, once it is at its end.
    pub fn finish(self, expected: &Expected, status: StatusCode) -> Option<ServiceError> {
        if self.root != Root::Error {
            return None;
        }
        let received = Received {
            status,
            headers: &HeaderMap::new(),
            body: Body::Whole(&Bytes::from(self.seen)),
        };
        let answer = expected.decode(&received).ok();
        let error = answer.and_then(|answer| answer.result.err());
        Some(error.unwrap_or_else(|| ServiceError::of_status(status)))
    }

    /// Finds the first element behind declaration, comments and white space.
    fn look(&mut self) {
        loop {
            let rest = self.seen.trim_ascii_start();
            let end: &[u8] = if rest.starts_with(b"<?") {
                b"?>"
            } else if rest.starts_with(b"<!--") {
                b"-->"
            } else {
                break;
            };
            let Some(at) = rest.windows(end.len()).position(|window| window == end) else {
                return;
            };
            let rest = rest.get(at + end.len()..).unwrap_or_default();
            self.seen = rest.trim_ascii_start().to_vec();
        }
        let name = self.seen.strip_prefix(b"<");
        let end = name.and_then(|name| {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
            name.iter().position(ends)
        });
        self.root = match (name, end) {
            _ if self.seen.is_empty() || self.seen.starts_with(b"<!") => Root::Unknown,
            (None, _) => Root::Other,
            (Some(name), Some(end)) if name.get(..end) == Some(b"Error") => Root::Error,
            (Some(_), Some(_)) => Root::Other,
            (Some(name), None) if b"Error".starts_with(name) => Root::Unknown,
            (Some(_), None) => Root::Other,
        };
        if self.root == Root::Other {
            self.seen = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Protocol};

    const ERROR: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n   <Error><Code>SlowDown</Code>\
                         <Message>again</Message></Error>";

    fn code(chunks: &[&str]) -> Option<String> {
        let s3 = Expected::new(
            Catalog::embedded(),
            "s3",
            "CompleteMultipartUpload",
            Protocol::RestXml,
        );
        let s3 = s3.unwrap();
        let mut watched = s3.late_error(StatusCode::OK).unwrap();
        chunks
            .iter()
            .for_each(|chunk| watched.take(chunk.as_bytes()));
        Some(watched.finish(&s3, StatusCode::OK)?.code)
    }

    #[test]
    fn an_error_is_found_however_it_is_cut() {
        for cut in 0..ERROR.len() {
            let (first, second) = ERROR.split_at(cut);
            let found = code(&["\n ", "  ", first, second]);
            assert_eq!(found.as_deref(), Some("SlowDown"), "{cut}");
        }
        let bytes: Vec<&str> = ERROR.split("").collect();
        assert_eq!(code(&bytes).as_deref(), Some("SlowDown"));
    }

    #[test]
    fn a_success_is_none() {
        for body in [
            "",
            "  ",
            "<?xml version=\"1.0\"?>  <CompleteMultipartUploadResult/>",
            "<Errors><Error><Code>x</Code></Error></Errors>",
            "<ErrorX/>",
            "Error",
            "<Err",
        ] {
            assert_eq!(code(&[body]), None, "{body}");
        }
    }

    #[test]
    fn an_error_that_cannot_be_read_is_still_one() {
        for body in [
            "<Error><Code>a</Code>",
            "<Error><Code>a</Code><Code>b</Code></Error>",
        ] {
            assert_eq!(code(&[body]).as_deref(), Some("200"), "{body}");
        }
        let long = "x".repeat(2 * MAX_ERROR);
        assert_eq!(code(&["<Error>", &long]).as_deref(), Some("200"));
    }

    #[test]
    fn objects_and_other_services_are_not_watched() {
        for (service, operation, protocol) in [
            ("s3", "GetObject", Protocol::RestXml),
            ("s3", "GetBucketPolicy", Protocol::RestXml),
            ("s3", "SelectObjectContent", Protocol::RestXml),
            ("route53", "GetHostedZone", Protocol::RestXml),
        ] {
            let expected = Expected::new(Catalog::embedded(), service, operation, protocol);
            let watched = expected.unwrap().late_error(StatusCode::OK);
            assert!(watched.is_none(), "{service}:{operation}");
        }
    }
}
