//! Requests signed with the `aws-sigv4` crate, as the AWS SDKs would send them.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SigningParams;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::{v4, v4a};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use percent_encoding::utf8_percent_encode;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::head::Head;
use crate::sigv4::{Payload, SigningSecret};

pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "sealed.session.token/with+base64==";

/// A request to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) service: String,
    /// Or a set of them, if it is a list or a pattern.
    pub(crate) region: &'static str,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) binding: Binding,
}

/// What is signed of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binding {
    Absent,
    Chunks(&'static str),
    Digest,
    Trailer,
    Unsigned,
}

pub(crate) const KEY: &str = "PCAKEXAMPLE0000000";

pub(crate) fn secret() -> SigningSecret {
    SigningSecret::new(SECRET.to_owned())
}

/// The time the samples are signed at.
pub(crate) fn now() -> OffsetDateTime {
    datetime!(2015-08-30 12:36:00 UTC)
}

impl Sample {
    pub(crate) fn new(service: &str, method: &'static str, target: &str) -> Self {
        Self {
            service: service.to_owned(),
            region: "us-east-1",
            method,
            host: "gw.example:8443",
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            binding: Binding::Digest,
        }
    }

    pub(crate) fn dynamodb() -> Self {
        let mut sample = Self::new("dynamodb", "POST", "/")
            .with_header("content-type", "application/x-amz-json-1.0")
            .with_header("x-amz-target", "DynamoDB_20120810.ListTables");
        sample.body = b"{\"Limit\":1234567890}".to_vec();
        sample.binding = Binding::Absent;
        sample
    }

    pub(crate) fn lambda() -> Self {
        let function = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af";
        let path = format!("/2015-03-31/functions/{function}/invocations?Qualifier=%24LATEST");
        let mut sample = Self::new("lambda", "POST", &path);
        sample.body = b"{}".to_vec();
        sample
    }

    pub(crate) fn s3_get() -> Self {
        Self::new(
            "s3",
            "GET",
            "/bucket/a%20b/..//%C3%BC%2B~%252F%26?x-id=GetObject&versionId=a%2Fb",
        )
    }

    pub(crate) fn s3_put_whole() -> Self {
        let mut sample = Self::new("s3", "PUT", "/bucket/k").with_header("x-amz-meta-a", "b");
        sample.body = b"hello".to_vec();
        sample
    }

    pub(crate) fn s3_put_unsigned() -> Self {
        let mut sample = Self::s3_put_whole();
        sample.binding = Binding::Unsigned;
        sample
    }

    pub(crate) fn s3_put_trailer() -> Self {
        let mut sample = Self::new("s3", "PUT", "/bucket/k")
            .with_header("content-encoding", "aws-chunked")
            .with_header("x-amz-decoded-content-length", "5")
            .with_header("x-amz-trailer", "x-amz-checksum-crc32");
        sample.body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n".to_vec();
        sample.binding = Binding::Trailer;
        sample
    }

    /// The head alone: the signatures in the body begin with its signature.
    pub(crate) fn s3_put_chunks() -> Self {
        let mut sample = Self::new("s3", "PUT", "/bucket/k")
            .with_header("content-encoding", "aws-chunked,gzip")
            .with_header("x-amz-decoded-content-length", "5");
        sample.binding = Binding::Chunks("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
        sample
    }

    pub(crate) fn s3_put_chunks_trailer() -> Self {
        let mut sample = Self::s3_put_chunks().with_header("x-amz-trailer", "x-amz-checksum-crc32");
        sample.binding = Binding::Chunks("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
        sample
    }

    /// Signed with Signature Version 4A.
    pub(crate) fn for_regions(mut self, set: &'static str) -> Self {
        self.region = set;
        self
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Signs, and splits the way a listener would.
    pub(crate) fn sign(&self) -> (Head, Payload) {
        let mut headers = HeaderMap::new();
        headers.insert("host", self.host.parse().unwrap());
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let signed = self.instructions(own.clone());
        let signed = signed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(signed) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        (
            self.head(headers),
            Payload::Whole(Bytes::from(self.body.clone())),
        )
    }

    /// Signs in the query, for this many seconds.
    pub(crate) fn presign(&self, lifetime: u64) -> (Head, Payload) {
        let mut headers = HeaderMap::new();
        headers.insert("host", self.host.parse().unwrap());
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.clone() {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let mut settings = self.settings();
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(lifetime));
        let unsigned = Self {
            binding: Binding::Unsigned,
            ..self.clone()
        };
        let sample = if self.service == "s3" {
            &unsigned
        } else {
            self
        };
        let signed = sample.signed(own, settings);
        let pairs = signed.params().iter().map(|(name, value)| {
            let value = utf8_percent_encode(value, crate::sigv4::canonical::COMPONENT);
            format!("{name}={value}")
        });
        let mut head = self.head(headers);
        let own = head.query.take().into_iter();
        head.query = Some(own.chain(pairs).collect::<Vec<_>>().join("&"));
        (head, Payload::Whole(Bytes::from(self.body.clone())))
    }

    fn head(&self, headers: HeaderMap) -> Head {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        Head {
            method: Method::from_bytes(self.method.as_bytes()).unwrap(),
            path: path.to_owned(),
            query: self.target.contains('?').then(|| query.to_owned()),
            authority: self.host.to_owned(),
            headers,
            tls: true,
            proxied: false,
        }
    }

    fn instructions<'a>(
        &'a self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(String, String)> {
        self.signed(headers, self.settings())
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn signed<'a>(
        &'a self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        settings: SigningSettings,
    ) -> SigningInstructions {
        let identity: Identity =
            Credentials::new(KEY, SECRET, Some(TOKEN.to_owned()), None, "test").into();
        let at = u64::try_from(now().unix_timestamp()).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(at);
        let params: SigningParams<'_> = if self.region.contains(['*', ',']) {
            let params = v4a::SigningParams::builder().identity(&identity);
            let params = params.region_set(self.region).name(&self.service);
            params.time(at).settings(settings).build().unwrap().into()
        } else {
            let params = v4::SigningParams::builder().identity(&identity);
            let params = params.region(self.region).name(&self.service);
            params.time(at).settings(settings).build().unwrap().into()
        };
        let body = match self.binding {
            Binding::Absent | Binding::Digest => SignableBody::Bytes(&self.body),
            Binding::Chunks(word) => SignableBody::Precomputed(word.to_owned()),
            Binding::Trailer => SignableBody::StreamingUnsignedPayloadTrailer,
            Binding::Unsigned => SignableBody::UnsignedPayload,
        };
        let uri = format!("https://{}{}", self.host, self.target);
        let request = SignableRequest::new(self.method, uri, headers, body).unwrap();
        sign(request, &params).unwrap().into_parts().0
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if !matches!(self.binding, Binding::Absent) {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        settings
    }
}
