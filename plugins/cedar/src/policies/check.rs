//! Is a policy written in the vocabulary, and which facts does it look at?
//!
//! Cedar itself accepts any name, and a `forbid` with a misspelt one silently forbids nothing.

use cedar_policy::{ActionConstraint, Policy};
use serde_json::Value;

use crate::vocabulary;

/// Facts that are only fetched when some policy looks at them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reads {
    /// `context.params`.
    pub params: bool,
    /// `context.source_ip`.
    pub source_ip: bool,
    /// `context.time`.
    pub time: bool,
    /// `context.user_agent`.
    pub user_agent: bool,
}

impl Reads {
    /// Adds what another policy looks at.
    pub(crate) fn merge(&mut self, other: Self) {
        self.params |= other.params;
        self.source_ip |= other.source_ip;
        self.time |= other.time;
        self.user_agent |= other.user_agent;
    }

    const EVERYTHING: Self = Self {
        params: true,
        source_ip: true,
        time: true,
        user_agent: true,
    };
}

const ANNOTATIONS: &[&str] = &["approval", "description", "id", "reason"];
const MAX_ID_CHARS: usize = 128;
const MAX_REASON_BYTES: usize = 2048;

/// What is wrong with one policy.
pub(super) fn problems(policy: &Policy) -> Vec<String> {
    let mut problems = annotation_problems(policy);
    if let ActionConstraint::Eq(action) = policy.action_constraint()
        && vocabulary::is_action_group(action.id().unescaped())
    {
        problems.push(format!("`{action}` is a group: write `action in {action}`"));
    }
    match policy.to_json() {
        Ok(json) => names(&json, &mut problems),
        Err(error) => problems.push(error.to_string()),
    }
    problems
}

/// Which costly facts one policy looks at.
pub(super) fn reads(policy: &Policy) -> Reads {
    let Ok(json) = policy.to_json() else {
        return Reads::EVERYTHING;
    };
    let mut reads = Reads::default();
    collect_reads(&json, &mut reads);
    reads
}

fn annotation_problems(policy: &Policy) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in policy.annotations() {
        if !ANNOTATIONS.contains(&key) {
            problems.push(format!(
                "unknown annotation `@{key}`; known: {}",
                list(ANNOTATIONS)
            ));
        }
        if key == "approval" && value != "required" {
            problems.push(format!("@approval(\"{value}\") must be \"required\""));
        }
        if key == "approval" && policy.effect() == cedar_policy::Effect::Forbid {
            problems.push("@approval on a `forbid` has no meaning".to_owned());
        }
        if key == "id" && !is_id(value) {
            problems.push(format!(
                "@id must be 1 to {MAX_ID_CHARS} printable characters"
            ));
        }
        if key == "reason" && value.len() > MAX_REASON_BYTES {
            problems.push(format!("@reason is over {MAX_REASON_BYTES} bytes"));
        }
    }
    problems
}

fn is_id(id: &str) -> bool {
    let length = id.chars().count();
    length > 0 && length <= MAX_ID_CHARS && !id.chars().any(char::is_control)
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Walks Cedar's JSON form of a policy for attributes and entities outside the vocabulary.
fn names(json: &Value, problems: &mut Vec<String>) {
    if let Some((variable, attribute)) = attribute_read(json)
        && let Some(known) = vocabulary::attributes(variable)
        && !known.contains(&attribute)
    {
        problems.push(format!(
            "`{variable}` has no attribute `{attribute}`; known: {}",
            list(known)
        ));
    }
    if let Some(problem) = entity_problem(json) {
        problems.push(problem);
    }
    for child in children(json) {
        names(child, problems);
    }
}

fn collect_reads(json: &Value, reads: &mut Reads) {
    if let Some((variable, attribute)) = attribute_read(json) {
        match (variable, attribute) {
            ("context", "params") => reads.params = true,
            ("context", "source_ip") => reads.source_ip = true,
            ("context", "time") => reads.time = true,
            ("context", "user_agent") => reads.user_agent = true,
            (_, _) => {}
        }
        return;
    }
    if json.get("Var").and_then(Value::as_str) == Some("context") {
        // The whole context is used as a value: anything in it may matter.
        *reads = Reads::EVERYTHING;
    }
    for child in children(json) {
        collect_reads(child, reads);
    }
}

/// `variable.attribute` or `variable has attribute`.
fn attribute_read(json: &Value) -> Option<(&str, &str)> {
    let access = json.get(".").or_else(|| json.get("has"))?;
    let variable = access.get("left")?.get("Var")?.as_str()?;
    Some((variable, access.get("attr")?.as_str()?))
}

/// An entity, in the scope (`{"type", "id"}`) or in a condition (`{"__entity": {…}}`).
fn entity_problem(json: &Value) -> Option<String> {
    if let Some(name) = json.get("entity_type").and_then(Value::as_str) {
        return unknown_type(name);
    }
    let kind = json.get("type")?.as_str()?;
    let id = json.get("id")?.as_str()?;
    if kind == "Action" {
        return vocabulary::action_problem(id);
    }
    unknown_type(kind)
}

fn unknown_type(name: &str) -> Option<String> {
    (!vocabulary::TYPES.contains(&name)).then(|| {
        format!(
            "unknown entity type `{name}`; known: {}",
            list(vocabulary::TYPES)
        )
    })
}

fn children(json: &Value) -> Vec<&Value> {
    match json {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
