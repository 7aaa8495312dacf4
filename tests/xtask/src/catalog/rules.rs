//! Evaluates botocore's endpoint rule sets: a small functional language of conditions, trees and
//! templates. <https://smithy.io/2.0/additional-specs/rules-engine/specification.html>
//!
//! Unset is `null`. Anything the language could do and this evaluator does not know is an error,
//! never a guess.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::partitions::Partitions;

mod functions;

/// Values by name: the rule set's parameters and what conditions assigned.
pub(crate) type Scope = BTreeMap<String, Value>;

/// An `endpoint-rule-set-1.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct RuleSet {
    pub(crate) parameters: BTreeMap<String, Parameter>,
    rules: Vec<Rule>,
}

/// An input of a rule set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameter {
    pub(crate) built_in: Option<String>,
    pub(crate) default: Option<Value>,
}

/// Where the rules lead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Endpoint(Endpoint),
    /// The rule set's own error message.
    Refused(String),
}

/// A host and how to sign for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) signing_region: Option<String>,
    pub(crate) signing_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    conditions: Vec<Function>,
    #[serde(default)]
    rules: Vec<Self>,
    endpoint: Option<Target>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Target {
    url: Value,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct Function {
    #[serde(rename = "fn")]
    name: String,
    argv: Vec<Value>,
    assign: Option<String>,
}

impl RuleSet {
    /// Runs the rules over `parameters`, with defaults for what is not given.
    pub(crate) fn evaluate(
        &self,
        parameters: Scope,
        partitions: &Partitions,
    ) -> anyhow::Result<Outcome> {
        let mut scope = parameters;
        for (name, parameter) in &self.parameters {
            if let (false, Some(default)) = (scope.contains_key(name), &parameter.default) {
                scope.insert(name.clone(), default.clone());
            }
        }
        let evaluator = Evaluator { partitions };
        let outcome = evaluator.first(&self.rules, &scope)?;
        outcome.context("the rules are exhausted")
    }
}

struct Evaluator<'a> {
    partitions: &'a Partitions,
}

impl Evaluator<'_> {
    fn first(&self, rules: &[Rule], scope: &Scope) -> anyhow::Result<Option<Outcome>> {
        for rule in rules {
            let mut scope = scope.clone();
            if self.holds(&rule.conditions, &mut scope)? {
                return self.conclude(rule, &scope);
            }
        }
        Ok(None)
    }

    fn holds(&self, conditions: &[Function], scope: &mut Scope) -> anyhow::Result<bool> {
        for condition in conditions {
            let value = self.call(condition, scope)?;
            if matches!(value, Value::Null | Value::Bool(false)) {
                return Ok(false);
            }
            if let Some(name) = &condition.assign {
                scope.insert(name.clone(), value);
            }
        }
        Ok(true)
    }

    fn conclude(&self, rule: &Rule, scope: &Scope) -> anyhow::Result<Option<Outcome>> {
        match (rule.kind.as_str(), &rule.endpoint, &rule.error) {
            ("tree", None, None) => {
                let outcome = self.first(&rule.rules, scope)?;
                Ok(Some(outcome.context("a tree without a matching rule")?))
            }
            ("endpoint", Some(target), None) => self
                .endpoint(target, scope)
                .map(Outcome::Endpoint)
                .map(Some),
            ("error", None, Some(error)) => {
                let message = self.value(error, scope)?;
                Ok(Some(Outcome::Refused(text(&message)?.to_owned())))
            }
            (kind, ..) => bail!("a rule of unknown form `{kind}`"),
        }
    }

    fn endpoint(&self, target: &Target, scope: &Scope) -> anyhow::Result<Endpoint> {
        let url = self.value(&target.url, scope)?;
        let url = text(&url)?;
        let host = url
            .strip_prefix("https://")
            .with_context(|| format!("`{url}` is not https"))?;
        let host = host.strip_suffix('/').unwrap_or(host);
        anyhow::ensure!(
            !host.contains(['/', ':', '{']),
            "`{url}` is more than a host"
        );
        let schemes = target
            .properties
            .get("authSchemes")
            .and_then(Value::as_array);
        let is_v4 = |scheme: &&Value| scheme.get("name").is_some_and(|name| name == "sigv4");
        let scheme = schemes.and_then(|schemes| schemes.iter().find(is_v4));
        let setting = |key: &str| -> anyhow::Result<Option<String>> {
            let Some(value) = scheme.and_then(|scheme| scheme.get(key)) else {
                return Ok(None);
            };
            Ok(Some(text(&self.value(value, scope)?)?.to_owned()))
        };
        Ok(Endpoint {
            host: host.to_owned(),
            signing_region: setting("signingRegion")?,
            signing_name: setting("signingName")?,
        })
    }

    fn value(&self, value: &Value, scope: &Scope) -> anyhow::Result<Value> {
        match value {
            Value::Object(object) if object.contains_key("fn") => {
                self.call(&Function::deserialize(value)?, scope)
            }
            Value::Object(object) => {
                let name = object.get("ref").and_then(Value::as_str);
                let name = name.context("an object that is neither call nor reference")?;
                Ok(scope.get(name).cloned().unwrap_or(Value::Null))
            }
            Value::String(template) => Ok(Value::String(fill(template, scope)?)),
            Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => Ok(value.clone()),
        }
    }

    fn call(&self, function: &Function, scope: &Scope) -> anyhow::Result<Value> {
        let arguments = function
            .argv
            .iter()
            .map(|argument| self.value(argument, scope));
        let arguments = arguments.collect::<anyhow::Result<Vec<_>>>()?;
        if function.name == "aws.partition" {
            let region = arguments.first().context("aws.partition without region")?;
            return self.partitions.of_region(text(region)?);
        }
        functions::apply(&function.name, &arguments)
            .with_context(|| format!("in `{}({arguments:?})`", function.name))
    }
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is not a string"))
}

/// Fills `{Name}` and `{Name#attribute}`.
fn fill(template: &str, scope: &Scope) -> anyhow::Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (reference, tail) = tail
            .split_once('}')
            .context("an open brace in a template")?;
        let (name, attribute) = reference.split_once('#').unwrap_or((reference, ""));
        let value = scope
            .get(name)
            .with_context(|| format!("`{name}` is not set"))?;
        let value = match attribute {
            "" => value,
            attribute => value.get(attribute).context("an unknown attribute")?,
        };
        filled.push_str(literal);
        filled.push_str(text(value)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}
