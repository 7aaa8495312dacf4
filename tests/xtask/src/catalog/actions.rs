//! Which IAM actions an operation needs. Nearly always the one of its own name; the rest is in
//! `data/actions.json`, kept by hand. What neither knows is marked unknown, which policies treat as
//! the most powerful.

use std::collections::BTreeMap;

use anyhow::Context;
use portcullis_core::call::AccessLevel;
use portcullis_core::catalog::{ActionTemplate, ArnSegment, ArnTemplate, When};
use serde::Deserialize;

use super::arns::{Input, normalised};
use super::iam::IamData;
use super::model::{Model, Operation};

mod template;

/// Services whose role members are not roles passed to a service.
const PASSES_NO_ROLE: [&str; 8] = [
    "iam",
    "iam-toolbox",
    "lakeformation",
    "resource-groups",
    "signin",
    "sso",
    "sso-admin",
    "sts",
];

/// The hand-kept table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    prefixes: BTreeMap<String, Vec<String>>,
    operations: BTreeMap<String, BTreeMap<String, Vec<Needed>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Needed {
    Plain(String),
    Detailed(Detailed),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Detailed {
    action: String,
    present: Option<String>,
    absent: Option<String>,
    resources: Option<Vec<String>>,
}

impl Table {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = include_str!("../../data/actions.json");
        serde_json::from_str(text).context("reading data/actions.json")
    }
}

/// One service's mapping.
#[derive(Debug)]
pub(crate) struct Actions<'a> {
    iam: &'a IamData,
    table: &'a Table,
    service: &'a str,
    model: &'a Model,
    prefixes: Vec<String>,
}

impl<'a> Actions<'a> {
    pub(crate) fn new(
        iam: &'a IamData,
        table: &'a Table,
        service: &'a str,
        model: &'a Model,
    ) -> Self {
        let metadata = &model.metadata;
        let guesses = [
            metadata.signing_name.as_deref(),
            Some(&metadata.endpoint_prefix),
            Some(service),
        ];
        let guesses = guesses
            .into_iter()
            .flatten()
            .filter(|prefix| iam.has(prefix));
        let prefixes = table.prefixes.get(service).cloned();
        Self {
            prefixes: prefixes.unwrap_or_else(|| guesses.map(str::to_owned).collect()),
            iam,
            table,
            service,
            model,
        }
    }

    /// Never empty.
    pub(crate) fn of(
        &self,
        name: &str,
        operation: &Operation,
    ) -> anyhow::Result<Vec<ActionTemplate>> {
        let input = Input::of(self.service, self.model, name, operation);
        let mut actions = match self
            .table
            .operations
            .get(self.service)
            .and_then(|t| t.get(name))
        {
            Some(needed) => self.by_table(needed, &input)?,
            None => self.by_name(name, operation, &input)?,
        };
        actions.extend(self.passed_roles(operation, &actions)?);
        Ok(actions)
    }

    fn by_table(&self, needed: &[Needed], input: &Input) -> anyhow::Result<Vec<ActionTemplate>> {
        let mut actions = Vec::new();
        for needed in needed {
            match needed {
                Needed::Plain(action) => actions.extend(self.known(action, input)?),
                Needed::Detailed(detailed) => actions.extend(self.detailed(detailed, input)?),
            }
        }
        Ok(actions)
    }

    fn detailed(&self, detailed: &Detailed, input: &Input) -> anyhow::Result<Vec<ActionTemplate>> {
        let mut actions = self.known(&detailed.action, input)?;
        if let Some(resources) = &detailed.resources {
            let resources = resources.iter().map(|text| template::parse(text));
            let resources = resources.collect::<anyhow::Result<_>>()?;
            actions.truncate(1);
            actions
                .iter_mut()
                .for_each(|action| action.resources = Clone::clone(&resources));
        }
        let path = |path: &String| path.split('.').map(str::to_owned).collect();
        let when = match (&detailed.present, &detailed.absent) {
            (None, None) => return Ok(actions),
            (Some(present), None) => When::Present(path(present)),
            (None, Some(absent)) => When::Absent(path(absent)),
            (Some(_), Some(_)) => anyhow::bail!("`{}` has two conditions", detailed.action),
        };
        actions.truncate(1);
        actions
            .iter_mut()
            .for_each(|action| action.when = when.clone());
        Ok(actions)
    }

