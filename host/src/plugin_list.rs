//! `portcullis plugin list`: what `serve` would load, or why it would not.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::serve;
use crate::terminal;

/// Load the configured plugins as `serve` would and list them.
#[derive(Args, Debug)]
pub struct PluginListArgs {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Lists the plugins.
///
/// # Errors
/// When the engine cannot start.
pub fn run(config: &Config, args: &PluginListArgs) -> anyhow::Result<ExitCode> {
    let plugins = match serve::load_plugins(config) {
        Ok(plugins) => plugins,
        Err(report) => {
            terminal::error(format_args!("{report}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let status = plugins.status();
    if !args.json {
        terminal::line(format_args!(
            "{:<24} {:<10} {:<10} DIGEST",
            "NAME", "VERSION", "KIND"
        ));
    }
    for plugin in &status.plugins {
        if args.json {
            terminal::line(format_args!(
                "{}",
                json!({
                    "name": plugin.name,
                    "version": plugin.version,
                    "kind": plugin.kind.as_str(),
                    "digest": plugin.digests.component.to_string(),
                    "configuration": plugin.digests.configuration.to_string(),
                })
            ));
        } else {
            terminal::line(format_args!(
                "{:<24} {:<10} {:<10} {}",
                terminal::printable(&plugin.name),
                terminal::printable(&plugin.version),
                plugin.kind.as_str(),
                plugin.digests.component,
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
