//! The AWS SDK's way out, over the same connector, and so with the same trust, as `upstream`.

use std::path::Path;

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::BoxError;
use crate::upstream::{Connector, Versions};

/// No answer of STS or of an instance's metadata service is nearly as long.
const ANSWER_BYTES: usize = 1024 * 1024;

/// An HTTP client for the SDK that trusts the web's authorities, or only those of a PEM file.
pub(super) fn client(ca: Option<&Path>) -> anyhow::Result<SharedHttpClient> {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(Connector::new(ca, Versions::One)?);
    let connector = SharedHttpConnector::new(Exchange(client));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

#[derive(Clone, Debug)]
struct Exchange(Client<Connector, Full<Bytes>>);

impl HttpConnector for Exchange {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let exchange = self.clone();
        HttpConnectorFuture::new(async move { exchange.carry_out(request).await })
    }
}

impl Exchange {
    async fn carry_out(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |error: BoxError| ConnectorError::user(error);
        let request = request
            .try_into_http1x()
            .map_err(|error| user(error.into()))?;
        let (head, body) = request.into_parts();
        let bytes = body
            .bytes()
            .ok_or_else(|| user("a request to STS is never a stream".into()))?;
        let body = Full::new(Bytes::copy_from_slice(bytes));
        let answer = self
            .0
            .request(http::Request::from_parts(head, body))
            .await
            .map_err(|error| ConnectorError::io(error.into()))?;
        let (head, body) = answer.into_parts();
        let bytes = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(ConnectorError::io)?
            .to_bytes();
        HttpResponse::try_from(http::Response::from_parts(head, SdkBody::from(bytes)))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }
}
