//! What an agent's bytes must never do, as functions of bytes: each target panics when an oracle
//! that shares no code with the gateway reads its input differently, or when reading costs more
//! than a bound.
//!
//! `cargo xtask fuzz` lets libFuzzer choose the bytes; `tests/findings.rs` replays the ones that
//! once showed a defect.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a target reports, and nothing here is shipped"
)]

mod answers;
mod calls;
mod chunked;
mod edit;
mod events;
mod framing;
mod oracle;
mod presigned;
mod request;
mod signature;
mod signed_chunks;
mod signed_events;

/// The gateway's own file: its crate would bring the Wasm compiler into an instrumented build.
#[path = "../../../host/src/listener/framing.rs"]
mod listener_framing;

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

/// Counts what is allocated, for the bound below.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Larger inputs are not tried.
pub const MAX_INPUT: usize = 64 * 1024;
/// Bytes that one byte of input may cost: what it costs a client to send, a hundredfold.
const GROWTH: usize = 100;
/// What even an empty input may cost.
const BASE: usize = 512 * 1024;
/// Far more than 64 KiB may take, even unoptimised and instrumented on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that is done with an input.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Target); 14] = [
    ("answers", answers::check),
    ("cbor", calls::cbor),
    ("chunked", chunked::check),
    ("ec2", calls::ec2),
    ("events", events::check),
    ("framing", framing::check),
    ("json", calls::json),
    ("presigned", presigned::check),
    ("query", calls::query),
    ("rest-json", calls::rest_json),
    ("rest-xml", calls::rest_xml),
    ("signature", signature::check),
    ("signed-chunks", signed_chunks::check),
    ("signed-events", signed_events::check),
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target)
}

/// What a signed request is read as, `<service>:<operation>`, if it is accepted: shows that inputs get
/// as far as the oracles.
#[must_use]
pub fn label(bytes: &[u8]) -> Option<String> {
    calls::label(bytes)
}

/// Runs `work` and fails if it costs too much for an input of this many bytes. What is only built
/// once (a service's model) is forgiven: the second run counts.
fn bounded<T>(length: usize, mut work: impl FnMut() -> T) -> T {
    let (value, cost) = measured(&mut work);
    if cost.within(length) {
        return value;
    }
    let (value, cost) = measured(&mut work);
    assert!(
        cost.within(length),
        "{} bytes of input cost {} bytes of memory and {:?}",
        length,
        cost.bytes,
        cost.time
    );
    value
}

struct Cost {
    bytes: usize,
    time: Duration,
}

impl Cost {
    fn within(&self, length: usize) -> bool {
        self.bytes <= BASE + GROWTH * length && self.time <= PATIENCE
    }
}

fn measured<T>(work: &mut impl FnMut() -> T) -> (T, Cost) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let start = Instant::now();
    let value = work();
    let cost = Cost {
        bytes: MEMORY.peak_usage().saturating_sub(before),
        time: start.elapsed(),
    };
    (value, cost)
}
