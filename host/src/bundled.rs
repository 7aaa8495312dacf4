//! The plugins this binary carries, so that it works without anything beside it.
//!
//! They are files like any other once written out; nothing here loads or trusts them.

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// One plugin as it was built.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The file name without its extension.
    pub name: &'static str,
    /// The `.wasm` file.
    pub component: &'static [u8],
    /// The `.yaml` file.
    pub manifest: &'static str,
}

/// All bundled plugins; empty if none were built before this binary was.
pub fn plugins() -> &'static [Bundled] {
    BUNDLED
}

/// The sample policies and their schema: file name and text.
pub fn policies() -> &'static [(&'static str, &'static str)] {
    POLICIES
}
