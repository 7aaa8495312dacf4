//! The gateway's own paths under `/_portcullis/`, which no S3 bucket can be called.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use portcullis_core::refusal::Refusal;
use portcullis_core::refusal::wire::Dialect;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::audit::Health;
use crate::body::ResponseBody;
use crate::listener::Peer;
use crate::pipeline::Gateway;
use crate::progress::Progress;
use crate::sts::container_error;

/// What every reserved path starts with.
pub const PREFIX: &str = "/_portcullis/";

/// Answers reserved paths and hands everything else to the pipeline.
#[derive(Clone, Debug)]
pub struct Front {
    gateway: Arc<Gateway>,
    metrics: PrometheusHandle,
}

impl Front {
    /// In front of this gateway.
    pub fn new(gateway: Arc<Gateway>, metrics: PrometheusHandle) -> Self {
        Self { gateway, metrics }
    }

    /// Answers a request on the agents' listener.
    pub async fn handle(self, request: Request<Incoming>, peer: Peer) -> Response<ResponseBody> {
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix(PREFIX) else {
            return self.gateway.handle(request, peer).await;
        };
        match (request.method(), rest) {
            (&Method::GET | &Method::HEAD, "healthz") => text(StatusCode::OK, "ok\n"),
            // A stranger learns whether, and only the operator learns why not.
            (&Method::GET | &Method::HEAD, "readyz") => {
                let (status, _) = self.readiness();
                json_answer(status, &json!({"ready": status.is_success()}))
            }
            // Counts are the operator's business; a scraper beside the gateway is the operator.
            (&Method::GET, "metrics") if peer.address.ip().is_loopback() => self.metrics(),
            (&Method::GET, rest) if rest.starts_with("credentials/") => {
                let role = rest.trim_start_matches("credentials/").to_owned();
                self.container_credentials(&role, &request, peer).await
            }
            (&Method::POST, rest) if rest.starts_with("mint/") => {
                self.gateway.handle(request, peer).await
            }
            _ => text(StatusCode::NOT_FOUND, "no such path\n"),
        }
    }

    /// Answers a request on the people's listener.
    pub async fn console(self, request: Request<Incoming>, _: Peer) -> Response<ResponseBody> {
        let path = request.uri().path();
        match (
            request.method(),
            path.strip_prefix("/_portcullis").unwrap_or(path),
        ) {
            (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") => {
                let (status, details) = self.readiness();
                json_answer(status, &details)
            }
            (&Method::GET, "/metrics") => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "no such path\n"),
        }
    }

    fn metrics(&self) -> Response<ResponseBody> {
        text(StatusCode::OK, self.metrics.render())
    }

    /// Ready means: a call that policy allows would be carried out. An issuer that does not answer
    /// does not change that for those who are signed in.
    fn readiness(&self) -> (StatusCode, Value) {
        let audit = match self.gateway.audit.health() {
            Health::Healthy => None,
            Health::Refusing(why) => Some(why),
        };
        let status = self.gateway.plugins.status();
        let problems: Vec<String> = status.problems.iter().map(ToString::to_string).collect();
        let ready = audit.is_none();
        let details = json!({
            "ready": ready,
            "audit": audit.unwrap_or_else(|| "ok".to_owned()),
            "generation": status.generation,
            "reload_problems": problems,
            "issuers": self.issuers(),
        });
        let code = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (code, details)
    }

    fn issuers(&self) -> Vec<Value> {
        let states = self.gateway.sign_in.issuers().into_iter();
        let shown = states.map(|state| {
            json!({
                "issuer": state.issuer,
                "keys_read_at": state.keys_read_at.and_then(|time| time.format(&Rfc3339).ok()),
                "failure": state.failure,
            })
        });
        shown.collect()
    }

    async fn container_credentials(
        &self,
        role: &str,
        request: &Request<Incoming>,
        peer: Peer,
    ) -> Response<ResponseBody> {
        let answer = match Progress::open(request, peer) {
            Ok(mut progress) => {
                let sign_in = &self.gateway.sign_in;
                let answer = sign_in
                    .for_container(role, request.headers(), &progress)
                    .await;
                match answer {
                    Ok(response) => return response,
                    Err(refusal) => self.gateway.record_refusal(refusal, &mut progress).await,
                }
            }
            Err(refusal) => refusal,
        };
        container_refusal(&answer).map(ResponseBody::from)
    }
}

fn container_refusal(refusal: &Refusal) -> Response<Bytes> {
    let status = refusal.status(Dialect::RestJson);
    container_error(
        status,
        refusal.code(Dialect::RestJson),
        &refusal.to_string(),
    )
}

fn json_answer(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    let mut response = text(status, format!("{body}\n"));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
