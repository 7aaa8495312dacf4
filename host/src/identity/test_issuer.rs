//! An identity provider in this process: discovery, keys, faults to switch on, and tokens signed
//! by an implementation other than the one that verifies them.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::rsa(KeySize::Rsa2048));
pub(crate) static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::rsa(KeySize::Rsa2048));
pub(crate) static P256: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING));
pub(crate) static P384: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING));
pub(crate) static ED25519: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::Ed(Ed25519KeyPair::generate().unwrap()));

pub(crate) enum TestKey {
    Ec(&'static str, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl TestKey {
    fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    fn ec(curve: &'static str, algorithm: &'static signature::EcdsaSigningAlgorithm) -> Self {
        Self::Ec(curve, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(curve, key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "kid": kid, "use": "sig", "x": text(x), "y": text(y)})
            }
            Self::Ed(key) => {
                let x = text(key.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
            }
            // PKCS #1 DER of a 2048-bit key: nine bytes of framing before the modulus, five
            // before and three of the exponent 65537.
            Self::Rsa(key) => {
                let der = key.public_key().as_ref();
                let n = text(&der[9..der.len() - 5]);
                json!({"kty": "RSA", "kid": kid, "use": "sig", "n": n, "e": "AQAB"})
            }
        }
    }

    pub(crate) fn public_bytes(&self) -> &[u8] {
        match self {
            Self::Ec(_, key) => key.public_key().as_ref(),
            Self::Ed(key) => key.public_key().as_ref(),
            Self::Rsa(key) => key.public_key().as_ref(),
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ec(_, key) => {
                let signature = key.sign(&SystemRandom::new(), message).unwrap();
                signature.as_ref().to_vec()
            }
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding = rsa_padding(algorithm);
                key.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// A token over exactly this JSON.
    pub(crate) fn token_of(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let signed = unsigned(header, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(algorithm, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap_or("RS256");
        self.token_of(algorithm, &header.to_string(), &claims.to_string())
    }
}

fn rsa_padding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

/// The first two parts of a token.
pub(crate) fn unsigned(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}")
}

/// What is wrong with the issuer's answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    EmptySet,
    Error,
    Garbage,
    Huge,
    ManyKeys,
    None,
    OtherIssuer,
    Redirect,
    SchemeChange,
    Silence,
}

#[derive(Debug)]
struct State {
    keys: Vec<Value>,
    fault: Fault,
    cache_control: Option<&'static str>,
    discoveries: usize,
    key_sets: usize,
}

/// The identity provider; it stops when dropped.
#[derive(Debug)]
pub(crate) struct TestIssuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

impl TestIssuer {
    pub(crate) async fn start(keys: &[(&str, &TestKey)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            keys: keys.iter().map(|(kid, key)| key.jwk(kid)).collect(),
            fault: Fault::None,
            cache_control: None,
            discoveries: 0,
            key_sets: 0,
        }));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn claims(&self) -> Value {
        let now = NOW.unix_timestamp();
        json!({
            "iss": self.url(), "sub": "user-1", "aud": "portcullis", "iat": now, "exp": now + 600,
            "groups": ["agents"],
        })
    }

    pub(crate) fn break_with(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub(crate) fn publish(&self, keys: Vec<Value>) {
        self.state.lock().unwrap().keys = keys;
    }

    pub(crate) fn say_cache_control(&self, value: &'static str) {
        self.state.lock().unwrap().cache_control = Some(value);
    }

    /// How often the keys were asked for.
    pub(crate) fn key_sets(&self) -> usize {
        self.state.lock().unwrap().key_sets
    }

    /// How often anything was asked for.
    pub(crate) fn questions(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.discoveries + state.key_sets
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let address = listener.local_addr().unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(request.uri().path(), address, &state).await) }
            });
            // A client that hangs up in the middle is part of the tests.
            let _closed = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(path: &str, address: SocketAddr, state: &Mutex<State>) -> Response<Full<Bytes>> {
    let (fault, cache_control, body) = {
        let mut state = state.lock().unwrap();
        let body = if path == "/keys" {
            state.key_sets += 1;
            key_set(&state)
        } else {
            state.discoveries += 1;
            metadata(address, state.fault)
        };
        (state.fault, state.cache_control, body)
    };
    let mut response = Response::builder();
    match fault {
        Fault::Error => response = response.status(500),
        Fault::Redirect if path == "/keys" => {
            response = response.status(302).header("location", "/keys2");
        }
        Fault::Silence => pending().await,
        _ => {}
    }
    if let Some(value) = cache_control {
        response = response.header("cache-control", value);
    }
    response.body(Full::new(Bytes::from(body))).unwrap()
}

fn metadata(address: SocketAddr, fault: Fault) -> String {
    let scheme = if fault == Fault::SchemeChange {
        "https"
    } else {
        "http"
    };
    let issuer = match fault {
        Fault::OtherIssuer => format!("http://{address}/"),
        _ => format!("http://{address}"),
    };
    json!({"issuer": issuer, "jwks_uri": format!("{scheme}://{address}/keys")}).to_string()
}

fn key_set(state: &State) -> String {
    match state.fault {
        Fault::EmptySet => json!({"keys": []}).to_string(),
        Fault::Garbage => "<html>".to_owned(),
        Fault::Huge => json!({"keys": state.keys, "x": "x".repeat(2 << 20)}).to_string(),
        Fault::ManyKeys => json!({"keys": vec![state.keys[0].clone(); 101]}).to_string(),
        _ => json!({"keys": state.keys}).to_string(),
    }
}
