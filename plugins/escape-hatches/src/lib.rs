//! The policy plugin that closes side doors: calls that hand out a credential, run code under
//! another role, or open the account to outsiders, whatever permits them.
//!
//! Which calls those are is data (`hatches.rs`); what the operator makes of them is in
//! `settings.rs`, how one call is judged in `judge.rs`. It never allows anything: it denies, asks
//! for approval or abstains.

mod component;
pub mod document;
pub mod hatches;
pub mod judge;
pub mod outsiders;
pub mod settings;
