//! The engine with real components: the built Cedar plugin, and small hostile ones written here.

use super::*;

mod escape_hatches;
mod hostile;
mod policies;
mod reload;
mod support;
