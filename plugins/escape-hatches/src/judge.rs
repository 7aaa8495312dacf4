//! One call, judged: the strongest advice over its actions and the doors each opens.

use serde_json::Value;

use crate::document;
use crate::hatches::{self, Effect, Hatch, When};
use crate::outsiders;
use crate::settings::Settings;

/// What the gateway's own minting is called; it also names the action it stands for, whose door the
/// minting's own entry is about.
const MINT: &str = "portcullis";

/// What is asked. The closures are only called where an action opens a door at all.
#[derive(Debug)]
pub struct Asked<G, P> {
    /// botocore's service name.
    pub service: String,
    /// The twelve digits of the own account.
    pub account: String,
    /// The IAM actions of the call.
    pub actions: Vec<String>,
    /// The principal's groups.
    pub groups: G,
    /// The decoded input as JSON.
    pub params: P,
}

/// What the plugin says. No effect means no opinion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// What is advised.
    pub effect: Option<Effect>,
    /// The action that decided.
    pub rule: String,
    /// A sentence for the agent.
    pub reason: String,
}

/// Judges a call.
pub fn judge<G, P>(settings: &Settings, asked: &Asked<G, P>) -> Verdict
where
    G: Fn() -> Vec<String>,
    P: Fn() -> String,
{
    let minting = asked.service == MINT;
    let own = |action: &&String| !minting || action.starts_with("portcullis:");
    let doors: Vec<(&str, &Hatch)> = asked
        .actions
        .iter()
        .filter(own)
        .flat_map(|action| hatches::of(action).map(move |hatch| (action.as_str(), hatch)))
        .collect();
    if doors.is_empty() {
        return abstain();
    }
    let groups = (asked.groups)();
    let Ok(params) = serde_json::from_str((asked.params)().as_str()) else {
        return unreadable();
    };
    let open = doors.into_iter().filter_map(|(action, hatch)| {
        let found = found(&hatch.when, &params, &asked.account)?;
        let effect = settings.of(action, &groups).unwrap_or(Some(hatch.effect))?;
        Some(verdict(action, hatch, effect, found.as_deref()))
    });
    open.max_by_key(|verdict| verdict.effect)
        .unwrap_or_else(abstain)
}

fn verdict(action: &str, hatch: &Hatch, effect: Effect, found: Option<&str>) -> Verdict {
    let found = found.map_or_else(String::new, |found| {
        let shown: String = found
            .chars()
            .filter(|c| !c.is_control())
            .take(128)
            .collect();
        format!(" (`{shown}`)")
    });
    let reason = format!("`{action}`: {}{found}; {}", hatch.reason, hatch.instead);
    Verdict {
        effect: Some(effect),
        rule: action.to_owned(),
        reason,
    }
}

/// Whether the door is open, and by what.
fn found(when: &When, params: &Value, account: &str) -> Option<Option<String>> {
    match when {
        When::Always => Some(None),
        When::Is(pointer, wanted) => {
            let value = params.pointer(pointer)?;
            let same = match value {
                Value::Bool(flag) => *wanted == if *flag { "true" } else { "false" },
                Value::String(text) => text == wanted,
                Value::Array(_) | Value::Null | Value::Number(_) | Value::Object(_) => false,
            };
            same.then_some(None)
        }
        When::Present(pointers) => {
            let there = |pointer: &&str| params.pointer(pointer).is_some_and(|v| !v.is_null());
            pointers.iter().any(there).then_some(None)
        }
        When::Document => in_documents(params, account).map(Some),
        When::Documents(pointers) => pointers
            .iter()
            .filter_map(|pointer| params.pointer(pointer)?.as_str())
            .filter(|text| !text.is_empty())
            .find_map(|text| in_document(text, account))
            .map(Some),
        When::PolicyAttribute(name, value) => {
            let name = params.pointer(name).and_then(Value::as_str);
            name.filter(|name| *name == "Policy")?;
            let text = params.pointer(value).and_then(Value::as_str)?;
            in_document(text, account).map(Some)
        }
        When::Outsiders(pointers) => outsiders_at(pointers, params, account).map(Some),
        When::Acl => acl(params).map(Some),
    }
}

/// Every text that could be a document must be one that lets nobody else in, and there must be
/// one.
fn in_documents(params: &Value, account: &str) -> Option<String> {
    let mut texts = Vec::new();
    collect(params, &mut texts);
    let mut documents = texts
        .into_iter()
        .filter(|text| text.contains('{'))
        .peekable();
    if documents.peek().is_none() {
        return Some("no policy document that can be read".to_owned());
    }
    documents.find_map(|text| in_document(text, account))
}

fn in_document(text: &str, account: &str) -> Option<String> {
    document::outsider(text, account)
        .unwrap_or_else(|_| Some("a policy document that cannot be read".to_owned()))
}

fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect(value, texts)),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}

/// Taking somebody out opens nothing.
fn outsiders_at(pointers: &[&str], params: &Value, account: &str) -> Option<String> {
    let removes = params.get("OperationType").and_then(Value::as_str) == Some("remove");
    let lists = [
        "/GroupNames",
        "/UserGroups",
        "/UserIds",
        "/OrganizationArns",
    ];
    pointers
        .iter()
        .filter(|pointer| !(removes && lists.contains(pointer)))
        .filter_map(|pointer| params.pointer(pointer))
        .find_map(|value| outsiders::outsider(value, account))
}

/// Grants name people by canonical ids, which tell nothing of their account.
fn acl(params: &Value) -> Option<String> {
    let private = ["private", "bucket-owner-read", "bucket-owner-full-control"];
    let Value::Object(members) = params else {
        return None;
    };
    let canned = members.get("ACL").and_then(Value::as_str);
    if let Some(name) = canned.filter(|name| !private.contains(name)) {
        return Some(name.to_owned());
    }
    let grants = members
        .keys()
        .find(|name| name.starts_with("Grant") || *name == "AccessControlPolicy");
    grants.cloned()
}

fn abstain() -> Verdict {
    Verdict {
        effect: None,
        rule: String::new(),
        reason: String::new(),
    }
}

fn unreadable() -> Verdict {
    Verdict {
        effect: Some(Effect::Deny),
        rule: "unreadable".to_owned(),
        reason: "the call's parameters cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
