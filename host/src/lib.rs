//! Portcullis, the I/O shell: listener, identity, plugins, credentials, upstream, audit log.
//!
//! Read `pipeline` first: it is one call's life from top to bottom.

pub mod config;