    /// An action that iam-data must have: the table cannot invent one.
    fn known(&self, action: &str, input: &Input) -> anyhow::Result<Vec<ActionTemplate>> {
        let (prefix, name) = action.split_once(':').context("an action without prefix")?;
        let found = self.find(prefix, name, input)?;
        found.with_context(|| format!("no IAM action `{action}`"))
    }

    fn find(
        &self,
        prefix: &str,
        name: &str,
        input: &Input,
    ) -> anyhow::Result<Option<Vec<ActionTemplate>>> {
        let Some(action) = self.iam.action(prefix, name) else {
            return Ok(None);
        };
        let access = action.access()?;
        let name = format!("{prefix}:{}", action.name);
        let mut groups = input.bind(&self.iam.resources(prefix, action));
        if groups.is_empty() {
            groups.push((When::Always, Vec::new()));
        }
        let template = |(when, resources)| ActionTemplate {
            name: name.clone(),
            access,
            resources,
            when,
        };
        Ok(Some(groups.into_iter().map(template).collect()))
    }

    fn by_name(
        &self,
        name: &str,
        operation: &Operation,
        input: &Input,
    ) -> anyhow::Result<Vec<ActionTemplate>> {
        for prefix in &self.prefixes {
            if let Some(found) = self.find(prefix, name, input)? {
                return Ok(found);
            }
        }
        if matches!(self.service, "apigateway" | "apigatewayv2") {
            return self.by_verb(operation);
        }
        let signing_name = self.model.metadata.signing_name.as_ref();
        let fallback = signing_name.unwrap_or(&self.model.metadata.endpoint_prefix);
        let prefix = self.prefixes.first().unwrap_or(fallback);
        Ok(vec![ActionTemplate {
            name: format!("{prefix}:{name}"),
            access: AccessLevel::Unknown,
            resources: Vec::new(),
            when: When::Always,
        }])
    }

    /// API Gateway's actions are HTTP verbs and its resources are paths.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-iam-policy-examples.html>
    fn by_verb(&self, operation: &Operation) -> anyhow::Result<Vec<ActionTemplate>> {
        let verb = &operation.http.method;
        let action = self.iam.action("apigateway", verb);
        let action = action.with_context(|| format!("API Gateway has no action `{verb}`"))?;
        let resource = template::of_path(self.model, operation)?;
        Ok(vec![ActionTemplate {
            name: format!("apigateway:{}", action.name),
            access: action.access()?,
            resources: vec![resource],
            when: When::Always,
        }])
    }

    /// A call that hands a role to a service needs `iam:PassRole` on it.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>
    fn passed_roles(
        &self,
        operation: &Operation,
        actions: &[ActionTemplate],
    ) -> anyhow::Result<Vec<ActionTemplate>> {
        let changes = actions
            .iter()
            .any(|action| action.access >= AccessLevel::Write);
        let input = operation.input.as_ref();
        let input = input.and_then(|input| self.model.shapes.get(&input.shape));
        let Some(input) = input.filter(|_| changes && !PASSES_NO_ROLE.contains(&self.service))
        else {
            return Ok(Vec::new());
        };
        let passed = self
            .iam
            .action("iam", "PassRole")
            .context("iam-data has no PassRole")?;
        let access = passed.access()?;
        let members = input.members.iter().filter(|(name, reference)| {
            let shape = self.model.shapes.get(&reference.shape);
            is_role(name) && shape.is_some_and(|shape| shape.kind == "string")
        });
        let template = |name: &String| ActionTemplate {
            name: "iam:PassRole".to_owned(),
            access,
            resources: vec![role(name)],
            when: When::Present(vec![name.clone()]),
        };
        Ok(members.map(|(name, _)| template(name)).collect())
    }
}

fn is_role(member: &str) -> bool {
    let key = normalised(member);
    key.ends_with("rolearn") || matches!(key.as_str(), "executionrole" | "role" | "servicerole")
}

fn role(member: &str) -> ArnTemplate {
    let path = vec![member.to_owned()];
    if member.to_ascii_lowercase().ends_with("arn") {
        return ArnTemplate {
            segments: vec![ArnSegment::Arn(path)],
        };
    }
    let literal = |text: &str| ArnSegment::Literal(text.to_owned());
    ArnTemplate {
        segments: vec![
            literal("arn:"),
            ArnSegment::Partition,
            literal(":iam::"),
            ArnSegment::Account,
            literal(":role/"),
            ArnSegment::NameOrArn(path),
        ],
    }
}
