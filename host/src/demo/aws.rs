//! The demo's AWS: a stand-in on loopback that verifies every signature, hands out assumed roles
//! and answers a handful of operations from memory. `serve` cannot reach this code.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis_core::call::Call;
use portcullis_core::catalog::Catalog;
use portcullis_core::head::Head;
use portcullis_core::interpret::{self, Place};
use portcullis_core::refusal::Refusal;
use portcullis_core::refusal::wire::{self, Caller};
use portcullis_core::sigv4::{Payload, SignedRequest, SigningSecret};

use super::loopback;
use crate::clock;

mod answers;
mod store;

use store::Store;

/// The account the stand-in plays.
pub(super) const ACCOUNT: &str = "123456789012";

/// A running stand-in.
#[derive(Clone)]
pub(super) struct Aws {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    secrets: BTreeMap<String, String>,
    store: Store,
}

/// The gateway's own key at the stand-in.
pub(super) struct BaseKey {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
}

impl Aws {
    /// Binds a free loopback port and serves.
    pub(super) async fn start() -> anyhow::Result<(Self, BaseKey)> {
        let base = BaseKey {
            access_key_id: format!("AKIA{}", random_upper()?),
            secret_access_key: random_secret()?,
        };
        let listener = loopback::bind().await?;
        let aws = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new(State {
                secrets: BTreeMap::from([(
                    base.access_key_id.clone(),
                    base.secret_access_key.clone(),
                )]),
                store: Store::sample(),
            })),
        };
        let served = aws.clone();
        loopback::serve(listener, move |request, _| {
            let answer = served.answer(request);
            async move { answer }
        });
        Ok((aws, base))
    }

    /// Where the gateway sends calls.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn answer(&self, request: Request<Bytes>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let head = Head {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            authority: parts
                .headers
                .get(http::header::HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default()
                .to_ascii_lowercase(),
            headers: parts.headers,
            tls: true,
            proxied: false,
        };
        let mut caller = Caller::of(&head.method, &head.headers);
        caller.dialect = interpret::dialect(Catalog::embedded(), &head);
        self.verified(head, body)
            .unwrap_or_else(|refusal| wire::render(&refusal, &caller, "demo"))
            .map(Full::new)
    }

    /// Real verification: a gateway that re-signs wrongly is refused here as AWS would.
    fn verified(&self, head: Head, body: Bytes) -> Result<Response<Bytes>, Refusal> {
        let body_copy = body.clone();
        let signed = SignedRequest::parse(head)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = state
            .secrets
            .get(signed.access_key_id())
            .ok_or(Refusal::UnknownAccessKey)?
            .clone();
        let (secret, now) = (SigningSecret::new(secret), clock::now());
        let request = signed.verify(&secret, Payload::Whole(body), now)?;
        let place = Place {
            partition: "aws".to_owned(),
            account: ACCOUNT.to_owned(),
            hostnames: Vec::new(),
            unknown_members: Vec::new(),
        };
        let witness = interpret::Witness {
            secret: &secret,
            now,
        };
        let call = interpret::interpret(Catalog::embedded(), &request, &place, witness)?;
        if call.service() == "sts" && call.operation() == "AssumeRole" {
            return state.assume_role(&call);
        }
        answers::answer(&mut state.store, &call, &body_copy).ok_or_else(|| {
            Refusal::Unsupported(format!(
                "the demo's AWS does not answer {} {}; run the demo with `--upstream` and an emulator for more",
                call.service(),
                call.operation()
            ))
        })
    }
}

impl State {
    fn assume_role(&mut self, call: &Call) -> Result<Response<Bytes>, Refusal> {
        let text = |name: &str| {
            call.params()
                .get(name)
                .and_then(|value| value.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let id = format!("ASIA{}", random_upper().map_err(|_| Refusal::Internal)?);
        let secret = random_secret().map_err(|_| Refusal::Internal)?;
        let token = random_secret().map_err(|_| Refusal::Internal)?;
        self.secrets.insert(id.clone(), secret.clone());
        let role = text("RoleArn")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let session = text("RoleSessionName");
        Ok(answers::xml(format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROADEMO:{session}</AssumedRoleId><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}</Arn></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>demo</RequestId></ResponseMetadata></AssumeRoleResponse>",
            answers::timestamp(clock::now() + time::Duration::hours(1))
        )))
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn random_upper() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode_upper(bytes))
}

fn random_secret() -> anyhow::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
