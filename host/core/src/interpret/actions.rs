//! Which IAM actions a call needs on which resources: the catalog's templates, filled in from the
//! decoded input.

mod find;
mod names;

use self::find::Scope;
use self::names::{Name, is_versioned};
use super::Place;
use crate::call::{Action, Value};
use crate::catalog::{ActionTemplate, ArnSegment, ArnTemplate, Operation, When};
use crate::refusal::Refusal;

/// The largest batches AWS takes have a thousand elements.
const MAX_ACTIONS: usize = 10_000;

/// What an ARN is filled in with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) place: &'a Place,
    /// None where the call is signed for a set of them.
    pub(super) region: Option<&'a str>,
    pub(super) params: &'a Value,
}

/// Every (action, resource) pair of a call; never empty.
///
/// # Errors
/// [`Refusal::InvalidInput`] for a call that touches more resources than AWS takes in one, or none
/// at all although it must.
pub(super) fn actions(operation: &Operation, facts: Facts<'_>) -> Result<Vec<Action>, Refusal> {
    let mut actions: Vec<Action> = Vec::new();
    for template in &operation.actions {
        for scope in Scope::all(facts.params, &template.each) {
            if !applies(&template.when, scope) {
                continue;
            }
            for resource in resources(template, facts, scope)? {
                actions.push(Action {
                    name: template.name.clone(),
                    resource,
                    access: template.access,
                });
            }
            if actions.len() > MAX_ACTIONS {
                return Err(too_many());
            }
        }
    }
    if actions.is_empty() {
        // Every template depends on an absent member: without a name to decide on, nothing is
        // permitted.
        let text = "the call names nothing that its operation acts on";
        return Err(Refusal::InvalidInput(text.to_owned()));
    }
    actions.sort_by(|a, b| (&a.name, &a.resource).cmp(&(&b.name, &b.resource)));
    actions.dedup();
    Ok(actions)
}

/// Of a list's elements, one that fits is enough.
fn applies(when: &When, scope: Scope<'_>) -> bool {
    let versioned =
        |value: &Option<&Value>| text(*value).is_some_and(|source| is_versioned(&source));
    match when {
        When::Always => true,
        When::Absent(path) => {
            let found = scope.find(path);
            found.is_empty() || found.iter().any(Option::is_none)
        }
        When::Prefixed(path, start) => scope
            .find(path)
            .into_iter()
            .any(|value| text(value).is_none_or(|text| text.starts_with(start))),
        When::Present(path) => scope.find(path).iter().any(Option::is_some),
        When::True(path) => scope.find(path).contains(&Some(&Value::Boolean(true))),
        When::Unversioned(path) => !scope.find(path).iter().all(versioned),
        When::Versioned(path) => scope.find(path).iter().any(versioned),
    }
}

fn resources(
    template: &ActionTemplate,
    facts: Facts<'_>,
    scope: Scope<'_>,
) -> Result<Vec<String>, Refusal> {
    for candidate in &template.resources {
        if let Some(resources) = fill(candidate, facts, scope)? {
            return Ok(resources);
        }
    }
    Ok(vec!["*".to_owned()])
}

/// The ARNs a template stands for, or nothing if a member it needs is absent or of another form.
fn fill(
    template: &ArnTemplate,
    facts: Facts<'_>,
    scope: Scope<'_>,
) -> Result<Option<Vec<String>>, Refusal> {
    let mut arns = vec![Name::default()];
    let last = template.segments.len().saturating_sub(1);
    for (position, segment) in template.segments.iter().enumerate() {
        let read: fn(&Name, &str, bool) -> Option<Name> = match segment {
            ArnSegment::Account => {
                append(&mut arns, &facts.place.account);
                continue;
            }
            ArnSegment::Literal(text) => {
                append(&mut arns, text);
                continue;
            }
            ArnSegment::Partition => {
                append(&mut arns, &facts.place.partition);
                continue;
            }
            ArnSegment::Region => {
                let Some(region) = facts.region else {
                    return Ok(None);
                };
                append(&mut arns, region);
                continue;
            }
            ArnSegment::Arn(_) => |_, text, _| Name::arn(text),
            ArnSegment::CopySource(_) => |name, text, _| name.copy_source(text),
            ArnSegment::Function(_) => |name, text, _| Some(name.function(text)),
            ArnSegment::MapKeys(_) | ArnSegment::NameOrArn(_) => {
                |name, text, last| Some(name.name_or_arn(text, last))
            }
            ArnSegment::Member(_) => |name, text, _| Some(name.with(text)),
            ArnSegment::Parameter(_) => |name, text, _| Some(name.parameter(text)),
            ArnSegment::QueueUrl(_) => |name, text, _| name.queue_url(text),
        };
        let values = values(segment, scope);
        let Some(next) = combine(&arns, &values, |name, text| {
            read(name, text, position == last)
        }) else {
            return Ok(None);
        };
        if next.len() > MAX_ACTIONS {
            return Err(too_many());
        }
        arns = next;
    }
    Ok(Some(arns.into_iter().map(Name::into_arn).collect()))
}

fn append(arns: &mut [Name], text: &str) {
    for arn in arns {
        arn.push(text);
    }
}

/// Every name with every value; nothing if there is no value, or one of another form.
fn combine(
    arns: &[Name],
    values: &[Option<String>],
    read: impl Fn(&Name, &str) -> Option<Name>,
) -> Option<Vec<Name>> {
    if values.is_empty() || arns.len().saturating_mul(values.len()) > MAX_ACTIONS * 2 {
        return None;
    }
    let mut combined = Vec::new();
    for arn in arns {
        for value in values {
            combined.push(match value {
                Some(text) => read(arn, text)?,
                None => Name::any(),
            });
        }
    }
    Some(combined)
}

/// The texts a segment's path leads to; `None` for a list element without one, which may be any
/// resource.
fn values(segment: &ArnSegment, scope: Scope<'_>) -> Vec<Option<String>> {
    match segment {
        ArnSegment::Arn(path)
        | ArnSegment::CopySource(path)
        | ArnSegment::Function(path)
        | ArnSegment::Member(path)
        | ArnSegment::NameOrArn(path)
        | ArnSegment::Parameter(path)
        | ArnSegment::QueueUrl(path) => scope.find(path).into_iter().map(text).collect(),
        ArnSegment::MapKeys(path) => {
            let mut keys = Vec::new();
            for value in scope.find(path) {
                if let Some(Value::Map(entries)) = value {
                    keys.extend(entries.iter().map(|(key, _)| Some(key.clone())));
                }
            }
            keys
        }
        ArnSegment::Account
        | ArnSegment::Literal(_)
        | ArnSegment::Partition
        | ArnSegment::Region => Vec::new(),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Blob(_)
        | Value::Boolean(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Null
        | Value::Stream
        | Value::String(_)
        | Value::Structure(_)
        | Value::Timestamp(_) => None,
    }
}

fn too_many() -> Refusal {
    Refusal::InvalidInput(format!("the call names more than {MAX_ACTIONS} resources"))
}
