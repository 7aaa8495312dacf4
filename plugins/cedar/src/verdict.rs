//! One call → one verdict: every (action, resource) pair must be permitted, nothing may forbid,
//! and an error is a deny.

use std::collections::{HashMap, HashSet};

use cedar_policy_core::ast::{Context, Entity, EntityUIDEntry, Request, Value};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use crate::policies::{Policies, Rule, RuleEffect};
use crate::vocabulary::{self, Facts, Pair};

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
#[derive(Clone, Debug)]
enum Outcome<'a> {
    Failed(&'a Rule, String),
    Forbidden(&'a Rule),
    NeedsApproval(&'a Rule),
    Permitted(&'a Rule),
    /// No policy is about the action, or none of those that are permits it.
    Unmatched,
}

impl Outcome<'_> {
    /// Which outcome decides when pairs differ.
    fn weight(&self) -> u8 {
        match self {
            Self::Permitted(_) => 0,
            Self::NeedsApproval(_) => 1,
            Self::Unmatched => 2,
            Self::Failed(_, _) => 3,
            Self::Forbidden(_) => 4,
        }
    }
}

/// One call, ready to be evaluated pair by pair.
struct Call<'a> {
    policies: &'a Policies,
    principal: Entity,
    context: Context,
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

/// The verdict on a call that no policy is about; `None` if one is. Costs next to nothing, so it
/// is asked before any other fact is fetched.
pub fn silence(policies: &Policies, pairs: &[Pair]) -> Option<Verdict> {
    let about = |pair: &Pair| policies.candidates(pair).next().is_some();
    let first = pairs.first()?;
    (!pairs.iter().any(about)).then(|| {
        verdict(
            Effect::Abstain,
            "",
            format!("no policy is about {}", of(first)),
        )
    })
}

fn evaluate(policies: &Policies, facts: &Facts) -> Result<Verdict, String> {
    if let Some(silence) = silence(policies, &facts.pairs) {
        return Ok(silence);
    }
    let call = Call {
        policies,
        principal: policies.types.principal(facts),
        context: vocabulary::context(facts)?,
    };
    let mut seen = HashSet::new();
    let mut outcomes = Vec::new();
    for pair in facts.pairs.iter().filter(|pair| seen.insert(*pair)) {
        outcomes.push((call.outcome(pair)?, pair));
    }
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
        Some((outcome, pair)) => call.verdict(outcome, pair),
    })
}

impl<'a> Call<'a> {
    /// Cedar evaluates each policy; how they combine is decided here, because an approval is an
    /// answer Cedar does not have.
    fn outcome(&self, pair: &Pair) -> Result<Outcome<'a>, String> {
        let scope = self.policies.types.scope(&self.principal, pair)?;
        let request = Request::new_unchecked(
            EntityUIDEntry::known(scope.principal, None),
            EntityUIDEntry::known(scope.action, None),
            EntityUIDEntry::known(scope.resource, None),
            Some(self.context.clone()),
        );
        let evaluator = Evaluator::new(request, &scope.entities, Extensions::all_available());
        let mut tally = Tally::default();
        for rule in self.policies.candidates(pair) {
            match evaluator.interpret(&rule.condition, &HashMap::new()) {
                Ok(value) if value == Value::from(true) => tally.satisfied(rule),
                Ok(value) if value == Value::from(false) => {}
                Ok(_) => tally.failed(rule, "its condition is not true or false".to_owned()),
                Err(error) => tally.failed(rule, error.to_string()),
            }
        }
        Ok(tally.outcome())
    }

    fn verdict(&self, outcome: &Outcome<'a>, pair: &Pair) -> Verdict {
        let what = of(pair);
        match outcome {
            Outcome::Failed(rule, error) => {
                let reason = format!(
                    "{what} is refused because policy `{}` could not be evaluated: {}",
                    rule.id,
                    short(error)
                );
                verdict(Effect::Deny, &rule.id, reason)
            }
            Outcome::Forbidden(rule) => explained(
                Effect::Deny,
                rule,
                &format!("{what} is forbidden by policy"),
            ),
            Outcome::NeedsApproval(rule) => explained(
                Effect::RequireApproval,
                rule,
                &format!("{what} needs a person's approval by policy"),
            ),
            Outcome::Permitted(rule) => explained(
                Effect::Allow,
                rule,
                &format!("{what} is permitted by policy"),
            ),
            Outcome::Unmatched => verdict(
                Effect::Deny,
                "no-permit",
                format!("no policy permits {what} to this principal in this form"),
            ),
        }
    }
}

/// The satisfied and the failed policies of one pair; the first written of each kind decides.
#[derive(Debug, Default)]
struct Tally<'a> {
    failed: Option<(&'a Rule, String)>,
    forbid: Option<&'a Rule>,
    permit: Option<&'a Rule>,
    permit_after_approval: Option<&'a Rule>,
}

impl<'a> Tally<'a> {
    fn satisfied(&mut self, rule: &'a Rule) {
        let slot = match rule.effect {
            RuleEffect::Forbid => &mut self.forbid,
            RuleEffect::Permit => &mut self.permit,
            RuleEffect::PermitAfterApproval => &mut self.permit_after_approval,
        };
        if slot.is_none_or(|first| rule.number < first.number) {
            *slot = Some(rule);
        }
    }

    fn failed(&mut self, rule: &'a Rule, error: String) {
        let earlier = self.failed.as_ref();
        if earlier.is_none_or(|(first, _)| rule.number < first.number) {
            self.failed = Some((rule, error));
        }
    }

    fn outcome(self) -> Outcome<'a> {
        if let Some(rule) = self.forbid {
            Outcome::Forbidden(rule)
        } else if let Some((rule, error)) = self.failed {
            Outcome::Failed(rule, error)
        } else if let Some(rule) = self.permit {
            Outcome::Permitted(rule)
        } else if let Some(rule) = self.permit_after_approval {
            Outcome::NeedsApproval(rule)
        } else {
            Outcome::Unmatched
        }
    }
}

/// The policy's own reason, else the sentence with the policy's name.
fn explained(effect: Effect, rule: &Rule, sentence: &str) -> Verdict {
    let reason = rule
        .reason
        .clone()
        .unwrap_or_else(|| format!("{sentence} `{}`", rule.id));
    verdict(effect, &rule.id, reason)
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
