//! Policy files → an index of evaluable policies, or every problem with its file, line and column.
//!
//! A policy that could never match, or that means something else than it says, is refused here:
//! names outside the vocabulary, unknown annotations, groups that do not exist. It never decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, ParseErrors, Policy, PolicySet};
use cedar_policy_core::ast::Expr;
use miette::Diagnostic;
use serde::Deserialize;

use crate::vocabulary::{Pair, Types};

mod check;

pub use check::Reads;

/// Everything `configure` learned.
#[derive(Debug)]
pub struct Policies {
    pub(crate) types: Types,
    any_action: Bucket,
    by_action: HashMap<String, Bucket>,
}

/// One policy, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Rule {
    /// `@id`, or `<file>:<line>`.
    pub(crate) id: String,
    /// `@reason`.
    pub(crate) reason: Option<String>,
    /// What it means if its condition holds.
    pub(crate) effect: RuleEffect,
    /// Scope, `when` and `unless` as one expression.
    pub(crate) condition: Expr,
    /// Its place in what was written.
    pub(crate) number: usize,
}

/// What a policy means if its condition holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RuleEffect {
    Forbid,
    Permit,
    PermitAfterApproval,
}

/// Policies that share an action or action group in their scope.
#[derive(Debug, Default)]
struct Bucket {
    rules: Vec<Arc<Rule>>,
    reads: Reads,
}

/// Something wrong with the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// `<file>:<line>:<column>`, or a JSON Pointer.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    policies: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    file: String,
    text: String,
}

/// One policy with where it was written.
struct Parsed<'a> {
    file: &'a File,
    offset: usize,
    policy: Policy,
}

impl Policies {
    /// Reads the configuration `{"policies": [{"file": …, "text": …}]}`.
    ///
    /// # Errors
    /// Every problem found, in file order.
    pub fn parse(config: &str) -> Result<Self, Vec<Problem>> {
        let config: Config =
            serde_json::from_str(config).map_err(|error| vec![at("", error.to_string())])?;
        if config.policies.is_empty() {
            return Err(vec![at("/policies", "there is no policy file".to_owned())]);
        }
        let mut problems = Vec::new();
        let mut parsed = Vec::new();
        for file in &config.policies {
            match parse_file(file) {
                Ok(policies) => parsed.extend(policies),
                Err(errors) => problems.extend(errors),
            }
        }
        for parsed in &parsed {
            problems.extend(
                check::problems(&parsed.policy)
                    .into_iter()
                    .map(|message| parsed.problem(message)),
            );
        }
        problems.extend(duplicates(&parsed));
        if problems.is_empty() {
            Self::index(&parsed).map_err(|error| vec![at("", error)])
        } else {
            Err(problems)
        }
    }

    /// The policies whose action constraint the pair can satisfy.
    pub(crate) fn candidates(&self, pair: &Pair) -> impl Iterator<Item = &Rule> {
        self.buckets(pair)
            .flat_map(|bucket| bucket.rules.iter().map(Arc::as_ref))
    }

    fn buckets(&self, pair: &Pair) -> impl Iterator<Item = &Bucket> {
        let groups = crate::vocabulary::action_groups(pair);
        let named = std::iter::once(pair.action.clone())
            .chain(groups)
            .filter_map(|key| self.by_action.get(&key));
        std::iter::once(&self.any_action).chain(named)
    }

    /// Which costly facts the policies for these pairs look at.
    pub fn reads(&self, pairs: &[Pair]) -> Reads {
        let mut reads = Reads::default();
        for pair in pairs {
            for bucket in self.buckets(pair) {
                reads.merge(bucket.reads);
            }
        }
        reads
    }

    /// One action some policy names, for warming up.
    pub(crate) fn some_action(&self) -> Option<&str> {
        self.by_action.keys().min().map(String::as_str)
    }

