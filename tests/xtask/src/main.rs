//! The developers' entry: `cargo xtask <command>` runs what is too long for an alias. It is never
//! part of what is shipped, and nothing in the product calls it.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developers' tool talks to its terminal and measures in real time"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use gateway::Profile;

mod bench;
mod catalog;
mod fuzz;
mod gateway;
mod plugins;
mod setup;

fn main() -> anyhow::Result<()> {
    let root = root();
    match Arguments::parse().command {
        Command::Bench { part } => bench::run(&root, part),
        Command::Build { release: true } => gateway::build(&root, Profile::Release),
        Command::Build { release: false } => gateway::build(&root, Profile::Dev),
        Command::Catalog(arguments) => catalog::run(&arguments),
        Command::Demo { arguments } => gateway::demo(&root, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&root, &arguments),
        Command::Setup => setup::run(&root),
        Command::Test { filter } => gateway::test(&root, filter.as_deref()),
    }
}

#[derive(Debug, Parser)]
#[command(about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the gateway beside Envoy and nginx.
    Bench {
        /// One part; all if absent.
        part: Option<bench::Part>,
    },
    /// Build the plugins, and then the gateway that embeds them.
    Build {
        /// Optimised.
        #[arg(long)]
        release: bool,
    },
    /// Regenerate the catalog of AWS services, or check that it is up to date.
    Catalog(catalog::Arguments),
    /// Build everything and run `portcullis demo`.
    Demo {
        /// Arguments of `portcullis demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Feed what agents send to the parsers, guided by coverage.
    Fuzz(fuzz::Arguments),
    /// Install what plugins and tests need.
    Setup,
    /// Set up, build, and run every test.
    Test {
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
}

/// The repository, two levels above this crate.
fn root() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).unwrap_or(crate_dir).to_owned()
}
