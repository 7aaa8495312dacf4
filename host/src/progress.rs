//! What is known of a call while it is being carried out: the material of its audit record, filled
//! in step by step so that a refusal at any point records all that was understood by then.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::{Request, Response, Version};
use portcullis_core::access::{Advice, Effect, Session};
use portcullis_core::answer::Expected;
use portcullis_core::call::Call;
use portcullis_core::catalog::Catalog;
use portcullis_core::interpret;
use portcullis_core::record::{Called, Decision, End, Intent, Outcome, RequestId};
use portcullis_core::redact;
use portcullis_core::refusal::wire::{self, Caller};
use portcullis_core::refusal::{Delivery, Refusal};
use time::OffsetDateTime;

use crate::audit;
use crate::clock::{self, Stopwatch};
use crate::listener::Peer;
use crate::plugins::{CallFacts, Generation};
use crate::telemetry::{Step, StepTimes};

/// One call so far.
#[derive(Debug)]
pub struct Progress {
    pub(crate) id: RequestId,
    pub(crate) opened_at: OffsetDateTime,
    pub(crate) peer: Peer,
    pub(crate) caller: Caller,
    pub(crate) user_agent: String,
    /// What is left of an HTTP/1 body must never be read as a request.
    unread_body: bool,
    session: Option<Session>,
    facts: Option<CallFacts>,
    decision: Decision,
    rules: Vec<String>,
    reason: Option<String>,
    generation: Option<(u64, Vec<(String, String)>)>,
    params: Option<serde_json::Value>,
    expected: Option<Expected>,
    unknown_members: Vec<String>,
    timings: Vec<(&'static str, u32)>,
    stopwatch: Stopwatch,
}

impl Progress {
    /// A call that has just arrived.
    ///
    /// # Errors
    /// [`Refusal::Internal`] without randomness for its id.
    pub fn open<B>(request: &Request<B>, peer: Peer) -> Result<Self, Refusal> {
        let opened_at = clock::now();
        let user_agent = request.headers().get(http::header::USER_AGENT);
        Ok(Self {
            id: audit::request_id(opened_at)?,
            opened_at,
            peer,
            caller: Caller::of(request.method(), request.headers()),
            user_agent: user_agent
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .unwrap_or_default(),
            unread_body: request.version() < Version::HTTP_2,
            session: None,
            facts: None,
            decision: Decision::Unauthenticated,
            rules: Vec::new(),
            reason: None,
            generation: None,
            params: None,
            expected: None,
            unknown_members: Vec::new(),
            timings: Vec::with_capacity(Step::ALL.len()),
            stopwatch: Stopwatch::start(),
        })
    }

    /// Ends a step: its time goes to the metrics and to the record.
    pub fn end(&mut self, step: Step, times: &StepTimes) {
        let elapsed = times.end(step, &mut self.stopwatch);
        self.timings.push((step.as_str(), micros(elapsed)));
    }

    /// The body was read to its end.
    pub fn body_taken(&mut self) {
        self.unread_body = false;
    }

    /// The refusal as the caller reads it.
    pub fn render(&self, refusal: &Refusal) -> Response<Bytes> {
        let mut response = wire::render(refusal, &self.caller, &self.id.to_string());
        self.close_if_unread(response.headers_mut());
        response
    }

