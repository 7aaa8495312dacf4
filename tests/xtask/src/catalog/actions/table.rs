//! The hand-kept table, `data/actions.json`: what AWS documents and no machine-readable source says.

use std::collections::BTreeMap;

use anyhow::Context;
use portcullis_core::call::AccessLevel;
use portcullis_core::catalog::{Service, When};
use serde::Deserialize;

/// `data/actions.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    /// IAM prefixes of services whose names do not tell.
    pub(crate) prefixes: BTreeMap<String, Vec<String>>,
    /// The member that a variable of an ARN means, where the names do not tell: `Variable`, or
    /// `type/Variable` for one type of resource.
    members: BTreeMap<String, BTreeMap<String, String>>,
    /// What operations need.
    operations: BTreeMap<String, BTreeMap<String, Vec<Needed>>>,
    /// Levels of operations for which no reference has an action, or one that is too low.
    levels: BTreeMap<String, Levels>,
    /// The action that tags what is created, and the member that asks for it.
    pub(crate) tags: BTreeMap<String, (String, String)>,
    /// Operations that hand over a program or query in a language that is not read here.
    opaque: BTreeMap<String, Opaque>,
}

/// An action of an operation.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Needed {
    Plain(String),
    Detailed(Box<Detailed>),
}

/// An action with what the references do not say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detailed {
    pub(crate) action: String,
    pub(crate) resources: Option<Vec<String>>,
    #[serde(default)]
    each: String,
    present: Option<String>,
    absent: Option<String>,
    #[serde(rename = "true")]
    is_true: Option<String>,
    prefixed: Option<(String, String)>,
    versioned: Option<String>,
    unversioned: Option<String>,
}

/// Levels that AWS documents for a service's operations, or that follow from what they do where
/// IAM is not asked at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Levels {
    #[serde(rename = "source")]
    _source: String,
    list: Vec<String>,
    read: Vec<String>,
    tagging: Vec<String>,
    write: Vec<String>,
    permissions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opaque {
    #[serde(rename = "language")]
    _language: String,
    operations: Vec<String>,
}

impl Table {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = include_str!("../../../data/actions.json");
        serde_json::from_str(text).context("reading data/actions.json")
    }

    /// The members that a service's variables mean.
    pub(crate) fn members(&self, service: &str) -> BTreeMap<String, String> {
        self.members.get(service).cloned().unwrap_or_default()
    }

    /// What an operation needs, if the table says.
    pub(crate) fn needed(&self, service: &str, operation: &str) -> Option<&[Needed]> {
        let needed = self.operations.get(service)?.get(operation)?;
        Some(needed.as_slice())
    }

    /// The level that the table gives an operation.
    pub(crate) fn level(&self, service: &str, operation: &str) -> Option<AccessLevel> {
        let levels = self.levels.get(service)?;
        let named = |list: &[String]| list.iter().any(|name| name == operation);
        [
            (&levels.list, AccessLevel::List),
            (&levels.read, AccessLevel::Read),
            (&levels.tagging, AccessLevel::Tagging),
            (&levels.write, AccessLevel::Write),
            (&levels.permissions, AccessLevel::Permissions),
        ]
        .into_iter()
        .find_map(|(list, level)| named(list).then_some(level))
    }

    /// Whether what an operation does is written in a language that is not read here.
    pub(crate) fn is_opaque(&self, service: &str, operation: &str) -> bool {
        let opaque = self.opaque.get(service);
        opaque.is_some_and(|opaque| opaque.operations.iter().any(|name| name == operation))
    }

    /// Fails if the table names an operation that a service of the catalog does not have.
    pub(crate) fn check(&self, services: &[Service]) -> anyhow::Result<()> {
        for service in services {
            for name in self.names(&service.name) {
                let found = service.operation(name).is_some();
                anyhow::ensure!(found, "`{}` has no operation `{name}`", service.name);
            }
        }
        Ok(())
    }

    fn names(&self, service: &str) -> Vec<&str> {
        let needed = self.operations.get(service).into_iter();
        let needed = needed.flat_map(BTreeMap::keys);
        let levels = self.levels.get(service).into_iter().flat_map(|levels| {
            let lists = [&levels.list, &levels.read, &levels.tagging];
            let lists = lists
                .into_iter()
                .chain([&levels.write, &levels.permissions]);
            lists.flatten()
        });
        let opaque = self.opaque.get(service).into_iter();
        let opaque = opaque.flat_map(|opaque| &opaque.operations);
        let names = needed.chain(levels).chain(opaque);
        names.map(String::as_str).collect()
    }
}

impl Detailed {
    /// The list of which each element is judged alone.
    pub(crate) fn each(&self) -> Vec<String> {
        path(&self.each)
    }

    /// The condition, if there is one.
    pub(crate) fn when(&self) -> anyhow::Result<Option<When>> {
        let prefixed = self.prefixed.as_ref();
        let conditions = [
            self.absent.as_deref().map(|text| When::Absent(path(text))),
            self.present
                .as_deref()
                .map(|text| When::Present(path(text))),
            self.is_true.as_deref().map(|text| When::True(path(text))),
            prefixed.map(|(text, start)| When::Prefixed(path(text), start.clone())),
            self.versioned
                .as_deref()
                .map(|text| When::Versioned(path(text))),
            self.unversioned
                .as_deref()
                .map(|text| When::Unversioned(path(text))),
        ];
        let mut conditions = conditions.into_iter().flatten();
        let first = conditions.next();
        let action = &self.action;
        anyhow::ensure!(conditions.next().is_none(), "`{action}` has two conditions");
        Ok(first)
    }
}

fn path(text: &str) -> Vec<String> {
    let names = text.split('.').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use portcullis_core::catalog::Catalog;

    use super::*;

    #[test]
    fn the_table_names_services_that_exist() {
        let table = Table::read().unwrap();
        let keys = [
            table.prefixes.keys().collect::<Vec<_>>(),
            table.members.keys().collect(),
            table.operations.keys().collect(),
            table.levels.keys().collect(),
            table.tags.keys().collect(),
            table.opaque.keys().collect(),
        ];
        for service in keys.into_iter().flatten() {
            assert!(Catalog::embedded().by_name(service).is_some(), "{service}");
        }
    }

    #[test]
    fn an_operation_that_does_not_exist_is_an_error() {
        let mut table = Table::read().unwrap();
        let service = Catalog::embedded().open("sqs").unwrap();
        let services = [Service::clone(&service)];
        assert!(table.check(&services).is_ok());
        let opaque = Opaque {
            _language: String::new(),
            operations: vec!["NoSuch".to_owned()],
        };
        table.opaque.insert("sqs".to_owned(), opaque);
        assert!(table.check(&services).is_err());
    }

    #[test]
    fn two_conditions_are_an_error() {
        let detailed = r#"{"action": "a:B", "present": "X", "absent": "Y"}"#;
        let detailed: Detailed = serde_json::from_str(detailed).unwrap();
        assert!(detailed.when().is_err());
    }
}
