//! `portcullis health`: the container's health check, by the binary itself, because the image has
//! no shell and no curl.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::config;
use crate::terminal;

/// Ask a running gateway whether it is ready.
#[derive(Args, Debug)]
pub struct HealthArgs {
    /// How long to wait for the answer, e.g. `3s`.
    #[arg(long, default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Asks the console listener of the configured gateway.
///
/// # Errors
/// When the configuration cannot be read or nothing answers.
pub fn run(path: &Path, args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(path).map_err(|problems| {
        anyhow::anyhow!(
            "{}",
            problems
                .first()
                .map(ToString::to_string)
                .unwrap_or_default()
        )
    })?;
    let mut address = config.console.address;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let uri: Uri = format!("http://{address}/readyz").parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = tokio::time::timeout(args.timeout, client.get(uri))
            .await
            .context("no answer in time")?
            .context("asking the gateway")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        terminal::line(format_args!("{}", terminal::printable(text.trim_end())));
        Ok(if status.is_success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}
