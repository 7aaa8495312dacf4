//! Runs a service's endpoint rules for every region and variant and keeps what differs: one rule a
//! partition, plus the regions that it does not fit.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use portcullis_core::catalog::{EndpointRule, Endpoints, Partition};
use serde_json::Value;

use super::model::Model;
use super::partitions::Partitions;
use super::rules::{Endpoint, Outcome, RuleSet, Scope};

/// The endpoint classes of a service's operations: the sets of fixed inputs that operations give
/// the rules. Most services have one, the empty set.
#[derive(Debug)]
pub(crate) struct Classes {
    sets: Vec<Scope>,
    by_operation: HashMap<String, u32>,
}

impl Classes {
    pub(crate) fn of(service: &str, model: &Model) -> anyhow::Result<Self> {
        let mut sets = Vec::new();
        let mut by_operation = HashMap::new();
        let mut operations: Vec<_> = model.operations.iter().collect();
        operations.sort_by_key(|(name, _)| *name);
        for (name, operation) in operations {
            let fixed = operation.static_context_params.iter();
            let fixed = fixed.filter(|(parameter, _)| is_relevant(service, parameter));
            let set: Scope = fixed
                .map(|(name, fixed)| (name.clone(), fixed.value.clone()))
                .collect();
            let position = sets.iter().position(|known| *known == set);
            let position = position.unwrap_or_else(|| {
                sets.push(set);
                sets.len() - 1
            });
            by_operation.insert(name.clone(), u32::try_from(position)?);
        }
        Ok(Self { sets, by_operation })
    }

    pub(crate) fn class(&self, operation: &str) -> u32 {
        self.by_operation.get(operation).copied().unwrap_or(0)
    }
}

/// S3's bucket operations set inputs that matter only together with a bucket, which is not an input
/// here; S3 Control's account is the host prefix of the model instead.
fn is_relevant(service: &str, parameter: &str) -> bool {
    match service {
        "s3" => parameter == "UseObjectLambdaEndpoint",
        _ => parameter != "RequiresAccountId",
    }
}

/// What tells one evaluation from another, apart from the region.
#[derive(Clone, Copy, Debug)]
struct Variant {
    class: u32,
    fips: bool,
    dual_stack: bool,
}

/// Evaluates everything.
pub(crate) fn build(
    rules: &RuleSet,
    classes: &Classes,
    partitions: &Partitions,
) -> anyhow::Result<Endpoints> {
    let mut endpoints = Endpoints {
        defaults: Vec::new(),
        exceptions: Vec::new(),
    };
    for (class, fixed) in (0..).zip(&classes.sets) {
        for partition in partitions.catalog() {
            for (fips, dual_stack) in [(false, false), (false, true), (true, false), (true, true)] {
                let variant = Variant {
                    class,
                    fips,
                    dual_stack,
                };
                let evaluate =
                    |region: &str| evaluate(rules, inputs(fixed, variant, region), partitions);
                let found = regions(&partition, evaluate)?;
                compact(&mut endpoints, &partition.name, variant, &found);
            }
        }
    }
    Ok(endpoints)
}

fn regions(
    partition: &Partition,
    evaluate: impl Fn(&str) -> anyhow::Result<Option<Endpoint>>,
) -> anyhow::Result<BTreeMap<String, Option<Endpoint>>> {
    let mut found = BTreeMap::new();
    for region in &partition.regions {
        let endpoint = evaluate(region).with_context(|| format!("in region `{region}`"))?;
        found.insert(
            region.clone(),
            endpoint.map(|endpoint| abstracted(endpoint, region)),
        );
    }
    Ok(found)
}

fn inputs(fixed: &Scope, variant: Variant, region: &str) -> impl Fn(&str) -> Option<Value> {
    let (fixed, region) = (fixed.clone(), region.to_owned());
    move |name| match name {
        "AWS::Region" => Some(Value::from(region.clone())),
        "AWS::UseDualStack" => Some(Value::Bool(variant.dual_stack)),
        "AWS::UseFIPS" => Some(Value::Bool(variant.fips)),
        name => fixed.get(name).cloned(),
    }
}

fn evaluate(
    rules: &RuleSet,
    input: impl Fn(&str) -> Option<Value>,
    partitions: &Partitions,
) -> anyhow::Result<Option<Endpoint>> {
    let mut scope = Scope::new();
    for (name, parameter) in &rules.parameters {
        let key = parameter.built_in.as_ref().unwrap_or(name);
        if let Some(value) = input(key) {
            scope.insert(name.clone(), value);
        }
    }
    Ok(match rules.evaluate(scope, partitions)? {
        Outcome::Endpoint(endpoint) => Some(endpoint),
        Outcome::Refused(_) => None,
    })
}

/// Writes `{region}` for the region in a host, and drops a signing region that is the region.
fn abstracted(endpoint: Endpoint, region: &str) -> Endpoint {
    Endpoint {
        host: endpoint.host.replace(region, "{region}"),
        signing_region: endpoint.signing_region.filter(|signing| signing != region),
        signing_name: endpoint.signing_name,
    }
}

/// The commonest answer becomes the partition's rule; an exception without a host says that a
/// region has none.
fn compact(
    endpoints: &mut Endpoints,
    partition: &str,
    variant: Variant,
    found: &BTreeMap<String, Option<Endpoint>>,
) {
    let rule = |region: Option<&String>, endpoint: Option<&Endpoint>| EndpointRule {
        partition: partition.to_owned(),
        region: region.cloned(),
        class: variant.class,
        fips: variant.fips,
        dual_stack: variant.dual_stack,
        host: endpoint
            .map(|endpoint| endpoint.host.clone())
            .unwrap_or_default(),
        signing_region: endpoint.and_then(|endpoint| endpoint.signing_region.clone()),
        signing_name: endpoint.and_then(|endpoint| endpoint.signing_name.clone()),
    };
    let votes = |candidate: &Endpoint| {
        found
            .values()
            .filter(|other| other.as_ref() == Some(candidate))
            .count()
    };
    let Some(common) = found
        .values()
        .flatten()
        .max_by_key(|endpoint| votes(endpoint))
    else {
        return;
    };
    endpoints.defaults.push(rule(None, Some(common)));
    for (region, endpoint) in found {
        if endpoint.as_ref() != Some(common) {
            endpoints
                .exceptions
                .push(rule(Some(region), endpoint.as_ref()));
        }
    }
}
