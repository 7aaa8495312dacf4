//! Carries values across the component boundary, and nothing else.
#![expect(
    unsafe_code,
    reason = "the canonical ABI is generated from the WIT files"
)]

use std::sync::OnceLock;

use bindings::exports::portcullis::meta::lifecycle::{ConfigProblem, Guest as Lifecycle};
use bindings::exports::portcullis::policy::decide::{Guest as Decide, Summary, Verdict};
use bindings::portcullis::call::request;
use bindings::portcullis::policy::types::Effect;

use crate::hatches;
use crate::judge::{Asked, judge};
use crate::settings::Settings;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "policy", generate_all });
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

struct Plugin;

impl Lifecycle for Plugin {
    fn configure(config: String) -> Result<(), Vec<ConfigProblem>> {
        let problem = |(pointer, message)| ConfigProblem { pointer, message };
        let settings = Settings::parse(&config)
            .map_err(|problems| problems.into_iter().map(problem).collect::<Vec<_>>())?;
        SETTINGS
            .set(settings)
            .map_err(|_| vec![problem((String::new(), "configured twice".to_owned()))])
    }
}

impl Decide for Plugin {
    fn decide(call: Summary) -> Verdict {
        let Some(settings) = SETTINGS.get() else {
            return Verdict {
                effect: Effect::Deny,
                rule: "not-configured".to_owned(),
                reason: "the escape-hatches plugin is not configured".to_owned(),
                obligations: Vec::new(),
            };
        };
        let actions = request::actions().into_iter().map(|action| action.name);
        let asked = Asked {
            service: call.service,
            account: call.account,
            actions: actions.collect(),
            groups: || request::attr_list("principal.groups"),
            params: || request::params_json(),
        };
        let verdict = judge(settings, &asked);
        Verdict {
            effect: match verdict.effect {
                None => Effect::Abstain,
                Some(hatches::Effect::RequireApproval) => Effect::RequireApproval,
                Some(hatches::Effect::Deny) => Effect::Deny,
            },
            rule: verdict.rule,
            reason: verdict.reason,
            obligations: Vec::new(),
        }
    }
}

bindings::export!(Plugin with_types_in bindings);
