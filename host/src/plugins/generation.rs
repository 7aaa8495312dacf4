//! The set of plugins that serves calls together. A request pins one generation from start to
//! end; a reload makes a new one and never touches this one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::access::{Advice, Failure};
use time::OffsetDateTime;
use wasmtime::component::Component;

use super::bindings::PolicyPre;
use super::engine::Engine;
use super::inspect::Kind;
use super::manifest::{Interests, Limits};
use super::question::Question;
use super::scan::Hash;
use super::state::State;

/// One immutable set of loaded plugins.
#[derive(Debug)]
pub struct Generation {
    pub(super) id: u64,
    pub(super) since: OffsetDateTime,
    pub(super) engine: Engine,
    /// Sorted by name.
    pub(super) plugins: Vec<Arc<Plugin>>,
}

/// One loaded plugin.
pub(super) struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) version: String,
    pub(super) kind: Kind,
    pub(super) digests: Digests,
    pub(super) advisory: bool,
    pub(super) interests: Interests,
    pub(super) limits: Limits,
    pub(super) code: Code,
    pub(super) health: Health,
}

/// What identifies a plugin's behaviour.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digests {
    /// SHA-256 of the `.wasm` file, in hex.
    pub component: Hash,
    /// SHA-256 of everything it was configured with, policies and limits included, in hex.
    pub configuration: Hash,
}

/// What is kept of a component.
pub(super) enum Code {
    /// Asked about calls.
    Policy { pre: PolicyPre<State>, start: Start },
    /// Checked and compiled, not asked yet.
    Idle(#[expect(dead_code, reason = "keeps the checked code for the kinds to come")] Component),
}

/// How a fresh instance comes to its configuration.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// It is in the component's memory image.
    Configured,
    /// `configure` runs in every instance, because the image could not be taken.
    Configure(Arc<str>),
}

/// What happened to a plugin since it was loaded.
#[derive(Debug, Default)]
pub(super) struct Health {
    calls: AtomicU64,
    failures: AtomicU64,
    last: Mutex<Option<String>>,
}

impl Generation {
    /// Rises with every reload that changed something.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Since when it serves.
    pub fn since(&self) -> OffsetDateTime {
        self.since
    }

    /// What identifies each plugin, by name: together with the recorded call, enough to decide
    /// it again.
    pub fn digests(&self) -> BTreeMap<&str, &Digests> {
        self.plugins
            .iter()
            .map(|plugin| (&*plugin.name, &plugin.digests))
            .collect()
    }

    /// Asks every policy plugin that is interested. Never fails: a plugin that cannot answer
    /// advises to deny. Advisory plugins are asked, logged and left out.
    pub async fn consult(&self, question: Arc<Question>) -> Vec<Advice> {
        let mut advice = Vec::new();
        for plugin in &self.plugins {
            let Code::Policy { pre, start } = &plugin.code else {
                continue;
            };
            if !plugin.interests.include(&question.call) {
                continue;
            }
            let answer = plugin.ask(&self.engine, pre, start, &question).await;
            if plugin.advisory {
                tracing::info!(
                    plugin = &*plugin.name,
                    request_id = question.request_id,
                    effect = ?answer.effect,
                    rule = answer.rule,
                    "advisory plugin"
                );
            } else {
                advice.push(answer);
            }
        }
        advice
    }
}

impl Health {
    pub(super) fn count(&self, failure: Option<(Failure, &str)>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((failure, detail)) = failure {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(format!("{}: {detail}", failure.as_str()));
        }
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("digests", &self.digests)
            .finish_non_exhaustive()
    }
}
