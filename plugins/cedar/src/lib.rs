//! The policy plugin that evaluates Cedar policies: configured once with the operator's files,
//! then asked about one call at a time.
//!
//! What the policies may say is in `policies.rs`, what they see in `vocabulary.rs`, how their
//! answers combine in `verdict.rs`. Nothing here reads a clock or randomness, so a recorded
//! decision re-decides to the same answer.

mod component;
pub mod policies;
pub mod verdict;
pub mod vocabulary;
