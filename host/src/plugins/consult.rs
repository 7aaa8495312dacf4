//! One plugin, one call: a fresh instance from the pool, its budgets, its answer, gone.
//!
//! Whatever goes wrong becomes advice to deny. Nothing of an instance survives its call.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::access::{Advice, Failure};
use tokio::time::timeout;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use super::bindings::{PolicyPre, configure, decide};
use super::engine::{Engine, Running};
use super::generation::{Plugin, Start};
use super::manifest::Limits;
use super::question::Question;
use super::state::{Exceeded, State};

/// How long a call waits for an instance slot.
const SLOT_WAIT: Duration = Duration::from_millis(50);
/// Bytes the guest may hand to the host in one call across the boundary.
const MAX_LIFTED_BYTES: usize = 1 << 20;
const MAX_HANDLES: usize = 256;

/// A failure with what the operator should read of it.
struct Failed {
    failure: Failure,
    detail: String,
}

impl Plugin {
    /// This plugin's advice on one call.
    pub(super) async fn ask(
        &self,
        engine: &Engine,
        pre: &PolicyPre<State>,
        start: &Start,
        question: &Arc<Question>,
    ) -> Advice {
        match self.answer(engine, pre, start, question).await {
            Ok(advice) => {
                self.health.count(None);
                advice
            }
            Err(Failed { failure, detail }) => {
                tracing::warn!(
                    plugin = &*self.name,
                    request_id = question.request_id,
                    failure = failure.as_str(),
                    detail,
                    "plugin could not decide"
                );
                self.health.count(Some((failure, &detail)));
                Advice::failed(&self.name, failure)
            }
        }
    }

    async fn answer(
        &self,
        engine: &Engine,
        pre: &PolicyPre<State>,
        start: &Start,
        question: &Arc<Question>,
    ) -> Result<Advice, Failed> {
        let overloaded = || Failed {
            failure: Failure::Overloaded,
            detail: "all instance slots are taken".to_owned(),
        };
        let permits = engine.permits();
        let _permit = match permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => timeout(SLOT_WAIT, permits.acquire())
                .await
                .map_err(|_| overloaded())?
                .map_err(|_| overloaded())?,
        };
        let wall = Duration::from_millis(self.limits.wall_ms.into());
        timeout(wall, self.run(engine, pre, start, question))
            .await
            .unwrap_or_else(|_| {
                Err(Failed {
                    failure: Failure::Deadline,
                    detail: format!("no answer within {} ms", self.limits.wall_ms),
                })
            })
    }

    async fn run(
        &self,
        engine: &Engine,
        pre: &PolicyPre<State>,
        start: &Start,
        question: &Arc<Question>,
    ) -> Result<Advice, Failed> {
        let state = State::new(
            Arc::clone(&self.name),
            Some(Arc::clone(question)),
            &self.limits,
        );
        let mut store = store(engine, state, self.limits);
        let policy = pre
            .instantiate_async(&mut store)
            .await
            .map_err(|error| failed(&error, Failure::Instantiation))?;
        if let Start::Configure(configuration) = start {
            configure(&policy, &mut store, configuration)
                .await
                .map_err(|error| failed(&error, Failure::Instantiation))?
                .map_err(|_| Failed {
                    failure: Failure::Instantiation,
                    detail: "it no longer accepts its configuration".to_owned(),
                })?;
        }
        decide(&policy, &mut store, question)
            .await
            // What is neither a trap nor a limit is an answer that could not be read.
            .map_err(|error| failed(&error, Failure::BadVerdict))?
            .map_err(|failure| Failed {
                failure,
                detail: "the verdict is outside the contract's bounds".to_owned(),
            })
    }
}

/// A store with every budget armed. While its guest runs, each tick of the engine's clock gives
/// other tasks a turn; when the ticks are used up, the guest is stopped.
pub(super) fn store(engine: &Engine, state: State, limits: Limits) -> Store<State> {
    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| state);
    store.set_hostcall_fuel(MAX_LIFTED_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    let mut ticks = limits.cpu_ms;
    let running = engine.running();
    store.epoch_deadline_callback(move |_| {
        // Owned by the store, so the clock goes for as long as anything can run in it.
        let _: &Running = &running;
        ticks = ticks.saturating_sub(1);
        Ok(if ticks == 0 {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
        })
    });
    store
}

fn failed(error: &wasmtime::Error, otherwise: Failure) -> Failed {
    let failure = if error.is::<Exceeded>() {
        Failure::Limit
    } else if error.is::<PoolConcurrencyLimitError>() {
        Failure::Overloaded
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Failure::Deadline,
            Some(_) => Failure::Trap,
            None => otherwise,
        }
    };
    Failed {
        failure,
        detail: format!("{error:#}"),
    }
}
