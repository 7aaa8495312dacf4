//! The WIT contract in Rust, generated once, and the conversions at its edge. No generated type
//! leaves this module and `host_functions.rs`.

use portcullis_core::access::{Advice, Effect, Failure, Obligation};
use portcullis_core::call::AccessLevel;

use super::question::Question;
use super::state::State;

use generated::portcullis::call::types;
use generated::portcullis::policy::types as policy;

pub(super) mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package portcullis:gateway;
            world offered {
                include portcullis:policy/policy@0.1.0;
                import portcullis:host/clock@0.1.0;
            }
        ",
        world: "portcullis:gateway/offered",
        imports: { default: trappable },
        exports: { default: async },
    });
}

pub(super) use generated::exports::portcullis::meta::lifecycle::ConfigProblem;
pub(super) use generated::{Offered as Policy, OfferedPre as PolicyPre};

const MAX_RULE_CHARS: usize = 256;
const MAX_REASON_BYTES: usize = 4096;
const MAX_OBLIGATIONS: usize = 32;
const MAX_OBLIGATION_BYTES: usize = 4096;

/// Configures an instance.
///
/// # Errors
/// The outer error is a trap or an exceeded limit, the inner one the plugin's own complaints.
pub(super) async fn configure(
    policy: &Policy,
    store: &mut wasmtime::Store<State>,
    configuration: &str,
) -> Result<Result<(), Vec<ConfigProblem>>, wasmtime::Error> {
    policy
        .portcullis_meta_lifecycle()
        .call_configure(store, configuration)
        .await
}

/// Asks an instance for its verdict, as advice under the plugin's name.
///
/// # Errors
/// A trap, an exceeded limit, or an answer the canonical ABI does not allow.
pub(super) async fn decide(
    policy: &Policy,
    store: &mut wasmtime::Store<State>,
    question: &Question,
) -> Result<Result<Advice, Failure>, wasmtime::Error> {
    let summary = summary(question);
    let verdict = policy
        .portcullis_policy_decide()
        .call_decide(&mut *store, &summary)
        .await?;
    Ok(advice(store.data().plugin(), verdict).ok_or(Failure::BadVerdict))
}

fn summary(question: &Question) -> types::Summary {
    let call = &question.call;
    let mut resources: Vec<String> = Vec::new();
    for action in &call.actions {
        if action.resource != "*" && !resources.contains(&action.resource) {
            resources.push(action.resource.clone());
        }
    }
    types::Summary {
        request_id: question.request_id.clone(),
        principal: question.session.principal.to_string(),
        session: question.session.name.clone(),
        service: call.service.clone(),
        operation: call.operation.clone(),
        action: call
            .actions
            .first()
            .map(|action| action.name.clone())
            .unwrap_or_default(),
        account: call.account.clone(),
        region: call.region.clone(),
        resources,
        access: access(call.access()),
    }
}

/// `None` for a verdict outside the contract's bounds.
fn advice(plugin: &str, verdict: policy::Verdict) -> Option<Advice> {
    let effect = match verdict.effect {
        policy::Effect::Abstain => Effect::Abstain,
        policy::Effect::Allow => Effect::Allow,
        policy::Effect::RequireApproval => Effect::RequireApproval,
        policy::Effect::Deny => Effect::Deny,
    };
    let nameless = verdict.rule.is_empty() && effect != Effect::Abstain;
    let unprintable = verdict.rule.chars().any(char::is_control);
    if nameless
        || unprintable
        || verdict.rule.chars().count() > MAX_RULE_CHARS
        || verdict.reason.len() > MAX_REASON_BYTES
        || verdict.obligations.len() > MAX_OBLIGATIONS
    {
        return None;
    }
    let obligations: Vec<Obligation> = verdict
        .obligations
        .into_iter()
        .map(obligation)
        .collect::<Option<_>>()?;
    Some(Advice {
        plugin: plugin.to_owned(),
        effect,
        rule: verdict.rule,
        reason: printable(&verdict.reason),
        obligations,
        failure: None,
    })
}

fn obligation(obligation: policy::Obligation) -> Option<Obligation> {
    let bytes: usize = obligation
        .args
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let known = !obligation.id.is_empty() && !obligation.id.chars().any(char::is_control);
    (known && obligation.id.len() + bytes <= MAX_OBLIGATION_BYTES).then_some(Obligation {
        id: obligation.id,
        must: obligation.must,
        args: obligation.args,
    })
}

pub(super) fn access(level: AccessLevel) -> types::AccessLevel {
    match level {
        AccessLevel::List => types::AccessLevel::List,
        AccessLevel::Read => types::AccessLevel::Read,
        AccessLevel::Tagging => types::AccessLevel::Tagging,
        AccessLevel::Write => types::AccessLevel::Write,
        AccessLevel::Permissions => types::AccessLevel::Permissions,
        AccessLevel::Unknown => types::AccessLevel::Unknown,
    }
}

/// A reason ends up in headers and terminals: no control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
