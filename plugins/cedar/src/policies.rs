//! Policy files → an index of evaluable policies, or every problem with its file, line and column.
//!
//! A policy that could never match, or that means something else than it says, is refused here:
//! names outside the vocabulary, unknown annotations, groups that do not exist. It never decides.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use cedar_policy::{ActionConstraint, EntityUid, ParseErrors, Policy, PolicyId, PolicySet};
use miette::Diagnostic;
use serde::Deserialize;

use crate::vocabulary::{Pair, Types};

mod check;

pub use check::Reads;

/// Everything `configure` learned.
#[derive(Debug)]
pub struct Policies {
    pub(crate) types: Types,
    rules: Vec<Rule>,
    any_action: Bucket,
    by_action: HashMap<String, Bucket>,
}

/// What is known of a policy besides its conditions.
#[derive(Debug)]
pub struct Rule {
    /// `@id`, or `<file>:<line>`.
    pub id: String,
    /// `@reason`.
    pub reason: Option<String>,
    /// `@approval("required")`.
    pub approval: bool,
    /// A `forbid`.
    pub forbids: bool,
}

/// Policies that share an action or action group in their scope.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) policies: PolicySet,
    pub(crate) reads: Reads,
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
        let rules: Vec<Rule> = parsed.iter().map(Parsed::rule).collect();
        problems.extend(duplicates(&parsed, &rules));
        if problems.is_empty() {
            Self::index(parsed, rules)
        } else {
            Err(problems)
        }
    }

    /// The rule behind a Cedar policy id.
    pub(crate) fn rule(&self, id: &PolicyId) -> Option<&Rule> {
        let id: &str = id.as_ref();
        self.rules.get(id.parse::<usize>().ok()?)
    }

    /// The policies whose action constraint the pair can satisfy.
    pub(crate) fn candidates(&self, pair: &Pair) -> impl Iterator<Item = &Bucket> {
        let groups = crate::vocabulary::action_groups(pair);
        let named = std::iter::once(pair.action.clone())
            .chain(groups)
            .filter_map(|key| self.by_action.get(&key));
        std::iter::once(&self.any_action)
            .chain(named)
            .filter(|bucket| !bucket.policies.is_empty())
    }

    /// Which costly facts the policies for these pairs look at.
    pub fn reads(&self, pairs: &[Pair]) -> Reads {
        let mut reads = Reads::default();
        for pair in pairs {
            for bucket in self.candidates(pair) {
                reads.merge(bucket.reads);
            }
        }
        reads
    }

    /// One action some policy names, for warming up.
    pub(crate) fn some_action(&self) -> Option<&str> {
        self.by_action.keys().min().map(String::as_str)
    }

    fn index(parsed: Vec<Parsed<'_>>, rules: Vec<Rule>) -> Result<Self, Vec<Problem>> {
        let types = Types::new().map_err(|error| vec![at("", error)])?;
        let mut index = Self {
            types,
            rules,
            any_action: Bucket::default(),
            by_action: HashMap::new(),
        };
        for (number, parsed) in parsed.into_iter().enumerate() {
            // Zero-padded, so that the smallest id is the one written first.
            let policy = parsed.policy.new_id(PolicyId::new(format!("{number:06}")));
            index
                .insert(&policy)
                .map_err(|error| vec![at(&parsed.file.file, error)])?;
        }
        Ok(index)
    }

    fn insert(&mut self, policy: &Policy) -> Result<(), String> {
        let actions: Vec<EntityUid> = match policy.action_constraint() {
            ActionConstraint::Any => return self.any_action.add(policy),
            ActionConstraint::Eq(action) => vec![action],
            ActionConstraint::In(actions) => actions,
        };
        let keys: std::collections::BTreeSet<&str> = actions
            .iter()
            .map(|action| action.id().unescaped())
            .collect();
        for key in keys {
            self.by_action
                .entry(key.to_owned())
                .or_default()
                .add(policy)?;
        }
        Ok(())
    }
}

impl Bucket {
    fn add(&mut self, policy: &Policy) -> Result<(), String> {
        self.reads.merge(check::reads(policy));
        self.policies
            .add(policy.clone())
            .map_err(|error| error.to_string())
    }
}

impl Parsed<'_> {
    fn rule(&self) -> Rule {
        let (line, _) = position(&self.file.text, self.offset);
        let text = |key| self.policy.annotation(key).map(str::to_owned);
        Rule {
            id: text("id").unwrap_or_else(|| format!("{}:{line}", self.file.file)),
            reason: text("reason"),
            approval: self.policy.annotation("approval").is_some(),
            forbids: self.policy.effect() == cedar_policy::Effect::Forbid,
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

fn duplicates(parsed: &[Parsed<'_>], rules: &[Rule]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &Parsed<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for (parsed, rule) in parsed.iter().zip(rules) {
        match first.get(rule.id.as_str()) {
            None => {
                first.insert(&rule.id, parsed);
            }
            Some(earlier) => {
                let (line, _) = position(&earlier.file.text, earlier.offset);
                problems.push(parsed.problem(format!(
                    "@id(\"{}\") is already used at {}:{line}",
                    rule.id, earlier.file.file
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
