//! The pure part of Portcullis: everything that can be decided from values alone.
//!
//! Nothing here reads a clock, the environment, a file or a socket, and nothing here is async:
//! time, keys, randomness and bytes arrive as arguments. CI proves it by checking this crate for
//! `wasm32-unknown-unknown`. A call's proof is carried by types with private constructors:
//! [`sigv4::SignedRequest`] → [`sigv4::VerifiedRequest`] → [`call::Call`] → [`access::Permit`].
//!
//! Start reading at [`access::decide`].
#![forbid(unsafe_code)]
#![deny(clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod answer;
pub mod aws_chunked;
pub mod aws_host;
pub mod call;
pub mod catalog;
pub mod checksum;
mod codec;
pub mod destination;
pub mod directory_bucket;
pub mod event_stream;
pub mod head;
pub mod interpret;
pub mod mint;
pub mod public_address;
pub mod reach;
pub mod record;
pub mod redact;
pub mod refusal;
pub mod s3_name;
pub mod sigv4;
pub mod sts;
pub mod token;
