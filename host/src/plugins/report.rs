//! What loading and reloading say to the operator.

use std::fmt;

use time::OffsetDateTime;

use super::generation::{Digests, Plugin};
use super::inspect::Kind;
use super::manifest::Interests;

/// One thing that keeps a set of plugins from serving.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// A file, or `<file>:<line>:<column>`.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why no plugins could be loaded at start.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// Everything found, in file order.
    pub problems: Vec<Problem>,
    /// Not wrong, but the operator should know.
    pub warnings: Vec<String>,
}

impl LoadReport {
    pub(super) fn engine(error: &wasmtime::Error) -> Self {
        Self {
            problems: vec![Problem {
                place: "plugin engine".to_owned(),
                message: format!("{error:#}"),
            }],
            warnings: Vec::new(),
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plugins cannot be loaded")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadReport {}

/// How a reload ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The generation that serves now.
    pub generation: u64,
    /// The plugins that were built anew; empty if nothing was swapped in.
    pub rebuilt: Vec<String>,
    /// Why the previous generation was kept; empty if all is well.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(super) fn refused(generation: u64, problems: Vec<Problem>) -> Self {
        Self {
            generation,
            rebuilt: Vec::new(),
            problems,
        }
    }

    pub(super) fn swapped(generation: u64, rebuilt: Vec<String>) -> Self {
        Self {
            generation,
            rebuilt,
            problems: Vec::new(),
        }
    }

    pub(super) fn unchanged(generation: u64) -> Self {
        Self::swapped(generation, Vec::new())
    }
}

/// The plugins as they are.
#[derive(Clone, Debug)]
pub struct Status {
    /// The generation that serves.
    pub generation: u64,
    /// Since when.
    pub since: OffsetDateTime,
    /// Its plugins, by name.
    pub plugins: Vec<PluginStatus>,
    /// Why what is in the directories now does not serve; empty if it does.
    pub problems: Vec<Problem>,
    /// Not wrong, but the operator should know.
    pub warnings: Vec<String>,
}

/// One plugin as it is.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Its file's name without `.wasm`.
    pub name: String,
    /// From its manifest.
    pub version: String,
    /// What it decides about.
    pub kind: Kind,
    /// What identifies its behaviour.
    pub digests: Digests,
    /// What it is asked about.
    pub interests: Interests,
    /// Its verdicts are logged but decide nothing.
    pub advisory: bool,
    /// Calls it was asked about since it was loaded.
    pub calls: u64,
    /// Calls it could not answer.
    pub failures: u64,
    /// Why its newest files do not serve, else its last failure.
    pub last_error: Option<String>,
}

impl PluginStatus {
    pub(super) fn new(plugin: &Plugin, problems: &[Problem]) -> Self {
        let file = format!("{}.", plugin.name);
        let refused = problems
            .iter()
            .find(|problem| {
                let name = problem.place.rsplit('/').next().unwrap_or_default();
                name.starts_with(&file)
            })
            .map(ToString::to_string);
        Self {
            name: plugin.name.to_string(),
            version: plugin.version.clone(),
            kind: plugin.kind,
            digests: plugin.digests.clone(),
            interests: plugin.interests.clone(),
            advisory: plugin.advisory,
            calls: plugin.health.calls(),
            failures: plugin.health.failures(),
            last_error: refused.or_else(|| plugin.health.last_error()),
        }
    }
}
