//! Wasm plugins: loaded as one generation, asked about every call, replaced without a gap.
//!
//! Start reading at [`Generation::consult`]. A plugin can only advise; nothing here says yes.
//! Whatever goes wrong, in a call or in a reload, ends in a deny or in the generation that
//! already serves, never in fewer rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

mod bindings;
pub mod cases;
mod code_cache;
mod consult;
mod engine;
mod generation;
mod host_functions;
mod inspect;
mod load;
mod manifest;
mod question;
mod report;
mod scan;
mod snapshot;
mod state;
mod watch;

pub use generation::{Digests, Generation};
pub use inspect::Kind;
pub use manifest::Interests;
pub use question::{CallFacts, Question};
pub use report::{LoadReport, PluginStatus, Problem, Report, Status};

use code_cache::CodeCache;
use engine::Engine;
use load::Loader;
use scan::{Desired, Hash};

use crate::clock;

/// Where plugins come from and what the operator lets them have.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `<name>.wasm` with an optional `<name>.yaml` each.
    pub plugins_dir: PathBuf,
    /// `*.cedar` files for the plugins that ask for policies.
    pub policies_dir: PathBuf,
    /// Capabilities beyond the log, by plugin name.
    pub grants: BTreeMap<String, Vec<String>>,
    /// Where compiled code is kept across restarts; absent: every start compiles.
    pub cache_dir: Option<PathBuf>,
}

/// All plugins of this gateway and the generation that serves.
#[derive(Debug)]
pub struct Plugins {
    settings: Settings,
    engine: Engine,
    cache: Option<CodeCache>,
    current: ArcSwap<Generation>,
    latest: Mutex<Attempt>,
    /// Held while a reload builds, so that at most one does.
    reloading: Mutex<()>,
}

/// What the last load or reload saw.
#[derive(Debug, Default)]
struct Attempt {
    hash: Hash,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Plugins {
    /// Loads the first generation. Takes seconds when nothing is cached, and blocks for them.
    ///
    /// # Errors
    /// Every problem found. There is no previous generation to fall back on, so none is ignored.
    pub fn load(settings: Settings) -> Result<Arc<Self>, LoadReport> {
        let engine = Engine::new().map_err(|error| LoadReport::engine(&error))?;
        let cache = settings.cache_dir.as_deref().and_then(|directory| {
            CodeCache::open(directory)
                .inspect_err(|error| tracing::warn!(%error, "compiled plugins are not kept"))
                .ok()
        });
        let desired = Desired::read(&settings.plugins_dir, &settings.policies_dir);
        let loader = Loader {
            engine: &engine,
            cache: cache.as_ref(),
            grants: &settings.grants,
        };
        let plugins =
            load::on_own_thread(&loader, &desired, None).map_err(|problems| LoadReport {
                problems,
                warnings: desired.warnings.clone(),
            })?;
        let generation = Generation {
            id: 1,
            since: clock::now(),
            engine: engine.clone(),
            plugins,
        };
        Ok(Arc::new(Self {
            settings,
            engine,
            cache,
            current: ArcSwap::from_pointee(generation),
            latest: Mutex::new(Attempt {
                hash: desired.hash(),
                problems: Vec::new(),
                warnings: desired.warnings,
            }),
            reloading: Mutex::new(()),
        }))
    }

    /// The generation that serves now. A request takes it once and keeps it to its end.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Reads the directories and swaps in what changed, if all of it is good. Blocks while it
    /// compiles; serving goes on.
    pub fn reload(&self) -> Report {
        let desired = self.scan();
        self.apply(desired)
    }

    /// What serves, and what is wrong with what was found last.
    pub fn status(&self) -> Status {
        let generation = self.current();
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            generation: generation.id(),
            since: generation.since(),
            plugins: generation
                .plugins
                .iter()
                .map(|plugin| PluginStatus::new(plugin, &latest.problems))
                .collect(),
            problems: latest.problems.clone(),
            warnings: latest.warnings.clone(),
        }
    }

    fn scan(&self) -> Desired {
        Desired::read(&self.settings.plugins_dir, &self.settings.policies_dir)
    }

    /// Whether these contents were the last to be tried.
    fn is_latest(&self, hash: &Hash) -> bool {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.hash == *hash
    }

    fn apply(&self, desired: Desired) -> Report {
        let _one_at_a_time = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let previous = self.current();
        let loader = Loader {
            engine: &self.engine,
            cache: self.cache.as_ref(),
            grants: &self.settings.grants,
        };
        let built = load::on_own_thread(&loader, &desired, Some(&previous));
        let report = match built {
            Ok(plugins) => self.swap(&previous, plugins),
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(%problem, generation = previous.id(), "reload refused");
                }
                Report::refused(previous.id(), problems)
            }
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Attempt {
            hash: desired.hash(),
            problems: report.problems.clone(),
            warnings: desired.warnings,
        };
        report
    }

    fn swap(&self, previous: &Generation, plugins: Vec<Arc<generation::Plugin>>) -> Report {
        let kept = |plugin: &Arc<generation::Plugin>| {
            previous
                .plugins
                .iter()
                .any(|before| Arc::ptr_eq(before, plugin))
        };
        let rebuilt: Vec<String> = plugins
            .iter()
            .filter(|plugin| !kept(plugin))
            .map(|plugin| plugin.name.to_string())
            .collect();
        if rebuilt.is_empty() && plugins.len() == previous.plugins.len() {
            return Report::unchanged(previous.id());
        }
        let generation = Generation {
            id: previous.id() + 1,
            since: clock::now(),
            engine: self.engine.clone(),
            plugins,
        };
        let report = Report::swapped(generation.id(), rebuilt);
        tracing::info!(generation = report.generation, rebuilt = ?report.rebuilt, "plugins reloaded");
        self.current.store(Arc::new(generation));
        report
    }
}

#[cfg(test)]
mod tests;
