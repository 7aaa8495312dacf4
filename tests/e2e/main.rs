//! End-to-end tests: real clients, a real OIDC provider and a real AWS stand-in around the real
//! binary, over TLS on loopback.
//!
//! `fixture` sets the stage; every other module is one promise of the gateway. Run
//! `cargo xtask setup` first, and build the binary and the plugins.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and real time is what these tests run in"
)]

mod fixture;

mod audit;
mod chaining;
mod clients;
mod denied;
mod events;
mod expect;
mod express;
mod framing;
mod hostile;
mod hosts;
mod http2;
mod lifecycle;
mod matrix;
mod mint;
mod multi_region;
mod presigned;
mod proxy;
mod reload;
mod s3s;
mod secrets;
mod sessions;
mod signing;
mod sigv4;
mod standins;
mod tidy;
mod tokens;
mod uploads;
