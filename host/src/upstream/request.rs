//! The request that goes out: the agent's headers without what is not its to say, signed with the
//! real credential over a short and stable list of headers.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningParams, SigningSettings, UriPathNormalizationMode,
};
use aws_sigv4::sign::{v4, v4a};
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use portcullis_core::aws_chunked::Encoder;
use portcullis_core::event_stream::upload::EventWriter;
use portcullis_core::interpret::Embedded;
use portcullis_core::reach::Reach;
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::{ChunkChain, EventChain, PayloadMode, Scope, SigningSecret};
use time::OffsetDateTime;

use super::envelope::Enveloped;
use super::progress::{Progress, Watched};
use super::rechunk::Rechunked;
use super::{Outgoing, OutgoingBody, Route, SignedCall};

/// Headers that end here: the agent's own signature, what concerns only the connection to the
/// gateway (RFC 9110 §7.6.1), what names hosts, peers or browsers, and what the gateway writes.
const DROPPED: [&str; 31] = [
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-region-set",
    "x-amz-s3session-token",
    "x-amz-security-token",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// What the gateway says itself and a hop on the way may change. Everything else was judged, so it
/// is signed.
const UNSIGNED: [&str; 3] = ["accept-encoding", "content-length", "user-agent"];

/// How long AWS may take to fetch a call that is presigned inside another: what the SDKs say.
const EMBEDDED_LIFETIME: Duration = Duration::from_secs(3600);

/// Builds and signs a request; the second value tells how far its body is.
pub(super) fn signed(
    outgoing: Outgoing,
    credentials: &Credentials,
    now: OffsetDateTime,
) -> Result<(SignedCall, Progress), Refusal> {
    let Outgoing {
        head,
        bucket,
        route,
        embedded,
        versions: _,
        mut payload_mode,
        mut body,
    } = outgoing;
    if let Some((call, route)) = embedded {
        let signing = Signing {
            route: &route,
            credentials,
            now,
        };
        body = signing.replace(&call, &body)?;
        // The agent's digest was of the agent's bytes.
        payload_mode = PayloadMode::Absent;
    }
    let path = route.path(&head.path, bucket.as_ref())?;
    let uri = route.uri(&path, head.query.as_deref());
    let mut headers = forwarded(&head.headers)?;
    headers.insert(HOST, value(route.authority())?);
    set_length(&mut headers, &head.method, &body);
    let mut request = Request::builder()
        .method(head.method)
        .uri(&uri)
        .body(())
        .map_err(|error| internal("building the request", &error))?;
    *request.headers_mut() = headers;
    let signing = Signing {
        route: &route,
        credentials,
        now,
    };
    let signature = signing.apply(&mut request, &uri, &signable(&payload_mode, &body))?;
    let body = match (body, payload_mode) {
        (
            OutgoingBody::Stream(body),
            PayloadMode::SignedChunks {
                decoded_length,
                trailer,
            },
        ) => {
            let chain = signing.seeded(&request, &signature, ChunkChain::new)?;
            let encoder = Encoder::new(chain);
            Watched::rechunked(Rechunked::new(body, encoder, decoded_length, trailer))
        }
        (OutgoingBody::Stream(body), PayloadMode::SignedEvents) => {
            let chain = signing.seeded(&request, &signature, EventChain::new)?;
            Watched::enveloped(Enveloped::new(body, EventWriter::new(chain)))
        }
        (OutgoingBody::Stream(body), _) => Watched::stream(body),
        (OutgoingBody::Whole(bytes), _) => Watched::whole(bytes),
    };
    let progress = body.progress();
    Ok((request.map(|()| body), progress))
}

/// The agent's headers that are passed on.
fn forwarded(headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
    let mut kept = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        if !is_dropped(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    for token in connection_tokens(headers) {
        kept.remove(token);
    }
    let own = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    let agent = kept.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.map_or_else(|| own.to_owned(), |agent| format!("{agent} {own}"));
    kept.insert(USER_AGENT, value(&agent)?);
    // What is masked must be readable, and what is not needs no decompression bomb.
    kept.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(kept)
}

fn is_dropped(name: &HeaderName) -> bool {
    let name = name.as_str();
    DROPPED.binary_search(&name).is_ok() || name.starts_with("x-forwarded-")
}

/// The fields that `Connection` says are for this hop only.
fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// S3 wants a length even on an empty `PUT`; a streamed body's own length is set by the HTTP
/// library from the framing it came in.
fn set_length(headers: &mut HeaderMap, method: &Method, body: &OutgoingBody) {
    if let OutgoingBody::Whole(bytes) = body
        && (!bytes.is_empty() || matches!(*method, Method::PUT | Method::POST | Method::PATCH))
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
}

fn signable<'a>(mode: &PayloadMode, body: &'a OutgoingBody) -> SignableBody<'a> {
    match (mode, body) {
        (PayloadMode::Absent, OutgoingBody::Whole(bytes)) => SignableBody::Bytes(bytes),
        // A streamed body without a digest is never admitted; UNSIGNED would be a lie elsewhere.
        (PayloadMode::Absent, OutgoingBody::Stream(_)) => SignableBody::Precomputed(String::new()),
        (PayloadMode::Digest(digest), _) => SignableBody::Precomputed(hex::encode(digest)),
        (PayloadMode::SignedChunks { .. } | PayloadMode::SignedEvents, _) => {
            SignableBody::Precomputed(mode.word().unwrap_or_default().to_owned())
        }
        (PayloadMode::Unsigned, _) => SignableBody::UnsignedPayload,
        (PayloadMode::UnsignedTrailer { .. }, _) => SignableBody::StreamingUnsignedPayloadTrailer,
    }
}