    fn index(parsed: &[Parsed<'_>]) -> Result<Self, String> {
        let mut index = Self {
            types: Types::new()?,
            any_action: Bucket::default(),
            by_action: HashMap::new(),
        };
        for (number, parsed) in parsed.iter().enumerate() {
            index.insert(&parsed.policy, Arc::new(parsed.rule(number)));
        }
        Ok(index)
    }

    fn insert(&mut self, policy: &Policy, rule: Arc<Rule>) {
        let reads = check::reads(policy);
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => return self.any_action.add(rule, reads),
            ActionConstraint::Eq(action) => vec![action],
            ActionConstraint::In(actions) => actions,
        };
        let keys: BTreeSet<&str> = actions
            .iter()
            .map(|action| action.id().unescaped())
            .collect();
        for key in keys {
            let bucket = self.by_action.entry(key.to_owned()).or_default();
            bucket.add(Arc::clone(&rule), reads);
        }
    }
}

impl Bucket {
    fn add(&mut self, rule: Arc<Rule>, reads: Reads) {
        self.reads.merge(reads);
        self.rules.push(rule);
    }
}

impl Parsed<'_> {
    fn id(&self) -> String {
        let (line, _) = position(&self.file.text, self.offset);
        let id = self.policy.annotation("id").map(str::to_owned);
        id.unwrap_or_else(|| format!("{}:{line}", self.file.file))
    }

    fn rule(&self, number: usize) -> Rule {
        let approval = self.policy.annotation("approval").is_some();
        Rule {
            id: self.id(),
            reason: self.policy.annotation("reason").map(str::to_owned),
            effect: match self.policy.effect() {
                cedar_policy::Effect::Forbid => RuleEffect::Forbid,
                cedar_policy::Effect::Permit if approval => RuleEffect::PermitAfterApproval,
                cedar_policy::Effect::Permit => RuleEffect::Permit,
            },
            condition: self.policy.as_ref().condition(),
            number,
        }
    }

    fn problem(&self, message: String) -> Problem {
        located(self.file, self.offset, message)
    }
}

fn parse_file(file: &File) -> Result<Vec<Parsed<'_>>, Vec<Problem>> {
    let set = PolicySet::from_str(&file.text).map_err(|errors| parse_problems(file, &errors))?;
    if set.templates().next().is_some() {
        return Err(vec![at(
            &file.file,
            "templates (`?principal`, `?resource`) are not supported".to_owned(),
        )]);
    }
    let mut parsed: Vec<Parsed<'_>> = set
        .policies()
        .map(|policy| Parsed {
            file,
            offset: policy.as_ref().loc().map_or(0, |loc| loc.start()),
            policy: policy.clone(),
        })
        .collect();
    parsed.sort_by_key(|parsed| parsed.offset);
    Ok(parsed)
}

fn parse_problems(file: &File, errors: &ParseErrors) -> Vec<Problem> {
    errors
        .iter()
        .map(|error| {
            let offset = error
                .labels()
                .and_then(|mut labels| labels.next())
                .map_or(0, |label| label.offset());
            let help = error.help().map(|help| format!(" ({help})"));
            located(file, offset, format!("{error}{}", help.unwrap_or_default()))
        })
        .collect()
}

fn duplicates(parsed: &[Parsed<'_>]) -> Vec<Problem> {
    let mut first: BTreeMap<String, &Parsed<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for parsed in parsed {
        let id = parsed.id();
        match first.get(&id) {
            None => {
                first.insert(id, parsed);
            }
            Some(earlier) => {
                let (line, _) = position(&earlier.file.text, earlier.offset);
                problems.push(parsed.problem(format!(
                    "@id(\"{id}\") is already used at {}:{line}",
                    earlier.file.file
                )));
            }
        }
    }
    problems
}

fn located(file: &File, offset: usize, message: String) -> Problem {
    let (line, column) = position(&file.text, offset);
    at(&format!("{}:{line}:{column}", file.file), message)
}

fn at(place: &str, message: String) -> Problem {
    Problem {
        at: place.to_owned(),
        message,
    }
}

/// Line and column, both from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before: String = text
        .char_indices()
        .take_while(|(index, _)| *index < offset)
        .map(|(_, character)| character)
        .collect();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
