//! The driver: libFuzzer around the target that `PORTCULLIS_FUZZ_TARGET` names. It takes libFuzzer's
//! own arguments; `cargo xtask fuzz` gives them.
#![no_main]
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "libFuzzer calls an exported C function, and a fuzzer that cannot start panics"
)]

use std::env;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fn chosen() -> fuzz::Target {
    static CHOSEN: OnceLock<fuzz::Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = env::var("PORTCULLIS_FUZZ_TARGET").unwrap_or_default();
        fuzz::target(&name).expect("PORTCULLIS_FUZZ_TARGET names a target")
    })
}

fuzz_target!(|bytes: &[u8]| chosen()(bytes));
