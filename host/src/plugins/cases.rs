//! Policy cases: calls written down with the decision they must get, grouped by the rule they are
//! about. A rule is only covered if one case is decided by it and another is not.
//!
//! A case never reaches AWS; it is asked of the loaded plugins exactly as a call would be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::HeaderMap;
use portcullis_core::access::{Advice, Effect, Principal, Session};
use portcullis_core::call::{AccessLevel, Action};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{CallFacts, Generation, Question};

/// A `<policy>.cases.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// By the `@id` of the rule they are about.
    pub rules: BTreeMap<String, Vec<Case>>,
}

/// One call and what must be decided.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Who asks.
    #[serde(default, rename = "as")]
    pub agent: Agent,
    /// What is asked.
    pub call: HypotheticalCall,
    /// What must be decided.
    pub expect: Expected,
}

/// Who asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    issuer: String,
    subject: String,
    email: Option<String>,
    groups: Vec<String>,
    session: String,
    role: String,
    source_ip: IpAddr,
    user_agent: String,
    /// RFC 3339.
    time: String,
}

/// A call as decoding would have made it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypotheticalCall {
    service: String,
    operation: String,
    #[serde(default = "region")]
    region: String,
    #[serde(default = "account")]
    account: String,
    #[serde(default = "params")]
    params: Value,
    actions: Vec<HypotheticalAction>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HypotheticalAction {
    name: String,
    #[serde(default = "any_resource")]
    resource: String,
    access: AccessLevel,
}

/// What must be decided.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The strongest effect over all plugins; `deny` also where all abstain.
    pub effect: Word,
    /// The rule that decides it.
    pub rule: Option<String>,
}

/// An effect, as people write it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// May go ahead.
    Allow,
    /// Must not happen.
    Deny,
    /// May go ahead once a person said so.
    RequireApproval,
}

/// A case that did not get its decision, or a rule without enough cases.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule}: {case}: {message}")]
pub struct Mismatch {
    /// The rule the case is about.
    pub rule: String,
    /// The case's name.
    pub case: String,
    /// What was decided instead.
    pub message: String,
}

impl Cases {
    /// Reads a cases file.
    ///
    /// # Errors
    /// The parser's sentence, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// Asks the plugins every case. Empty if all is as expected and every rule is covered.
    pub async fn run(&self, generation: &Generation) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        for (rule, cases) in &self.rules {
            let (mut decided, mut otherwise) = (0, 0);
            for case in cases {
                let outcome = case.run(generation).await;
                match outcome.as_ref() {
                    Ok(deciding) if deciding == rule => decided += 1,
                    Ok(_) => otherwise += 1,
                    Err(_) => {}
                }
                mismatches.extend(outcome.err().map(|message| Mismatch {
                    rule: rule.clone(),
                    case: case.name.clone(),
                    message,
                }));
            }
            if decided == 0 || otherwise == 0 {
                mismatches.push(Mismatch {
                    rule: rule.clone(),
                    case: "coverage".to_owned(),
                    message: format!(
                        "{decided} cases are decided by it and {otherwise} are not; it needs both"
                    ),
                });
            }
        }
        mismatches
    }
}

impl Case {
    /// The rule that decided, or what is not as expected.
    async fn run(&self, generation: &Generation) -> Result<String, String> {
        let question = Arc::new(self.question()?);
        let advice = generation.consult(question).await;
        let strongest = advice.iter().max_by_key(|advice| advice.effect);
        let (effect, rule, reason) = match strongest {
            Some(advice) => (word(advice), advice.rule.as_str(), advice.reason.as_str()),
            None => (Word::Deny, "", "no plugin was asked"),
        };
        let right_rule = self
            .expect
            .rule
            .as_ref()
            .is_none_or(|wanted| wanted == rule);
        if effect == self.expect.effect && right_rule {
            Ok(rule.to_owned())
        } else {
            Err(format!("{effect:?} by `{rule}`: {reason}"))
        }
    }

    /// The call as plugins are asked about it.
    ///
    /// # Errors
    /// When the time is not RFC 3339.
    pub fn question(&self) -> Result<Question, String> {
        let agent = &self.agent;
        let time = OffsetDateTime::parse(&agent.time, &Rfc3339)
            .map_err(|error| format!("time: {error}"))?;
        Ok(Question {
            request_id: "case".to_owned(),
            session: Session {
                principal: Principal {
                    issuer: agent.issuer.clone(),
                    subject: agent.subject.clone(),
                    email: agent.email.clone(),
                    groups: agent.groups.clone(),
                },
                name: agent.session.clone(),
                access_key_id: "PCAKCASE".to_owned(),
                connection: "case".to_owned(),
                role: agent.role.clone(),
                parent: None,
                confined_to: None,
                issued_at: time,
                expires_at: time,
            },
            call: self.call.facts(),
            source_ip: agent.source_ip,
            user_agent: agent.user_agent.clone(),
            time,
            headers: HeaderMap::new(),
        })
    }
}

impl HypotheticalCall {
    fn facts(&self) -> CallFacts {
        CallFacts {
            service: self.service.clone(),
            operation: self.operation.clone(),
            protocol: "json-1.1".to_owned(),
            partition: "aws".to_owned(),
            region: self.region.clone(),
            account: self.account.clone(),
            params: self.params.clone(),
            actions: self
                .actions
                .iter()
                .map(|action| Action {
                    name: action.name.clone(),
                    resource: action.resource.clone(),
                    access: action.access,
                })
                .collect(),
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            issuer: "https://idp.example".to_owned(),
            subject: "agent".to_owned(),
            email: None,
            groups: Vec::new(),
            session: "case".to_owned(),
            role: "agent".to_owned(),
            source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            user_agent: "case".to_owned(),
            time: "2026-01-01T12:00:00Z".to_owned(),
        }
    }
}

fn word(advice: &Advice) -> Word {
    match advice.effect {
        Effect::Allow => Word::Allow,
        Effect::RequireApproval => Word::RequireApproval,
        Effect::Abstain | Effect::Deny => Word::Deny,
    }
}

fn region() -> String {
    "eu-west-1".to_owned()
}

fn account() -> String {
    "123456789012".to_owned()
}

fn params() -> Value {
    Value::Object(serde_json::Map::new())
}

fn any_resource() -> String {
    "*".to_owned()
}
