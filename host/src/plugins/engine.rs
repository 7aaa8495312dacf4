//! The one Wasm engine: its settings, its clock for processor budgets, its instance slots.
//!
//! Every setting errs towards the sandbox: no WASI, no threads, no async component features, and
//! a pool that cannot be outgrown. It never sees a call.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{
    CacheStore, Config, Enabled, Engine as Wasmtime, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// One tick of the processor budgets.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Instances in flight over all plugins.
const SLOTS: u32 = 256;
/// The most linear memory any instance can have, whatever its manifest says.
pub(super) const MAX_MEMORY: usize = 128 << 20;

/// A configured engine with a running ticker.
#[derive(Clone)]
pub(super) struct Engine {
    wasmtime: Wasmtime,
    permits: Arc<Semaphore>,
}

impl Engine {
    /// Builds the engine, stepping down where the machine lacks a feature.
    ///
    /// # Errors
    /// The last step's error, if none works.
    pub(super) fn new() -> Result<Self, wasmtime::Error> {
        let functions = Arc::new(CompiledFunctions::default());
        let wasmtime = Wasmtime::new(&config(&functions, Some(pool(Enabled::Yes, 2 << 20)))?)
            .or_else(|error| {
                // Without PAGEMAP_SCAN (Linux 6.7), resetting a slot costs a memset of what it keeps.
                tracing::info!(%error, "the kernel cannot scan page maps; plugin instances cost more");
                Wasmtime::new(&config(&functions, Some(pool(Enabled::No, 64 << 10)))?)
            })
            .or_else(|error| {
                tracing::warn!(%error, "no address space for an instance pool; plugin calls are slower");
                Wasmtime::new(&config(&functions, None)?)
            })?;
        start_ticker(&wasmtime)?;
        Ok(Self {
            wasmtime,
            permits: Arc::new(Semaphore::new(SLOTS as usize)),
        })
    }

    pub(super) fn wasmtime(&self) -> &Wasmtime {
        &self.wasmtime
    }

    /// One permit per instance in flight, because the pool has no queue of its own.
    pub(super) fn permits(&self) -> &Semaphore {
        &self.permits
    }
}

fn config(
    functions: &Arc<CompiledFunctions>,
    pool: Option<PoolingAllocationConfig>,
) -> Result<Config, wasmtime::Error> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(64 << 20) // snapshots are larger than the default
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .wasm_relaxed_simd(false) // the same decision on every machine
        .enable_incremental_compilation(Arc::clone(functions) as Arc<dyn CacheStore>)?;
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    Ok(config)
}

fn pool(pagemap_scan: Enabled, keep_resident: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_stacks(SLOTS)
        .total_core_instances(SLOTS * 24)
        .total_memories(SLOTS * 2)
        .total_tables(SLOTS * 16)
        .max_core_instances_per_component(24)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(100_000)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(16 << 20)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(64 << 10)
        .pagemap_scan(pagemap_scan);
    pool
}

/// Advances the epoch for as long as the engine lives.
fn start_ticker(engine: &Wasmtime) -> Result<(), wasmtime::Error> {
    let weak = engine.weak();
    thread::Builder::new()
        .name("plugin-ticker".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(wasmtime::Error::from)
}

/// Machine code by function, so that the same plugin with other policies compiles in a fraction
/// of the time: a snapshot changes its data, not its code.
#[derive(Default)]
struct CompiledFunctions(Mutex<HashMap<Vec<u8>, Arc<[u8]>>>);

impl CacheStore for CompiledFunctions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.get(key).map(|code| Cow::Owned(code.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.insert(key.to_vec(), value.into());
        true
    }
}

impl std::fmt::Debug for CompiledFunctions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CompiledFunctions")
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}
