//! Turns a component into one that starts configured: run `configure` once, then put the memory
//! it left behind into the component.
//!
//! Every fresh instance then starts from that image, so isolation between calls costs no parsing.

use wasmtime::Store;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::bindings::{ConfigProblem, Policy, configure};
use super::state::State;

/// Why a component could not be configured.
#[derive(Debug)]
pub(super) enum NotConfigured {
    /// The plugin refuses its configuration.
    Problems(Vec<ConfigProblem>),
    /// It trapped or exceeded a limit.
    Failed(wasmtime::Error),
}

/// A component with the hooks that a snapshot is taken through.
pub(super) struct Instrumented<'a> {
    wizer: Wizer,
    context: wasmtime_wizer::ComponentContext<'a>,
    bytes: Vec<u8>,
}

impl<'a> Instrumented<'a> {
    /// Adds the hooks.
    ///
    /// # Errors
    /// For components whose state cannot be captured, e.g. nested ones.
    pub(super) fn new(component: &'a [u8]) -> Result<Self, wasmtime::Error> {
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        let (context, bytes) = wizer.instrument_component(component)?;
        Ok(Self {
            wizer,
            context,
            bytes,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The configured component's bytes, from an instance that was configured.
    pub(super) async fn snapshot(
        &self,
        store: &mut Store<State>,
        instance: Instance,
    ) -> Result<Vec<u8>, wasmtime::Error> {
        let mut state = Captured {
            store,
            instance,
            failure: None,
        };
        let bytes = self
            .wizer
            .snapshot_component(&self.context, &mut state)
            .await?;
        state.failure.map_or(Ok(bytes), Err)
    }
}

/// Instantiates and configures.
pub(super) async fn configured(
    linker: &wasmtime::component::Linker<State>,
    component: &Component,
    store: &mut Store<State>,
    configuration: &str,
) -> Result<Instance, NotConfigured> {
    let instance = linker
        .instantiate_async(&mut *store, component)
        .await
        .map_err(NotConfigured::Failed)?;
    let policy = Policy::new(&mut *store, &instance).map_err(NotConfigured::Failed)?;
    configure(&policy, store, configuration)
        .await
        .map_err(NotConfigured::Failed)?
        .map_err(NotConfigured::Problems)?;
    Ok(instance)
}

/// Reads an instance's memories and globals through the hooks. The reader's signatures have no
/// room for an error, so the first one is kept and fails the snapshot as a whole.
struct Captured<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
    failure: Option<wasmtime::Error>,
}

impl Captured<'_> {
    async fn call<R: Lift + Send + Sync + 'static>(
        &mut self,
        interface: &str,
        function: &str,
    ) -> Option<R> {
        match self.try_call(interface, function).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }

    async fn try_call<R: Lift + Send + Sync + 'static>(
        &mut self,
        interface: &str,
        function: &str,
    ) -> Result<R, wasmtime::Error> {
        let missing = || wasmtime::format_err!("hook `{interface}#{function}` is missing");
        let (_, interface_export) = self
            .instance
            .get_export(&mut *self.store, None, interface)
            .ok_or_else(missing)?;
        let (_, export) = self
            .instance
            .get_export(&mut *self.store, Some(&interface_export), function)
            .ok_or_else(missing)?;
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut *self.store, export)?;
        let (value,) = function.call_async(&mut *self.store, ()).await?;
        Ok(value)
    }
}

impl ComponentInstanceState for Captured<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        if let Some(list) = self.call::<WasmList<u8>>(instance, func).await {
            contents(list.as_le_slice(&*self.store));
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let value: Option<f32> = self.call(instance, func).await;
        value.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let value: Option<f64> = self.call(instance, func).await;
        value.unwrap_or_default().to_bits()
    }
}
