//! One call → one verdict: every (action, resource) pair must be permitted, nothing may forbid,
//! and an error is a deny.

use std::collections::HashSet;

use cedar_policy::{AuthorizationError, Authorizer, Context, PolicyId, Request, Response};

use crate::policies::Policies;
use crate::vocabulary::{self, Facts, Pair, Principal};

/// How strong the answer is, weakest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Effect {
    /// No policy is about any of the call's actions.
    Abstain,
    /// Every pair is permitted.
    Allow,
    /// Every pair is permitted, some only with a person's yes.
    RequireApproval,
    /// Forbidden, not permitted, or not decidable.
    Deny,
}

/// The plugin's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// How strong.
    pub effect: Effect,
    /// The deciding rule's id.
    pub rule: String,
    /// What the agent reads.
    pub reason: String,
}

const MAX_TEXT_CHARS: usize = 300;

/// What the policies say of one pair.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Outcome {
    Failed(PolicyId, String),
    Forbidden(PolicyId),
    NeedsApproval(PolicyId),
    Permitted(PolicyId),
    /// No policy is about the action.
    Silent,
    /// Policies are about the action, none permits.
    Unmatched,
}

impl Outcome {
    /// Which outcome decides when pairs differ. Silence about one pair of a call that policies do
    /// speak about is a pair nobody permits.
    fn weight(&self) -> u8 {
        match self {
            Self::Permitted(_) => 0,
            Self::NeedsApproval(_) => 1,
            Self::Silent | Self::Unmatched => 2,
            Self::Failed(_, _) => 3,
            Self::Forbidden(_) => 4,
        }
    }
}

/// One call, ready to be evaluated pair by pair.
struct Call<'a> {
    policies: &'a Policies,
    principal: Principal,
    context: Context,
    authorizer: Authorizer,
}

/// Decides one call.
pub fn decide(policies: &Policies, facts: &Facts) -> Verdict {
    evaluate(policies, facts).unwrap_or_else(|error| Verdict {
        effect: Effect::Deny,
        rule: "unreadable-call".to_owned(),
        reason: format!("the policies cannot read this call: {}", short(&error)),
    })
}

