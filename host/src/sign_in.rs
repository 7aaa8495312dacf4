//! Signing in, and on from one session to the next: an OIDC token or a permitted call to STS comes
//! in, gateway credentials go out. Recorded before they do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use portcullis_core::access::{Permit, Session};
use portcullis_core::directory_bucket::SessionRequest;
use portcullis_core::head::Head;
use portcullis_core::record::{End, Event, Outcome};
use portcullis_core::refusal::Refusal;
use portcullis_core::refusal::wire::Dialect;
use portcullis_core::sts::{MAX_FORM, Request};
use portcullis_core::token::RANDOMNESS;

use crate::audit::Audit;
use crate::body::ResponseBody;
use crate::clock;
use crate::identity::IssuerState;
use crate::progress::Progress;
use crate::reply::Ended;
use crate::sts::{Again, Occasion, Sts, Wanted};

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
        request: http::Request<Incoming>,
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

    /// Who asks, for whom AWS wants no permission either.
    ///
    /// # Errors
    /// What keeps the answer from being given or recorded.
    pub async fn caller_identity(
        &self,
        session: &Session,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let id = progress.id.to_string();
        let response = self.sts.caller_identity(session, &id)?;
        progress.answered_here("gateway/caller-identity");
        self.answered(response, None, progress).await
    }

    /// A permitted call to STS, answered here: what is issued belongs to the same principal and
    /// ends with the session that asked.
    ///
    /// # Errors
    /// Whatever keeps a session from being issued or recorded.
    pub async fn answer(
        &self,
        permit: Permit,
        request: &Request,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let id = progress.id.to_string();
        let parent = permit.session();
        let issued = match request {
            Request::AssumeRole {
                role,
                session_name,
                duration,
            } => {
                let wanted = Wanted {
                    role,
                    session_name,
                    duration: *duration,
                };
                let occasion = occasion(progress, &id)?;
                self.sts.assume_role(parent, wanted, occasion)?
            }
            Request::GetAccessKeyInfo { access_key_id } => {
                let response = self.sts.access_key_info(parent, access_key_id, &id)?;
                return self.answered(response, None, progress).await;
            }
            Request::GetCallerIdentity => return self.caller_identity(parent, progress).await,
            Request::GetFederationToken {
                session_name,
                duration,
            } => {
                let again = Again::Federated(session_name, *duration);
                let occasion = occasion(progress, &id)?;
                self.sts.same_role(parent, again, occasion)?
            }
            Request::GetSessionToken { duration } => {
                let again = Again::Token(*duration);
                let occasion = occasion(progress, &id)?;
                self.sts.same_role(parent, again, occasion)?
            }
        };
        let (session, response) = issued;
        self.record_issue(&session, progress).await?;
        self.answered(response, Some(&session), progress).await
    }

    /// A permitted `CreateSession`, answered here with a session of the gateway's own.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn directory_session(
        &self,
        permit: Permit,
        request: &SessionRequest,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let id = progress.id.to_string();
        let occasion = occasion(progress, &id)?;
        let (session, response) =
            self.sts
                .directory_session(permit.session(), request, occasion)?;
        self.record_issue(&session, progress).await?;
        self.answered(response, Some(&session), progress).await
    }

    async fn answered(
        &self,
        response: Response<Bytes>,
        issued: Option<&Session>,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        progress.permitted();
        let outcome = Outcome {
            status: Some(response.status().as_u16()),
            response_bytes: Some(response.body().len() as u64),
            issued_access_key_id: issued.map(|session| session.access_key_id.as_str()),
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
        self.record_issue(session, progress).await?;
        Ok(response.map(ResponseBody::from))
    }

    async fn record_issue(&self, session: &Session, progress: &Progress) -> Result<(), Refusal> {
        let event = Event::CredentialsIssued {
            session,
            source_ip: Some(progress.peer.address.ip()),
            user_agent: Some(&progress.user_agent),
        };
        self.audit.event(progress.opened_at, &event).await
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
