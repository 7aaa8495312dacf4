//! The demo's own OpenID Connect issuer: discovery, one ES256 key, and a token for one agent. It
//! exists on loopback for as long as the demo runs.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::loopback;

const KEY_ID: &str = "demo";

/// A running issuer.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    url: String,
    key: Arc<EcdsaKeyPair>,
}

impl Issuer {
    /// Binds a free loopback port and serves discovery and keys.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow!("generating the demo issuer's key"))?;
        let key = Arc::new(key);
        let listener = loopback::bind().await.context("binding the demo issuer")?;
        let issuer = Self {
            url: format!("http://{}", listener.local_addr()?),
            key,
        };
        let served = issuer.clone();
        loopback::serve(listener, move |request, _: SocketAddr| {
            let answer = served.answer(&request);
            async move { answer }
        });
        Ok(issuer)
    }

    /// The `iss` of its tokens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A signed token for `subject`, member of `groups`, good for twelve hours.
    pub(super) fn token(
        &self,
        subject: &str,
        groups: &[&str],
        now: OffsetDateTime,
    ) -> anyhow::Result<String> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
        let claims = json!({
            "iss": self.url,
            "sub": subject,
            "aud": "portcullis",
            "iat": now.unix_timestamp(),
            "exp": (now + Duration::hours(12)).unix_timestamp(),
            "email": format!("{subject}@demo.invalid"),
            "groups": groups,
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| anyhow!("signing the demo token"))?;
        Ok(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => self.discovery(),
            "/jwks" => self.keys(),
            _ => return status(StatusCode::NOT_FOUND),
        };
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        response.headers_mut().insert(
            CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        response
    }

    fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "jwks_uri": format!("{}/jwks", self.url),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// An uncompressed P-256 point is `04 ‖ x ‖ y` (SEC 1 §2.3.3); a JWK wants x and y (RFC 7518 §6.2).
    fn keys(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let (x, y) = point
            .get(1..)
            .unwrap_or_default()
            .split_at_checked(32)
            .unwrap_or_default();
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }] })
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
