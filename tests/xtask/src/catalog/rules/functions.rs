//! The functions of the endpoint rules language that botocore's rule sets call.

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// Applies a function to evaluated arguments.
pub(super) fn apply(name: &str, arguments: &[Value]) -> anyhow::Result<Value> {
    Ok(match (name, arguments) {
        ("isSet", [value]) => Value::Bool(!value.is_null()),
        ("not", [value]) => Value::Bool(matches!(value, Value::Null | Value::Bool(false))),
        ("booleanEquals" | "stringEquals", [left, right]) => Value::Bool(left == right),
        ("coalesce", values) => {
            let set = values.iter().find(|value| !value.is_null());
            set.cloned().unwrap_or(Value::Null)
        }
        ("ite", [condition, yes, no]) => match condition {
            Value::Bool(true) => yes.clone(),
            _ => no.clone(),
        },
        ("getAttr", [value, Value::String(path)]) => attribute(value, path)?,
        ("substring", [Value::String(value), start, stop, Value::Bool(reverse)]) => {
            substring(value, range(start, stop)?, *reverse)
        }
        ("parseURL", [Value::Null]) | ("uriEncode", [Value::Null]) => Value::Null,
        ("isValidHostLabel", [Value::Null, _]) => Value::Bool(false),
        ("isValidHostLabel", [Value::String(value), Value::Bool(dots)]) => {
            Value::Bool(match dots {
                true => value.split('.').all(is_host_label),
                false => is_host_label(value),
            })
        }
        ("aws.isVirtualHostableS3Bucket", [Value::Null, _]) => Value::Bool(false),
        ("aws.parseArn", [Value::Null]) => Value::Null,
        ("aws.parseArn", [Value::String(arn)]) => parse_arn(arn),
        _ => bail!("no such function, or not with these arguments"),
    })
}

fn is_host_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-')
}

/// A path is names joined by dots; the last may carry an index in brackets.
fn attribute(value: &Value, path: &str) -> anyhow::Result<Value> {
    let mut found = value;
    for part in path.split('.') {
        let (name, index) = part.split_once('[').unwrap_or((part, ""));
        if !name.is_empty() {
            found = found.get(name).unwrap_or(&Value::Null);
        }
        if let Some(index) = index.strip_suffix(']') {
            let index: usize = index.parse().context("an index that is no number")?;
            found = found.get(index).unwrap_or(&Value::Null);
        }
    }
    Ok(found.clone())
}

fn range(start: &Value, stop: &Value) -> anyhow::Result<(usize, usize)> {
    let number = |value: &Value| value.as_u64().context("not a number");
    Ok((number(start)?.try_into()?, number(stop)?.try_into()?))
}

fn substring(value: &str, (start, stop): (usize, usize), reverse: bool) -> Value {
    if start >= stop || value.len() < stop || !value.is_ascii() {
        return Value::Null;
    }
    let range = match reverse {
        true => value.len() - stop..value.len() - start,
        false => start..stop,
    };
    value.get(range).map_or(Value::Null, Value::from)
}

fn parse_arn(arn: &str) -> Value {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, service, region, account, resource]
            if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
        {
            json!({
                "partition": partition,
                "service": service,
                "region": region,
                "accountId": account,
                "resourceId": resource.split([':', '/']).collect::<Vec<_>>(),
            })
        }
        _ => Value::Null,
    }
}