struct Signing<'a> {
    route: &'a Route,
    credentials: &'a Credentials,
    now: OffsetDateTime,
}

impl Signing<'_> {
    /// Signs the head; returns the signature.
    fn apply(
        &self,
        request: &mut Request<()>,
        uri: &str,
        body: &SignableBody<'_>,
    ) -> Result<String, Refusal> {
        let method = request.method().clone();
        let covered: Vec<(&str, &str)> = request
            .headers()
            .iter()
            .filter(|(name, _)| !UNSIGNED.contains(&name.as_str()))
            .map(|(name, value)| Ok((name.as_str(), value.to_str().map_err(not_text)?)))
            .collect::<Result<_, Refusal>>()?;
        let signable =
            SignableRequest::new(method.as_str(), uri, covered.into_iter(), body.clone())
                .map_err(|error| internal("reading the request to sign", &error))?;
        let (instructions, signature) = self.sign(signable, self.settings())?;
        instructions.apply_to_request_http1x(request);
        Ok(signature)
    }

    fn sign(
        &self,
        signable: SignableRequest<'_>,
        settings: SigningSettings,
    ) -> Result<(SigningInstructions, String), Refusal> {
        let identity = self.credentials.clone().into();
        let parameters = self.parameters(&identity, settings)?;
        let output = aws_sigv4::http_request::sign(signable, &parameters)
            .map_err(|error| internal("signing", &error))?;
        Ok(output.into_parts())
    }

    /// One region's signature for one region, and for a set of them the one that names them.
    fn parameters<'p>(
        &'p self,
        identity: &'p Identity,
        settings: SigningSettings,
    ) -> Result<SigningParams<'p>, Refusal> {
        match self.route.reach() {
            Reach::Region(region) => v4::SigningParams::builder()
                .identity(identity)
                .region(region)
                .name(self.route.signing_name())
                .time(self.time())
                .settings(settings)
                .build()
                .map(SigningParams::V4)
                .map_err(|error| internal("preparing the signature", &error)),
            Reach::Set(set) => v4a::SigningParams::builder()
                .identity(identity)
                .region_set(set.as_str())
                .name(self.route.signing_name())
                .time(self.time())
                .settings(settings)
                .build()
                .map(SigningParams::V4a)
                .map_err(|error| internal("preparing the signature", &error)),
        }
    }

    /// The body of a call with the gateway's own call inside instead of the agent's.
    fn replace(&self, embedded: &Embedded, body: &OutgoingBody) -> Result<OutgoingBody, Refusal> {
        let OutgoingBody::Whole(bytes) = body else {
            return Err(Refusal::Internal);
        };
        let url = self.presigned(&self.route.uri("/", Some(embedded.query())))?;
        embedded.replace(bytes, &url).map(OutgoingBody::Whole)
    }

    /// A URL that fetches `uri` with the gateway's credential.
    fn presigned(&self, uri: &str) -> Result<String, Refusal> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(EMBEDDED_LIFETIME);
        let mut request = Request::get(uri)
            .body(())
            .map_err(|error| internal("building the request to presign", &error))?;
        let host = [("host", self.route.authority())];
        let signable = SignableRequest::new("GET", uri, host.into_iter(), SignableBody::empty())
            .map_err(|error| internal("reading the request to presign", &error))?;
        self.sign(signable, settings)?
            .0
            .apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }

    /// The chain of signatures through the body behind a signed head.
    fn seeded<T>(
        &self,
        request: &Request<()>,
        signature: &str,
        chain: impl FnOnce(&SigningSecret, &Scope, &str, &str) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let time = request.headers().get("x-amz-date");
        let time = time
            .and_then(|time| time.to_str().ok())
            .ok_or(Refusal::Internal)?;
        let scope = Scope {
            date: time.chars().take_while(|digit| *digit != 'T').collect(),
            reach: self.route.reach().clone(),
            service: self.route.signing_name().to_owned(),
        };
        let secret = SigningSecret::new(self.credentials.secret_access_key().to_owned());
        chain(&secret, &scope, time, signature)
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.route.signs_path_as_sent() {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        // The library would leave out what it thinks hops may change.
        settings.excluded_headers = None;
        // S3 and Glacier demand the header; every other service takes it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings
    }

    fn time(&self) -> SystemTime {
        let seconds = u64::try_from(self.now.unix_timestamp()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|error| internal("writing a header", &error))
}

fn not_text(_: http::header::ToStrError) -> Refusal {
    Refusal::Malformed("a header that must be signed is not visible ASCII".to_owned())
}

pub(super) fn internal(step: &'static str, error: &dyn std::error::Error) -> Refusal {
    tracing::error!(step, %error, "the call could not be signed");
    Refusal::Internal
}

#[cfg(test)]
mod tests {
    use super::DROPPED;

    #[test]
    fn dropped_headers_are_sorted_for_the_search() {
        assert!(DROPPED.is_sorted());
    }
}
