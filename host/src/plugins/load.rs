//! From files to plugins that serve: check, compile, configure, snapshot, try. All or nothing;
//! runs on its own thread and never touches the generation that serves.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use wasmtime::component::{Component, Linker};

mod candidate;
mod probe;

use super::Problem;
use super::bindings::PolicyPre;
use super::code_cache::CodeCache;
use super::consult::store;
use super::engine::Engine;
use super::generation::{Code, Generation, Health, Plugin, Start};
use super::host_functions::linker;
use super::inspect::Kind;
use super::scan::{Desired, hash};
use super::snapshot::{Instrumented, configured};
use super::state::State;
use candidate::Candidate;
use probe::probe;

/// A snapshot is read through one host call, so its memory must fit.
const MAX_SNAPSHOT_BYTES: usize = 256 << 20;

/// Builds plugins.
pub(super) struct Loader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) cache: Option<&'a CodeCache>,
    /// Capabilities the operator grants, by plugin.
    pub(super) grants: &'a BTreeMap<String, Vec<String>>,
}

/// Builds on a thread of its own, whatever thread or runtime the caller is on: compiling takes
/// seconds, and a crash in it must stay in it.
///
/// # Errors
/// See [`Loader::build`].
pub(super) fn on_own_thread(
    loader: &Loader<'_>,
    desired: &Desired,
    previous: Option<&Generation>,
) -> Result<Vec<Arc<Plugin>>, Vec<Problem>> {
    let failed = |message: String| {
        vec![Problem {
            place: "plugin loader".to_owned(),
            message,
        }]
    };
    thread::scope(|scope| {
        thread::Builder::new()
            .name("plugin-loader".to_owned())
            .spawn_scoped(scope, || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .map_err(|error| failed(error.to_string()))?
                    .block_on(loader.build(desired, previous))
            })
            .map_err(|error| failed(error.to_string()))?
            .join()
            .unwrap_or_else(|_| Err(failed("crashed".to_owned())))
    })
}

