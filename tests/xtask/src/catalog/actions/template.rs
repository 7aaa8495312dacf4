//! ARN templates from text: the hand-kept table's notation, and API Gateway's request paths.

use anyhow::{Context, bail};
use portcullis_core::catalog::{ArnSegment, ArnTemplate};

use crate::catalog::model::{Model, Operation};

/// Parses `arn:{Partition}:…:{Region}:{Account}:…{Member.Path}`. A member that is more than plain
/// text says so before a colon: `arn`, `copy`, `function`, `keys`, `name` or `queue`.
pub(super) fn parse(text: &str) -> anyhow::Result<ArnTemplate> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (hole, tail) = tail.split_once('}').context("an open brace")?;
        push_literal(&mut segments, literal);
        segments.push(segment(hole)?);
        rest = tail;
    }
    push_literal(&mut segments, rest);
    Ok(ArnTemplate { segments })
}

fn segment(hole: &str) -> anyhow::Result<ArnSegment> {
    let (kind, path) = hole.split_once(':').unwrap_or(("", hole));
    let member: Vec<String> = path.split('.').map(str::to_owned).collect();
    Ok(match (kind, path) {
        ("", "Account") => ArnSegment::Account,
        ("", "Partition") => ArnSegment::Partition,
        ("", "Region") => ArnSegment::Region,
        ("", _) => ArnSegment::Member(member),
        ("arn", _) => ArnSegment::Arn(member),
        ("copy", _) => ArnSegment::CopySource(member),
        ("function", _) => ArnSegment::Function(member),
        ("keys", _) => ArnSegment::MapKeys(member),
        ("name", _) => ArnSegment::NameOrArn(member),
        ("queue", _) => ArnSegment::QueueUrl(member),
        (other, _) => bail!("unknown kind of member `{other}`"),
    })
}

/// `arn:…:apigateway:<region>::` and the request's path, without the version that the second API
/// puts before it.
pub(super) fn of_path(model: &Model, operation: &Operation) -> anyhow::Result<ArnTemplate> {
    let path = operation
        .http
        .request_uri
        .split('?')
        .next()
        .unwrap_or_default();
    let mut template = parse("arn:{Partition}:apigateway:{Region}::")?;
    let mut rest = path.strip_prefix("/v2").unwrap_or(path);
    while let Some((literal, tail)) = rest.split_once('{') {
        let (label, tail) = tail.split_once('}').context("an open brace")?;
        push_literal(&mut template.segments, literal);
        let member = labelled(model, operation, label.trim_end_matches('+'))?;
        template.segments.push(ArnSegment::Member(vec![member]));
        rest = tail;
    }
    push_literal(&mut template.segments, rest);
    Ok(template)
}

fn labelled(model: &Model, operation: &Operation, label: &str) -> anyhow::Result<String> {
    let input = operation.input.as_ref().context("a label without input")?;
    let shape = model.shapes.get(&input.shape).context("no such input")?;
    let mut members = shape.members.iter();
    let found = members
        .find(|(name, reference)| reference.location_name.as_deref().unwrap_or(name) == label);
    Ok(found
        .with_context(|| format!("no member for `{label}`"))?
        .0
        .clone())
}

fn push_literal(segments: &mut Vec<ArnSegment>, literal: &str) {
    if !literal.is_empty() {
        segments.push(ArnSegment::Literal(literal.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_become_segments() {
        let template = parse("arn:{Partition}:sqs:{Region}:{queue:QueueUrl}").unwrap();
        assert_eq!(template.segments.len(), 6);
        assert_eq!(
            template.segments.last(),
            Some(&ArnSegment::QueueUrl(vec!["QueueUrl".to_owned()]))
        );
    }

    #[test]
    fn unknown_kinds_and_open_braces_are_errors() {
        assert!(parse("{what:Member}").is_err());
        assert!(parse("arn:{Partition").is_err());
    }
}
