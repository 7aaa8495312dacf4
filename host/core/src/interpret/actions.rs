//! Which IAM actions a call needs on which resources: the catalog's templates, filled in from the
//! decoded input.

mod names;

use self::names::Name;
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
    pub(super) region: &'a str,
    pub(super) params: &'a Value,
}

/// Every (action, resource) pair of a call; never empty.
///
/// # Errors
/// [`Refusal::InvalidInput`] for a call that touches more resources than AWS takes in one.
pub(super) fn actions(operation: &Operation, facts: Facts<'_>) -> Result<Vec<Action>, Refusal> {
    let mut actions: Vec<Action> = Vec::new();
    let applying = operation
        .actions
        .iter()
        .filter(|template| applies(&template.when, facts.params));
    for template in applying {
        for resource in resources(template, facts)? {
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
    if actions.is_empty() {
        // A catalog whose templates all depend on absent members would leave a call without a
        // name to decide on.
        return Err(Refusal::Internal);
    }
    actions.sort_by(|a, b| (&a.name, &a.resource).cmp(&(&b.name, &b.resource)));
    actions.dedup();
    Ok(actions)
}

/// Of a list's elements, one with or without the member is enough.
fn applies(when: &When, params: &Value) -> bool {
    match when {
        When::Always => true,
        When::Absent(path) => {
            let found = find(params, path);
            found.is_empty() || found.iter().any(Option::is_none)
        }
        When::Present(path) => find(params, path).iter().any(Option::is_some),
    }
}

fn resources(template: &ActionTemplate, facts: Facts<'_>) -> Result<Vec<String>, Refusal> {
    for candidate in &template.resources {
        if let Some(resources) = fill(candidate, facts)? {
            return Ok(resources);
        }
    }
    Ok(vec!["*".to_owned()])
}

/// The ARNs a template stands for, or nothing if a member it needs is absent or of another form.
fn fill(template: &ArnTemplate, facts: Facts<'_>) -> Result<Option<Vec<String>>, Refusal> {
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
                append(&mut arns, facts.region);
                continue;
            }
            ArnSegment::Arn(_) => |_, text, _| Name::arn(text),
            ArnSegment::CopySource(_) => |name, text, _| name.copy_source(text),
            ArnSegment::Function(_) => |name, text, _| Some(name.function(text)),
            ArnSegment::MapKeys(_) | ArnSegment::NameOrArn(_) => {
                |name, text, last| Some(name.name_or_arn(text, last))
            }
            ArnSegment::Member(_) => |name, text, _| Some(name.with(text)),
            ArnSegment::QueueUrl(_) => |name, text, _| name.queue_url(text),
        };
        let values = values(segment, facts.params);
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
fn values(segment: &ArnSegment, params: &Value) -> Vec<Option<String>> {
    match segment {
        ArnSegment::Arn(path)
        | ArnSegment::CopySource(path)
        | ArnSegment::Function(path)
        | ArnSegment::Member(path)
        | ArnSegment::NameOrArn(path)
        | ArnSegment::QueueUrl(path) => find(params, path).into_iter().map(text).collect(),
        ArnSegment::MapKeys(path) => {
            let mut keys = Vec::new();
            for value in find(params, path) {
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

/// What a path leads to, through lists element by element.
fn find<'v>(value: &'v Value, path: &[String]) -> Vec<Option<&'v Value>> {
    let Some((name, rest)) = path.split_first() else {
        return match value {
            Value::List(elements) => elements.iter().map(Some).collect(),
            Value::Blob(_)
            | Value::Boolean(_)
            | Value::Float(_)
            | Value::Integer(_)
            | Value::Map(_)
            | Value::Null
            | Value::Stream
            | Value::String(_)
            | Value::Structure(_)
            | Value::Timestamp(_) => vec![Some(value)],
        };
    };
    match value {
        Value::List(elements) => elements
            .iter()
            .flat_map(|element| match find(element, path) {
                found if found.is_empty() => vec![None],
                found => found,
            })
            .collect(),
        Value::Blob(_)
        | Value::Boolean(_)
        | Value::Float(_)
        | Value::Integer(_)
        | Value::Map(_)
        | Value::Null
        | Value::Stream
        | Value::String(_)
        | Value::Structure(_)
        | Value::Timestamp(_) => value
            .get(name)
            .map_or_else(Vec::new, |value| find(value, rest)),
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
