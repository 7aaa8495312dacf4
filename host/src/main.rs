//! The `portcullis` binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

// A call makes some hundred small allocations on several threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::run(portcullis::cli::Cli::parse())
}
