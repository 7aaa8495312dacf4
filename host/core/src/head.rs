//! The head of a request exactly as it came off the wire: split, bounded, not yet believed.

use std::fmt;

use http::{HeaderMap, Method};

/// A request head. `path` and `query` keep the client's own percent-encoding, because SigV4 signs
/// those bytes and S3 keys may hold `..`, `//` and `%2F`.
#[derive(Clone)]
pub struct Head {
    /// The method, case-sensitive (RFC 9110 §9.1).
    pub method: Method,
    /// The absolute path as received, never normalised, at least `/`.
    pub path: String,
    /// The query string as received, without its `?`.
    pub query: Option<String>,
    /// The authority the client addressed: `Host`, or HTTP/2's `:authority`. Lower-case, with the
    /// port if one was sent.
    pub authority: String,
    /// Every header field in order of arrival, without HTTP/2's pseudo-headers.
    pub headers: HeaderMap,
    /// Whether the bytes arrived over TLS.
    pub tls: bool,
    /// Whether the client came by way of the proxy, whose tunnel was opened to exactly `authority`.
    pub proxied: bool,
}

impl Head {
    /// The value of a header that may appear at most once, as text.
    ///
    /// # Errors
    /// [`HeaderError`] when it appears twice or is not visible ASCII, because either has two
    /// readings.
    pub fn header(&self, name: &str) -> Result<Option<&str>, HeaderError> {
        let mut values = self.headers.get_all(name).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(HeaderError::Repeated(name.to_owned()));
        }
        value
            .to_str()
            .map(Some)
            .map_err(|_| HeaderError::NotText(name.to_owned()))
    }
}

/// The query of a presigned URL is as good as a credential.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.query.as_deref();
        let secret = query.is_some_and(|query| query.to_ascii_lowercase().contains("signature="));
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &if secret { Some("…") } else { query })
            .field("authority", &self.authority)
            .field("headers", &self.headers)
            .field("tls", &self.tls)
            .field("proxied", &self.proxied)
            .finish()
    }
}

/// Why a header has no single reading.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// Bytes outside visible ASCII.
    #[error("header `{0}` is not visible ASCII")]
    NotText(String),
    /// More than one field of that name.
    #[error("header `{0}` appears more than once")]
    Repeated(String),
}
