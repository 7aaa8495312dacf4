//! Requests as text that a fuzzer can mend and break, and their signature by another signer.
//!
//! ```text
//! <signing name> <method> <target> <authority>
//! <header>: <value>
//! …
//!
//! <body>
//! ```

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_core::head::Head;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{Payload, SignedRequest, SigningSecret, VerifiedRequest};
use time::OffsetDateTime;

const SECRET: &str = "not-a-real-secret";
const NOW: i64 = 1_767_323_045;

/// A request in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) service: String,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the text; what no HTTP library would hand on is nothing.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = text.split('\n');
        let mut words = lines.next()?.split(' ');
        let (service, method) = (words.next()?, words.next()?);
        let (target, authority) = (words.next()?, words.next()?);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let graphic = target.chars().all(|char| char.is_ascii_graphic()) && path.starts_with('/');
        if !graphic || target.contains('#') || words.next().is_some() {
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(authority).ok()?);
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
        }
        let head = Head {
            method: Method::from_bytes(method.as_bytes()).ok()?,
            path: path.to_owned(),
            query,
            authority: authority.to_owned(),
            headers,
            tls: true,
            proxied: false,
        };
        Some(Self {
            service: service.to_owned(),
            head,
            body: bytes[end + 2..].to_vec(),
        })
    }

    /// The same request with the headers of a signature, if the signer can sign it.
    pub(crate) fn sign(mut self) -> Option<Self> {
        let target = match &self.head.query {
            Some(query) => format!("{}?{query}", self.head.path),
            None => self.head.path.clone(),
        };
        let uri = format!("https://{}{target}", self.head.authority);
        uri.parse::<http::Uri>().ok()?;
        let pairs = self.head.headers.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let body = SignableBody::Bytes(&self.body);
        let method = self.head.method.as_str();
        let request = SignableRequest::new(method, uri, pairs, body).ok()?;
        let identity = Credentials::new("PCAKEXAMPLE0000000", SECRET, None, None, "fuzz").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(&self.service)
            .time(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
            .settings(settings(&self.service))
            .build()
            .ok()?
            .into();
        let (instructions, _) = sign(request, &params).ok()?.into_parts();
        for (name, value) in instructions.headers() {
            let name: HeaderName = name.parse().ok()?;
            self.head.headers.append(name, value.parse().ok()?);
        }
        Some(self)
    }

    /// What the gateway's verifier says of it.
    pub(crate) fn verify(&self) -> Result<VerifiedRequest, Refusal> {
        let payload = Payload::Whole(Bytes::from(self.body.clone()));
        SignedRequest::parse(self.head.clone())?.verify(&secret(), payload, now())
    }
}

/// The secret that everything is signed with.
pub(crate) fn secret() -> SigningSecret {
    SigningSecret::new(SECRET.to_owned())
}

/// The time that everything is signed at.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}