impl Loader<'_> {
    /// Builds all plugins, taking over from `previous` those that did not change.
    ///
    /// # Errors
    /// Every problem of every plugin; then nothing may be swapped in.
    pub(super) async fn build(
        &self,
        desired: &Desired,
        previous: Option<&Generation>,
    ) -> Result<Vec<Arc<Plugin>>, Vec<Problem>> {
        let mut problems = desired.problems.clone();
        problems.extend(gone(desired, previous));
        let mut plugins = Vec::new();
        for (name, files) in &desired.plugins {
            let granted = self.grants.get(name).map_or(&[][..], Vec::as_slice);
            match Candidate::read(name, files, &desired.policies, granted) {
                Ok(None) => {}
                Ok(Some(candidate)) => match unchanged(&candidate, previous) {
                    Some(plugin) => plugins.push(plugin),
                    None => match self.plugin(&candidate).await {
                        Ok(plugin) => plugins.push(Arc::new(plugin)),
                        Err(errors) => problems.extend(errors),
                    },
                },
                Err(error) => problems.push(error),
            }
        }
        if plugins.is_empty() && problems.is_empty() {
            problems.push(Problem {
                place: "plugins".to_owned(),
                message: "there is no plugin, so every call would be denied; `portcullis init` \
                          writes the bundled ones"
                    .to_owned(),
            });
        }
        if problems.is_empty() {
            Ok(plugins)
        } else {
            Err(problems)
        }
    }

    async fn plugin(&self, candidate: &Candidate<'_>) -> Result<Plugin, Vec<Problem>> {
        let linker = linker(self.engine.wasmtime(), &candidate.manifest.grants)
            .map_err(|error| candidate.problem(&error))?;
        let code = match candidate.kind {
            Kind::Approval | Kind::Mask => Code::Idle(self.compile(candidate)?),
            Kind::Policy => {
                let (component, start) = self.configured(candidate, &linker).await?;
                let pre = linker
                    .instantiate_pre(&component)
                    .and_then(PolicyPre::new)
                    .map_err(|error| candidate.problem(&error))?;
                Code::Policy { pre, start }
            }
        };
        let mut plugin = Plugin {
            name: candidate.name.into(),
            version: candidate.manifest.version.clone(),
            kind: candidate.kind,
            digests: candidate.digests.clone(),
            advisory: candidate.manifest.advisory,
            interests: candidate.manifest.interests.clone(),
            limits: candidate.manifest.limits,
            code,
            health: Health::default(),
        };
        self.self_test(candidate, &plugin).await?;
        plugin.health = Health::default();
        Ok(plugin)
    }

    fn compile(&self, candidate: &Candidate<'_>) -> Result<Component, Vec<Problem>> {
        Component::new(self.engine.wasmtime(), candidate.component)
            .map_err(|error| candidate.problem(&error))
    }

    /// The component as it serves, from the cache if it was built before.
    async fn configured(
        &self,
        candidate: &Candidate<'_>,
        linker: &Linker<State>,
    ) -> Result<(Component, Start), Vec<Problem>> {
        let name = candidate.cache_name(self.engine, &hash(candidate.configuration.as_bytes()));
        let cached = self
            .cache
            .and_then(|cache| cache.get(self.engine.wasmtime(), &name));
        if let Some(component) = cached {
            return Ok((component, Start::Configured));
        }
        let taken = self.snapshot(candidate, linker).await?;
        if let Some(component) = taken {
            if let Some(cache) = self.cache {
                cache.put(&name, &component);
            }
            return Ok((component, Start::Configured));
        }
        let component = self.compile(candidate)?;
        self.configure(candidate, linker, &component).await?;
        Ok((
            component,
            Start::Configure(Arc::clone(&candidate.configuration)),
        ))
    }

    /// `None` if this component's state cannot be captured.
    async fn snapshot(
        &self,
        candidate: &Candidate<'_>,
        linker: &Linker<State>,
    ) -> Result<Option<Component>, Vec<Problem>> {
        let costly = |reason: &dyn std::fmt::Display| {
            tracing::warn!(
                plugin = candidate.name,
                %reason,
                "the plugin cannot be snapshotted, so it is configured for every call"
            );
        };
        // The instrumenter panics on constructs it does not know.
        let instrumented =
            match catch_unwind(AssertUnwindSafe(|| Instrumented::new(candidate.component))) {
                Ok(Ok(instrumented)) => instrumented,
                Ok(Err(error)) => {
                    costly(&format!("{error:#}"));
                    return Ok(None);
                }
                Err(_) => {
                    costly(&"unknown construct");
                    return Ok(None);
                }
            };
        let component = self
            .instrumented(candidate, instrumented.bytes())
            .map_err(|error| candidate.problem(&error))?;
        let (mut store, instance) = self.configure(candidate, linker, &component).await?;
        match instrumented.snapshot(&mut store, instance).await {
            Ok(bytes) => Component::new(self.engine.wasmtime(), &bytes)
                .map(Some)
                .map_err(|error| candidate.problem(&error)),
            Err(error) => {
                costly(&format!("{error:#}"));
                Ok(None)
            }
        }
    }

    /// Compiled once per component, whatever it is configured with.
    fn instrumented(
        &self,
        candidate: &Candidate<'_>,
        bytes: &[u8],
    ) -> Result<Component, wasmtime::Error> {
        let name = candidate.cache_name(self.engine, "instrumented");
        let cached = self
            .cache
            .and_then(|cache| cache.get(self.engine.wasmtime(), &name));
        if let Some(component) = cached {
            return Ok(component);
        }
        let component = Component::new(self.engine.wasmtime(), bytes)?;
        if let Some(cache) = self.cache {
            cache.put(&name, &component);
        }
        Ok(component)
    }

    async fn configure(
        &self,
        candidate: &Candidate<'_>,
        linker: &Linker<State>,
        component: &Component,
    ) -> Result<(wasmtime::Store<State>, wasmtime::component::Instance), Vec<Problem>> {
        let limits = candidate.manifest.limits.configuring();
        let state = State::new(candidate.name.into(), None, &limits);
        let mut store = store(self.engine, state, limits);
        store.set_hostcall_fuel(MAX_SNAPSHOT_BYTES);
        let wall = Duration::from_millis(limits.wall_ms.into());
        let instance = timeout(
            wall,
            configured(linker, component, &mut store, &candidate.configuration),
        )
        .await
        .map_err(|_| {
            candidate.problem(&wasmtime::format_err!(
                "`configure` gave no answer within {} ms",
                limits.wall_ms
            ))
        })?
        .map_err(|error| candidate.not_configured(error))?;
        Ok((store, instance))
    }

    /// One harmless call through the finished plugin: it must answer within the contract.
    async fn self_test(
        &self,
        candidate: &Candidate<'_>,
        plugin: &Plugin,
    ) -> Result<(), Vec<Problem>> {
        let Code::Policy { pre, start } = &plugin.code else {
            return Ok(());
        };
        let advice = plugin
            .ask(self.engine, pre, start, &Arc::new(probe()))
            .await;
        match advice.failure {
            None => Ok(()),
            Some(_) => {
                let detail = plugin.health.last_error().unwrap_or_default();
                Err(candidate.problem(&wasmtime::format_err!("fails on a simple call: {detail}")))
            }
        }
    }
}

/// Plugins of the previous generation whose files are gone without their manifest saying so.
fn gone(desired: &Desired, previous: Option<&Generation>) -> Vec<Problem> {
    let plugins = previous.map_or(&[][..], |generation| generation.plugins.as_slice());
    plugins
        .iter()
        .filter(|plugin| !desired.plugins.contains_key(&*plugin.name))
        .map(|plugin| Problem {
            place: format!("{}.wasm", plugin.name),
            message: "is gone; the previous generation keeps serving. To do without it, write a \
                      manifest that says `disabled: true`"
                .to_owned(),
        })
        .collect()
}

fn unchanged(candidate: &Candidate<'_>, previous: Option<&Generation>) -> Option<Arc<Plugin>> {
    previous?
        .plugins
        .iter()
        .find(|plugin| &*plugin.name == candidate.name && plugin.digests == candidate.digests)
        .cloned()
}
