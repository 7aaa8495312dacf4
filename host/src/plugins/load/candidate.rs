//! A plugin's files, read and checked as far as can be without running anything.

use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::plugins::Problem;
use crate::plugins::bindings::{ConfigProblem, printable};
use crate::plugins::engine::Engine;
use crate::plugins::generation::Digests;
use crate::plugins::inspect::{Kind, inspect};
use crate::plugins::manifest::Manifest;
use crate::plugins::scan::{Files, PolicyFile, hash};
use crate::plugins::snapshot::NotConfigured;

/// A plugin's files with everything derived from them but code.
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) component: &'a [u8],
    pub(super) path: String,
    pub(super) manifest: Manifest,
    pub(super) kind: Kind,
    pub(super) configuration: Arc<str>,
    pub(super) digests: Digests,
}

impl<'a> Candidate<'a> {
    /// Reads the manifest and checks the component; `None` for a plugin that its manifest switches
    /// off.
    ///
    /// # Errors
    /// The first problem, by the file it is in.
    pub(super) fn read(
        name: &'a str,
        files: &'a Files,
        policies: &[PolicyFile],
        granted: &[String],
    ) -> Result<Option<Self>, Problem> {
        let path = files.path.display().to_string();
        let manifest_problem = |message| Problem {
            place: files.path.with_extension("yaml").display().to_string(),
            message,
        };
        let problem = |message: String| Problem {
            place: path.clone(),
            message,
        };
        let manifest = match &files.manifest {
            Some(text) => Manifest::parse(text).map_err(manifest_problem)?,
            None => Manifest::default(),
        };
        if manifest.disabled {
            return Ok(None);
        }
        let Some(component) = files.component.as_deref() else {
            return Err(problem(
                "is missing; set `disabled: true` in its manifest to do without it".to_owned(),
            ));
        };
        let kind = inspect(component, name, &manifest, granted).map_err(problem)?;
        let configuration = configuration(&manifest, policies).map_err(manifest_problem)?;
        let digests = Digests {
            component: files.component_hash.clone(),
            configuration: hash(
                format!("{configuration}\0{:?}\0{granted:?}", files.manifest).as_bytes(),
            ),
        };
        Ok(Some(Self {
            name,
            component,
            path,
            manifest,
            kind,
            configuration: configuration.into(),
            digests,
        }))
    }

    pub(super) fn problem(&self, error: &wasmtime::Error) -> Vec<Problem> {
        vec![Problem {
            place: self.path.clone(),
            message: format!("{error:#}"),
        }]
    }

    pub(super) fn not_configured(&self, error: NotConfigured) -> Vec<Problem> {
        match error {
            NotConfigured::Failed(error) => self.problem(&error.context("`configure` failed")),
            NotConfigured::Problems(problems) => problems
                .into_iter()
                .map(|problem| self.config_problem(problem))
                .collect(),
        }
    }

    /// A JSON Pointer is into the manifest; anything else the plugin located itself.
    fn config_problem(&self, problem: ConfigProblem) -> Problem {
        let ConfigProblem { pointer, message } = problem;
        let place = if pointer.is_empty() || pointer.starts_with('/') {
            format!("{}: configuration{pointer}", self.path)
        } else {
            pointer
        };
        Problem {
            place: printable(&place),
            message: printable(&message),
        }
    }

    /// Compiled code depends on the component, on what it was configured with and on the engine.
    pub(super) fn cache_name(&self, engine: &Engine, configuration: &str) -> String {
        let mut compatibility = DefaultHasher::new();
        engine
            .wasmtime()
            .precompile_compatibility_hash()
            .hash(&mut compatibility);
        format!(
            "{}-{configuration}-{:016x}",
            self.digests.component,
            compatibility.finish()
        )
    }
}

fn configuration(manifest: &Manifest, policies: &[PolicyFile]) -> Result<String, String> {
    let mut configuration = match &manifest.configuration {
        Value::Null => serde_json::Map::new(),
        Value::Object(members) => members.clone(),
        other if !manifest.policies => return Ok(other.to_string()),
        _ => return Err("configuration: must be a mapping where `policies` is true".to_owned()),
    };
    if manifest.policies {
        let files = serde_json::to_value(policies).map_err(|error| error.to_string())?;
        if configuration.insert("policies".to_owned(), files).is_some() {
            return Err("configuration: `policies` comes from the policy directory".to_owned());
        }
    }
    Ok(Value::Object(configuration).to_string())
}
