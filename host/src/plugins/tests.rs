//! The engine with real components: the built Cedar plugin, and small hostile ones written here.

use super::*;

mod hostile;
mod policies;
mod reload;
mod support;