    /// Ends the connection after an answer that was given without reading the body.
    pub fn close_if_unread(&self, headers: &mut HeaderMap) {
        if self.unread_body {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Somebody was authenticated; from here on a refusal is theirs.
    pub fn authenticated(&mut self, session: &Session) {
        self.decision = Decision::Error;
        self.session = Some(session.clone());
    }

    /// The call was understood.
    pub fn interpreted(&mut self, call: &Call, facts: &CallFacts) {
        self.caller.dialect = interpret::call_dialect(call);
        self.facts = Some(facts.clone());
        self.unknown_members = call.unmodelled().to_vec();
        self.params = Some(redact::recordable(Catalog::embedded(), call));
        self.expected = Expected::of(Catalog::embedded(), call);
    }

    /// The plugins were asked.
    pub fn consulted(&mut self, generation: &Generation, advice: &[Advice]) {
        let strongest = advice
            .iter()
            .map(|advice| advice.effect)
            .max()
            .unwrap_or(Effect::Abstain);
        let decisive = advice.iter().filter(|advice| advice.effect == strongest);
        let digests = generation.digests();
        let digests = digests
            .iter()
            .map(|(name, digests)| ((*name).to_owned(), digests.component.to_string()));
        self.generation = Some((generation.id(), digests.collect()));
        self.rules = decisive
            .clone()
            .filter(|advice| advice.effect != Effect::Abstain)
            .map(|advice| format!("{}/{}", advice.plugin, advice.rule))
            .collect();
        self.reason = decisive.clone().next().map(|advice| advice.reason.clone());
    }

    /// It may be sent.
    pub fn permitted(&mut self) {
        self.decision = Decision::Allow;
    }

    /// The gateway answers itself, by one of its own rules.
    pub fn answered_here(&mut self, rule: &str) {
        self.decision = Decision::Allow;
        self.rules = vec![rule.to_owned()];
    }

    /// The name of the service, as far as it is known.
    pub fn service(&self) -> &str {
        self.facts
            .as_ref()
            .map_or("unknown", |facts| facts.service.as_str())
    }

    /// The operation, as far as it is known.
    pub fn operation(&self) -> &str {
        self.facts
            .as_ref()
            .map_or("unknown", |facts| facts.operation.as_str())
    }

    /// What was decided so far.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The record of the decision.
    pub fn intent(&self) -> Intent<'_> {
        Intent {
            source_ip: Some(self.peer.address.ip()),
            user_agent: Some(&self.user_agent),
            session: self.session.as_ref(),
            called: self.facts.as_ref().map(|facts| Called {
                service: &facts.service,
                operation: &facts.operation,
                region: &facts.region,
                account: &facts.account,
                access: facts.access(),
                actions: &facts.actions,
                unknown_members: &self.unknown_members,
            }),
            decision: self.decision,
            rules: &self.rules,
            reason: self.reason.as_deref(),
            generation: self.generation.as_ref().map(|(id, _)| *id),
            plugins: self
                .generation
                .as_ref()
                .map_or(&[], |(_, digests)| digests.as_slice()),
            timings: &self.timings,
            params: self.params.as_ref(),
            ..Intent::new(self.id, self.opened_at)
        }
    }

    /// Takes in why the call was refused, as far as that changes what was decided.
    pub fn refused(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::ApprovalRequired { .. } => self.decision = Decision::Approval,
            Refusal::Denied { rule, reason } => {
                self.decision = Decision::Deny;
                if self.rules.is_empty() {
                    self.rules = vec![rule.clone()];
                }
                self.reason = Some(reason.clone());
            }
            Refusal::RegionNotAllowed { .. } | Refusal::RoleNotPermitted { .. } => {
                self.decision = Decision::Deny;
                self.reason = Some(refusal.to_string());
            }
            _ => {}
        }
    }

    /// The record of how a refused call ended.
    pub fn refusal_outcome<'a>(&'a self, refusal: &Refusal, message: &'a str) -> Outcome<'a> {
        let end = match refusal {
            Refusal::UpstreamUnreachable {
                state: Delivery::Unknown,
                ..
            } => End::Failed,
            _ => End::NotSent,
        };
        Outcome {
            status: Some(refusal.status(self.caller.dialect).as_u16()),
            error_code: Some(refusal.code(self.caller.dialect)),
            error_class: Some(refusal.fault().as_str()),
            error_message: Some(message),
            timings: &self.timings,
            ..Outcome::new(end, clock::now())
        }
    }

    /// What is known of AWS's answer before it comes.
    pub fn expected(&self) -> Option<&Expected> {
        self.expected.as_ref()
    }

    /// How long each step took so far.
    pub fn timings(&self) -> &[(&'static str, u32)] {
        &self.timings
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
