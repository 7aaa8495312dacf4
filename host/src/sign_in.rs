//! Signing in: an OIDC token comes in, gateway credentials go out. Recorded before they do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use portcullis_core::access::Session;
use portcullis_core::call::Call;
use portcullis_core::head::Head;
use portcullis_core::record::{End, Event, Outcome};
use portcullis_core::refusal::Refusal;
use portcullis_core::refusal::wire::Dialect;
use portcullis_core::sts::{self, MAX_FORM};
use portcullis_core::token::RANDOMNESS;

use crate::audit::Audit;
use crate::body::ResponseBody;
use crate::clock;
use crate::identity::IssuerState;
use crate::progress::Progress;
use crate::reply::Ended;
use crate::sts::{Occasion, Sts};

/// A stranger's form is small and must arrive at once: nobody is known yet who could be held to it.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers requests that nobody has signed yet.
#[derive(Debug)]
pub struct SignIn {
    sts: Sts,
    audit: Arc<Audit>,
}

impl SignIn {
    /// Signs in through `sts` and records what was issued.
    pub fn new(sts: Sts, audit: Arc<Audit>) -> Self {
        Self { sts, audit }
    }

    /// What is known of each issuer.
    pub fn issuers(&self) -> Vec<IssuerState> {
        self.sts.issuers()
    }

    /// Whether this is an unsigned form at the root, as `AssumeRoleWithWebIdentity` is sent.
    pub fn is_for(head: &Head) -> bool {
        let form = |headers: &HeaderMap| {
            headers
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
        };
        head.method == Method::POST
            && head.path == "/"
            && head.query.is_none()
            && !head.headers.contains_key(AUTHORIZATION)
            && form(&head.headers)
    }

    /// `AssumeRoleWithWebIdentity`.
    ///
    /// # Errors
    /// Whatever keeps the token from being accepted or the issue from being recorded.
    pub async fn with_web_identity(
        &self,
        request: Request<Incoming>,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Refusal> {
        progress.caller.dialect = Dialect::Query;
        let form = Limited::new(request.into_body(), MAX_FORM).collect();
        let form = tokio::time::timeout(FORM_TIMEOUT, form)
            .await
            .map_err(|_| Refusal::BodyTimeout)?
            .map_err(|_| Refusal::PayloadTooLarge {
                limit: MAX_FORM as u64,
            })?
            .to_bytes();
        let id = progress.id.to_string();
        let occasion = occasion(progress, &id)?;
        let (session, response) = self
            .sts
            .assume_role_with_web_identity(&form, occasion)
            .await?;
        self.issued(&session, response, progress).await
    }

    /// The container-credentials path.
    ///
    /// # Errors
    /// As [`Self::with_web_identity`].
    pub async fn for_container(
        &self,
        role: &str,
        headers: &HeaderMap,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let authorization = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let id = progress.id.to_string();
        let occasion = occasion(progress, &id)?;
        let (session, response) = self
            .sts
            .container_credentials(role, authorization, occasion)
            .await?;
        self.issued(&session, response, progress).await
    }

    /// A signed call to STS: `GetCallerIdentity` is answered for the gateway's own principal,
    /// everything else would hand out or extend credentials and is refused.
    ///
    /// # Errors
    /// The refusal of every other operation.
    pub async fn sts_call(
        &self,
        session: &Session,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        if call.operation() != "GetCallerIdentity" {
            return Err(sts::refuse(call.operation()).into());
        }
        let id = progress.id.to_string();
        let response = self.sts.caller_identity(session, &id)?;
        progress.answered_here("gateway/caller-identity");
        let outcome = Outcome {
            status: Some(response.status().as_u16()),
            response_bytes: Some(response.body().len() as u64),
            ..Outcome::new(End::Answered, clock::now())
        };
        let recorded = self.audit.refused(&progress.intent(), &outcome).await;
        recorded.map_err(Ended::Recorded)?;
        Ok(response.map(ResponseBody::from))
    }

    async fn issued(
        &self,
        session: &Session,
        response: Response<Bytes>,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let event = Event::CredentialsIssued {
            session,
            source_ip: Some(progress.peer.address.ip()),
            user_agent: Some(&progress.user_agent),
        };
        self.audit.event(progress.opened_at, &event).await?;
        Ok(response.map(ResponseBody::from))
    }
}

fn occasion<'a>(progress: &Progress, request_id: &'a str) -> Result<Occasion<'a>, Refusal> {
    let mut randomness = [0; RANDOMNESS];
    getrandom::fill(&mut randomness).map_err(|_| Refusal::Internal)?;
    Ok(Occasion {
        now: progress.opened_at,
        randomness,
        request_id,
    })
}