/// Decides an invented call through every part of the evaluator.
pub(crate) fn warm_up(policies: &Policies) {
    let pair = Pair {
        action: policies.some_action().unwrap_or("s3:GetObject").to_owned(),
        resource: "arn:aws:s3:::warm-up/key".to_owned(),
        access: "read",
    };
    let facts = Facts {
        principal: "https://idp.example#warm-up".to_owned(),
        groups: vec!["agents".to_owned()],
        access: "read",
        params: Some(r#"{"Key":"value","Count":1,"Ratio":0.5,"List":[true]}"#.to_owned()),
        time: Some("2026-01-01T00:00:00.000Z".to_owned()),
        source_ip: Some("192.0.2.1".to_owned()),
        user_agent: Some("warm-up".to_owned()),
        pairs: vec![pair],
        ..Facts::default()
    };
    decide(policies, &facts);
}

fn evaluate(policies: &Policies, facts: &Facts) -> Result<Verdict, String> {
    let call = Call {
        policies,
        principal: policies.types.principal(facts)?,
        context: vocabulary::context(facts)?,
        authorizer: Authorizer::new(),
    };
    let mut seen = HashSet::new();
    let mut outcomes = Vec::new();
    for pair in facts.pairs.iter().filter(|pair| seen.insert(*pair)) {
        outcomes.push((call.outcome(pair)?, pair));
    }
    let silent = outcomes
        .iter()
        .all(|(outcome, _)| *outcome == Outcome::Silent);
    let heaviest = outcomes
        .iter()
        .rev()
        .max_by_key(|(outcome, _)| outcome.weight());
    Ok(match heaviest {
        None => verdict(
            Effect::Deny,
            "no-actions",
            "the call names no action".to_owned(),
        ),
        Some((_, pair)) if silent => verdict(
            Effect::Abstain,
            "",
            format!("no policy is about {}", of(pair)),
        ),
        Some((outcome, pair)) => call.verdict(outcome, pair),
    })
}

impl Call<'_> {
    fn outcome(&self, pair: &Pair) -> Result<Outcome, String> {
        let types = &self.policies.types;
        let request = Request::new(
            self.principal.uid.clone(),
            types.action(pair),
            types.resource(pair),
            self.context.clone(),
            None,
        )
        .map_err(|error| error.to_string())?;
        let entities = types.entities(&self.principal, pair)?;
        let mut tally = Tally::default();
        for bucket in self.policies.candidates(pair) {
            let response = self
                .authorizer
                .is_authorized(&request, &bucket.policies, &entities);
            tally.add(&response, self.policies);
        }
        Ok(tally.outcome())
    }

    fn verdict(&self, outcome: &Outcome, pair: &Pair) -> Verdict {
        let what = of(pair);
        match outcome {
            Outcome::Failed(id, error) => {
                let rule = self.id(id);
                let reason = format!(
                    "{what} is refused because policy `{rule}` could not be evaluated: {}",
                    short(error)
                );
                verdict(Effect::Deny, rule, reason)
            }
            Outcome::Forbidden(id) => {
                self.explained(Effect::Deny, id, format!("{what} is forbidden by policy"))
            }
            Outcome::NeedsApproval(id) => self.explained(
                Effect::RequireApproval,
                id,
                format!("{what} needs a person's approval by policy"),
            ),
            Outcome::Permitted(id) => {
                self.explained(Effect::Allow, id, format!("{what} is permitted by policy"))
            }
            Outcome::Silent | Outcome::Unmatched => verdict(
                Effect::Deny,
                "no-permit",
                format!("no policy permits {what} to this principal in this form"),
            ),
        }
    }

    /// The policy's own reason, else the sentence with the policy's name.
    fn explained(&self, effect: Effect, id: &PolicyId, sentence: String) -> Verdict {
        let rule = self.id(id);
        let reason = self
            .policies
            .rule(id)
            .and_then(|rule| rule.reason.clone())
            .unwrap_or_else(|| format!("{sentence} `{rule}`"));
        verdict(effect, rule, reason)
    }

    fn id(&self, id: &PolicyId) -> &str {
        self.policies.rule(id).map_or("unknown", |rule| &rule.id)
    }
}

/// The satisfied policies of one pair over all buckets; the first written of each kind decides.
#[derive(Debug, Default)]
struct Tally {
    asked: bool,
    failed: Option<(PolicyId, String)>,
    forbid: Option<PolicyId>,
    permit: Option<PolicyId>,
    permit_after_approval: Option<PolicyId>,
}

impl Tally {
    fn add(&mut self, response: &Response, policies: &Policies) {
        self.asked = true;
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            let id = error.policy_id();
            if self.failed.as_ref().is_none_or(|(first, _)| id < first) {
                self.failed = Some((id.clone(), error.inner().to_string()));
            }
        }
        for id in response.diagnostics().reason() {
            // Cedar names the forbids that hold if there are any, else the permits.
            let rule = policies.rule(id);
            let slot = match rule {
                None => &mut self.forbid,
                Some(rule) if rule.forbids => &mut self.forbid,
                Some(rule) if rule.approval => &mut self.permit_after_approval,
                Some(_) => &mut self.permit,
            };
            if slot.as_ref().is_none_or(|first| id < first) {
                *slot = Some(id.clone());
            }
        }
    }

    fn outcome(self) -> Outcome {
        if let Some(id) = self.forbid {
            Outcome::Forbidden(id)
        } else if let Some((id, error)) = self.failed {
            Outcome::Failed(id, error)
        } else if let Some(id) = self.permit {
            Outcome::Permitted(id)
        } else if let Some(id) = self.permit_after_approval {
            Outcome::NeedsApproval(id)
        } else if self.asked {
            Outcome::Unmatched
        } else {
            Outcome::Silent
        }
    }
}

fn verdict(effect: Effect, rule: &str, reason: String) -> Verdict {
    Verdict {
        effect,
        rule: rule.to_owned(),
        reason,
    }
}

fn of(pair: &Pair) -> String {
    if pair.resource == "*" {
        format!("`{}`", pair.action)
    } else {
        format!("`{}` on `{}`", pair.action, short(&pair.resource))
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests;
