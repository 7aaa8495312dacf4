//! The one Wasm engine: its settings, its clock for processor budgets, its instance slots.
//!
//! Every setting errs towards the sandbox: no WASI, no threads, no async component features, and
//! a pool that cannot be outgrown. It never sees a call.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{
    CacheStore, Config, Enabled, Engine as Wasmtime, EngineWeak, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};

/// One tick of the processor budgets.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Instances in flight over all plugins.
const SLOTS: u32 = 256;
/// The most linear memory any instance can have, whatever its manifest says.
pub(super) const MAX_MEMORY: usize = 128 << 20;

/// How long the clock goes on without an instance, so that a busy gateway never has to wake it.
const IDLE_TICKS: u32 = 100;
/// How often a stopped clock looks whether its engine is gone.
const STOPPED: Duration = Duration::from_secs(30);

/// A configured engine with its clock.
#[derive(Clone)]
pub(super) struct Engine {
    wasmtime: Wasmtime,
    permits: Arc<Semaphore>,
    clock: Arc<Clock>,
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
        Ok(Self {
            clock: Clock::start(&wasmtime)?,
            wasmtime,
            permits: Arc::new(Semaphore::new(SLOTS as usize)),
        })
    }

    pub(super) fn wasmtime(&self) -> &Wasmtime {
        &self.wasmtime
    }

    /// Keeps the clock going for one instance.
    pub(super) fn running(&self) -> Running {
        Running::new(Arc::clone(&self.clock))
    }

    /// Whether the clock has stopped.
    #[cfg(test)]
    pub(super) fn is_quiet(&self) -> bool {
        self.clock.stopped.load(Ordering::SeqCst)
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

/// Advances the engine's epoch while instances run; a thousand wake-ups a second would keep an
/// idle machine busy.
#[derive(Debug, Default)]
struct Clock {
    instances: AtomicUsize,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Clock {
    fn start(engine: &Wasmtime) -> Result<Arc<Self>, wasmtime::Error> {
        let (weak, clock) = (engine.weak(), Arc::new(Self::default()));
        let ticking = Arc::clone(&clock);
        let thread = thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || ticking.tick(&weak))?;
        clock.thread.get_or_init(|| thread.thread().clone());
        Ok(clock)
    }

    /// Runs for as long as the engine lives.
    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            idle = if self.instances.load(Ordering::SeqCst) == 0 {
                idle + 1
            } else {
                0
            };
            if idle < IDLE_TICKS {
                thread::sleep(TICK);
            } else {
                self.stop();
            }
        }
    }

    /// An instance that begins meanwhile sees the mark, or is seen here; both wake the thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if self.instances.load(Ordering::SeqCst) == 0 {
            thread::park_timeout(STOPPED);
        }
        self.stopped.store(false, Ordering::SeqCst);
    }
}

/// An instance that may be running, and for which the clock goes.
#[derive(Debug)]
pub(super) struct Running(Arc<Clock>);

impl Running {
    fn new(clock: Arc<Clock>) -> Self {
        clock.instances.fetch_add(1, Ordering::SeqCst);
        if clock.stopped.load(Ordering::SeqCst)
            && let Some(thread) = clock.thread.get()
        {
            thread.unpark();
        }
        Self(clock)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::SeqCst);
    }
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
