//! Carries values across the component boundary, and nothing else.
#![expect(
    unsafe_code,
    reason = "the canonical ABI is generated from the WIT files"
)]

use std::sync::OnceLock;

use bindings::exports::portcullis::meta::lifecycle::{ConfigProblem, Guest as Lifecycle};
use bindings::exports::portcullis::policy::decide::{Guest as Decide, Summary, Verdict};
use bindings::portcullis::call::request;
use bindings::portcullis::call::types::AccessLevel;
use bindings::portcullis::policy::types::Effect;

use crate::policies::Policies;
use crate::verdict;
use crate::vocabulary::{Facts, Pair};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "policy", generate_all });
}

static POLICIES: OnceLock<Policies> = OnceLock::new();

struct Plugin;

impl Lifecycle for Plugin {
    fn configure(config: String) -> Result<(), Vec<ConfigProblem>> {
        let policies = Policies::parse(&config).map_err(|problems| {
            problems
                .into_iter()
                .map(|problem| ConfigProblem {
                    pointer: problem.at,
                    message: problem.message,
                })
                .collect::<Vec<_>>()
        })?;
        // Cedar builds tables on first use; after this they are part of the snapshot.
        verdict::warm_up(&policies);
        POLICIES.set(policies).map_err(|_| {
            vec![ConfigProblem {
                pointer: String::new(),
                message: "configured twice".to_owned(),
            }]
        })
    }
}

impl Decide for Plugin {
    fn decide(call: Summary) -> Verdict {
        let Some(policies) = POLICIES.get() else {
            return Verdict {
                effect: Effect::Deny,
                rule: "not-configured".to_owned(),
                reason: "the policy plugin has no policies".to_owned(),
                obligations: Vec::new(),
            };
        };
        let pairs = pairs();
        let verdict = verdict::silence(policies, &pairs)
            .unwrap_or_else(|| verdict::decide(policies, &facts(call, pairs, policies)));
        Verdict {
            effect: match verdict.effect {
                verdict::Effect::Abstain => Effect::Abstain,
                verdict::Effect::Allow => Effect::Allow,
                verdict::Effect::RequireApproval => Effect::RequireApproval,
                verdict::Effect::Deny => Effect::Deny,
            },
            rule: verdict.rule,
            reason: verdict.reason,
            obligations: Vec::new(),
        }
    }
}

fn pairs() -> Vec<Pair> {
    request::actions()
        .into_iter()
        .map(|action| Pair {
            action: action.name,
            resource: action.resource,
            access: word(action.access),
        })
        .collect()
}

fn facts(call: Summary, pairs: Vec<Pair>, policies: &Policies) -> Facts {
    let reads = policies.reads(&pairs);
    let attr = |key| request::attr(key).unwrap_or_default();
    Facts {
        principal: call.principal,
        issuer: attr("principal.issuer"),
        subject: attr("principal.subject"),
        email: request::attr("principal.email"),
        groups: request::attr_list("principal.groups"),
        session: call.session,
        role: attr("session.role"),
        service: call.service,
        operation: call.operation,
        region: call.region,
        account: call.account,
        access: word(call.access),
        params: reads.params.then(request::params_json),
        time: reads.time.then(|| attr("call.time")),
        source_ip: reads.source_ip.then(|| attr("client.ip")),
        user_agent: reads.user_agent.then(|| attr("client.user-agent")),
        pairs,
    }
}

fn word(access: AccessLevel) -> &'static str {
    match access {
        AccessLevel::List => "list",
        AccessLevel::Read => "read",
        AccessLevel::Tagging => "tagging",
        AccessLevel::Write => "write",
        AccessLevel::Permissions => "permissions",
        AccessLevel::Unknown => "unknown",
    }
}

bindings::export!(Plugin with_types_in bindings);
