//! One agent's call, from its first byte to its answer, in the order things happen.
//!
//! `parse → authenticate → admit → verify → interpret → decide → record → mint → send → reply`.
//! Leaving early means refusing; whatever happens ends in an answer and in a record. The order is
//! the argument: nothing is read before somebody is known, nothing believed before the signature
//! holds, nothing sent before a permit and a durable intent exist.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_core::access::{self, Session};
use portcullis_core::catalog::Catalog;
use portcullis_core::interpret::{self, Witness};
use portcullis_core::refusal::{Refusal, wire};
use portcullis_core::sigv4::{SignedRequest, VerifiedRequest};
use portcullis_core::sts;

use crate::audit::Audit;
use crate::body::{Bodies, Intake, ResponseBody};
use crate::credentials::Credentials;
use crate::errand::Errand;
use crate::key_ring::KeyRingFile;
use crate::listener::{self, Peer};
use crate::places::Places;
use crate::plugins::{CallFacts, Plugins, Question};
use crate::progress::Progress;
use crate::reply::{Ended, Reply};
use crate::sign_in::SignIn;
use crate::telemetry::{Step, StepTimes, count_call};
use crate::upstream::Upstream;

/// Everything a call passes through.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) catalog: &'static Catalog,
    pub(crate) keys: Arc<KeyRingFile>,
    pub(crate) sign_in: SignIn,
    pub(crate) bodies: Bodies,
    pub(crate) places: Places,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) credentials: Credentials,
    pub(crate) upstream: Upstream,
    pub(crate) mint_longest: Duration,
    pub(crate) times: StepTimes,
}

impl Gateway {
    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<ResponseBody> {
        let mut progress = match Progress::open(&request, peer) {
            Ok(progress) => progress,
            Err(refusal) => return wire::unidentified(&refusal).map(ResponseBody::from),
        };
        let outcome = self.carry_out(request, &mut progress).await;
        let refusal = match outcome {
            Ok(response) => {
                count_call(progress.service(), progress.decision().as_str());
                return response;
            }
            Err(Ended::Recorded(refusal)) => refusal,
            Err(Ended::Refused(refusal)) => self.record_refusal(refusal, &mut progress).await,
        };
        count_call(progress.service(), progress.decision().as_str());
        progress.render(&refusal).map(ResponseBody::from)
    }

    async fn carry_out(
        &self,
        request: Request<Incoming>,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let now = progress.opened_at;

        let head = listener::head(&request, &progress.peer)?;
        progress.caller.dialect = interpret::dialect(self.catalog, &head);
        if SignIn::is_for(&head) && interpret::takes_sign_in(self.catalog, &head) {
            return Ok(self.sign_in.with_web_identity(request, progress).await?);
        }
        let signed = SignedRequest::parse(head)?;
        progress.end(Step::Parse, &self.times);

        // Before the body, so that a stranger costs no memory.
        let ring = self.keys.ring();
        let (session, secret) = ring.open(signed.access_key_id(), signed.session_token(), now)?;
        progress.authenticated(&session);
        let place = self.places.of(&session)?;
        progress.end(Step::Authenticate, &self.times);

        let intake = if interpret::streams(self.catalog, &signed, place) {
            Intake::Stream
        } else {
            Intake::Whole
        };
        // A streamed body is not touched before it is sent, so that an agent that asks first
        // (`Expect: 100-continue`) is told "no" and never sends it.
        let body = request.into_body();
        let admitted = self
            .bodies
            .admit(body, signed.payload_mode(), intake)
            .await?;
        if admitted.stream.is_none() {
            progress.body_taken();
        }
        let _share_of_memory = admitted.share;
        progress.end(Step::Admit, &self.times);

        // Before anything in the request is believed.
        let verified = signed.verify(&secret, admitted.payload, now)?;
        progress.end(Step::Verify, &self.times);

        let witness = Witness {
            secret: &secret,
            now,
        };
        let (call, order) = self.understand(&verified, place, witness)?;
        let facts = CallFacts::from(&call);
        progress.interpreted(&call, &facts);
        self.places.check_region(&session, &call)?;
        progress.end(Step::Interpret, &self.times);
        let errand = Errand::of(&call, order)?;
        if errand == Some(Errand::Sts(sts::Request::GetCallerIdentity)) {
            return self.sign_in.caller_identity(&session, progress).await;
        }

        // One generation from here to the end of the answer.
        let generation = self.plugins.current();
        let question = question(progress, &session, facts, &verified);
        let advice = generation.consult(Arc::new(question)).await;
        progress.consulted(&generation, &advice);
        let permit = access::decide(session, call, &advice, now)?;
        if let Some(errand) = errand {
            return self.run_errand(permit, &errand, progress).await;
        }
        let outgoing = self.upstream.prepare(&permit, verified, admitted.stream)?;
        progress.permitted();
        progress.end(Step::Decide, &self.times);

        // Nothing is sent, not even to STS, before the intent is on disk.
        let recorded = self.audit.intent(&progress.intent()).await?;
        let reply = Reply::new(self.audit.clone(), recorded);
        progress.end(Step::Record, &self.times);

        let credentials = match self.credentials.mint(&permit, now).await {
            Ok(credentials) => credentials,
            Err(refusal) => return Err(reply.refuse(refusal, progress).await),
        };
        progress.end(Step::Mint, &self.times);

        let recorded = reply.recorded();
        let sending = self
            .upstream
            .send(permit, recorded, outgoing, &credentials, now);
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(refusal) => return Err(reply.refuse(refusal, progress).await),
        };
        progress.end(Step::Send, &self.times);

        // No byte reaches the agent before the outcome is on disk.
        let response = reply.answer(answer, progress).await?;
        progress.end(Step::Reply, &self.times);
        Ok(response)
    }

    /// Records a call that is not sent; what cannot be recorded is refused for that instead.
    pub(crate) async fn record_refusal(
        &self,
        refusal: Refusal,
        progress: &mut Progress,
    ) -> Refusal {
        progress.refused(&refusal);
        let message = refusal.to_string();
        let outcome = progress.refusal_outcome(&refusal, &message);
        match self.audit.refused(&progress.intent(), &outcome).await {
            Ok(()) => refusal,
            Err(unrecorded) => unrecorded,
        }
    }
}

fn question(
    progress: &Progress,
    session: &Session,
    call: CallFacts,
    request: &VerifiedRequest,
) -> Question {
    Question {
        request_id: progress.id.to_string(),
        session: session.clone(),
        call,
        source_ip: progress.peer.address.ip(),
        user_agent: progress.user_agent.clone(),
        time: progress.opened_at,
        headers: request.head().headers.clone(),
    }
}
