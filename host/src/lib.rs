//! Portcullis, the I/O shell: listener, identity, plugins, credentials, upstream, audit log.
//!
//! Read `pipeline` first: it is one call's life from top to bottom.

pub mod pipeline;

pub mod audit;
pub mod body;
pub mod bundled;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod environment;
pub mod errand;
pub mod explain;
pub mod health;
pub mod identity;
pub mod init;
pub mod key_ring;
pub mod listener;
pub mod mint;
pub mod places;
pub mod plugin_list;
pub mod plugins;
pub mod progress;
pub mod proxy;
pub mod reply;
pub mod reserved;
pub mod serve;
pub mod sign_in;
pub mod sts;
pub mod telemetry;
pub mod terminal;
pub mod tls;
pub mod upstream;
