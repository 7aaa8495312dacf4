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
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use portcullis_core::head::Head;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{Payload, SignedRequest, SigningSecret, VerifiedRequest};
use time::OffsetDateTime;

/// All but unreserved characters (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
pub(crate) const SECRET: &str = "not-a-real-secret";
pub(crate) const NOW: i64 = 1_767_323_045;

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
        let body = self.body.clone();
        let body = SignableBody::Bytes(&body);
        let instructions = self.instructions(body, settings(&self.service))?;
        for (name, value) in instructions.headers() {
            let name: HeaderName = name.parse().ok()?;
            self.head.headers.append(name, value.parse().ok()?);
        }
        Some(self)
    }

    /// The same request with a signature in its query that lasts a minute, if the signer can sign it.
    pub(crate) fn presign(&self) -> Option<Self> {
        let mut settings = settings(&self.service);
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(60));
        let body = match self.service.as_str() {
            "s3" => SignableBody::UnsignedPayload,
            _ => SignableBody::Bytes(&self.body),
        };
        let instructions = self.instructions(body, settings)?;
        let mut query: Vec<String> = self.head.query.iter().cloned().collect();
        for (name, value) in instructions.params() {
            query.push(format!(
                "{name}={}",
                percent_encode(value.as_bytes(), ESCAPED)
            ));
        }
        let mut signed = self.clone();
        signed.head.query = Some(query.join("&"));
        Some(signed)
    }

    fn instructions(
        &self,
        body: SignableBody<'_>,
        settings: SigningSettings,
    ) -> Option<SigningInstructions> {
        let target = match &self.head.query {
            Some(query) => format!("{}?{query}", self.head.path),
            None => self.head.path.clone(),
        };
        let uri = format!("https://{}{target}", self.head.authority);
        uri.parse::<http::Uri>().ok()?;
        let pairs = self.head.headers.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let method = self.head.method.as_str();
        let request = SignableRequest::new(method, uri, pairs, body).ok()?;
        let identity = Credentials::new("PCAKEXAMPLE0000000", SECRET, None, None, "fuzz").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(&self.service)
            .time(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
            .settings(settings)
            .build()
            .ok()?
            .into();
        Some(sign(request, &params).ok()?.into_parts().0)
    }

    /// What the gateway's verifier says of it.
    pub(crate) fn verify(&self) -> Result<VerifiedRequest, Refusal> {
        let payload = Payload::Whole(Bytes::from(self.body.clone()));
        SignedRequest::parse(self.head.clone())?.verify(&secret(), payload, now())
    }
}

/// Adds a header whose value is written as in a query; what is none is left out.
pub(crate) fn append(head: &mut Head, name: &str, value: &str) {
    let value: Vec<u8> = percent_decode_str(value).collect();
    let pair = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
    if let (Ok(name), Ok(value)) = (pair, HeaderValue::from_bytes(&value)) {
        head.headers.append(name, value);
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
