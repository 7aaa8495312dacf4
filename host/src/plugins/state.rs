//! What one instance may still use up. An instance that exceeds a limit is stopped with
//! [`Exceeded`], which tells it apart from one that crashed.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::manifest::Limits;
use super::question::Question;

const MAX_HOST_CALLS: u32 = 10_000;
const MAX_BYTES_OUT: usize = 16 << 20;
const MAX_LOG_LINES: u32 = 50;
const MAX_LOG_BYTES: usize = 16 << 10;
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// The state of one instance: the call it looks at and its budgets.
#[derive(Debug)]
pub(super) struct State {
    plugin: Arc<str>,
    question: Option<Arc<Question>>,
    memory: usize,
    host_calls: u32,
    bytes_out: usize,
    log_lines: u32,
    log_bytes: usize,
}

/// A plugin asked for more than its limit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("exceeded its limit of {0}")]
pub(super) struct Exceeded(pub(super) &'static str);

impl State {
    /// `question` is absent while the plugin is configured.
    pub(super) fn new(plugin: Arc<str>, question: Option<Arc<Question>>, limits: &Limits) -> Self {
        Self {
            plugin,
            question,
            memory: limits.memory_bytes(),
            host_calls: MAX_HOST_CALLS,
            bytes_out: MAX_BYTES_OUT,
            log_lines: MAX_LOG_LINES,
            log_bytes: MAX_LOG_BYTES,
        }
    }

    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The call this instance serves, counting one host call.
    ///
    /// # Errors
    /// [`Exceeded`], also while the plugin is configured: there is no call to ask about then.
    pub(super) fn question(&mut self) -> Result<&Arc<Question>, Exceeded> {
        self.count_host_call()?;
        self.question
            .as_ref()
            .ok_or(Exceeded("what `configure` may use: there is no call yet"))
    }

    pub(super) fn count_host_call(&mut self) -> Result<(), Exceeded> {
        self.host_calls = self
            .host_calls
            .checked_sub(1)
            .ok_or(Exceeded("host calls"))?;
        Ok(())
    }

    /// Counts bytes handed to the guest.
    pub(super) fn hand_out(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.bytes_out = self
            .bytes_out
            .checked_sub(bytes)
            .ok_or(Exceeded("bytes read from the host"))?;
        Ok(())
    }

    /// Whether another log line of that size is kept.
    pub(super) fn keep_log(&mut self, bytes: usize) -> bool {
        let (Some(lines), Some(bytes)) = (
            self.log_lines.checked_sub(1),
            self.log_bytes.checked_sub(bytes),
        ) else {
            return false;
        };
        self.log_lines = lines;
        self.log_bytes = bytes;
        true
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        if desired > self.memory {
            return Err(wasmtime::Error::new(Exceeded("memory")));
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        if desired > MAX_TABLE_ELEMENTS {
            return Err(wasmtime::Error::new(Exceeded("table elements")));
        }
        Ok(true)
    }
}
