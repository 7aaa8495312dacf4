//! `portcullis demo`: a whole gateway with a built-in identity provider and a built-in AWS
//! stand-in, so that allowed and denied calls can be seen with the user's own `aws` at once.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use crate::clock;
use crate::config::{self, Config};
use crate::environment;
use crate::init;
use crate::serve;
use crate::terminal;

mod aws;
mod issuer;
mod loopback;

use aws::{Aws, BaseKey};
use issuer::Issuer;

/// Run a gateway with a built-in identity provider and a built-in AWS stand-in.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where the demo's files go; made anew at every start.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where agents connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Where metrics are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8444")]
    console: SocketAddr,
    /// An AWS emulator on loopback instead of the built-in stand-in, e.g. moto's
    /// `http://127.0.0.1:5000`.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// Runs the demo until it is interrupted.
///
/// # Errors
/// When a port is taken or a file cannot be written.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let metrics = serve::start_telemetry()?;
    serve::runtime()?.block_on(async {
        let issuer = Issuer::start().await?;
        let (upstream, base) = match &args.upstream {
            Some(url) => (url.clone(), emulator_key()),
            None => {
                let (aws, base) = Aws::start().await?;
                (aws.url(), base)
            }
        };
        let dir = args
            .dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("portcullis-demo"));
        let config = prepare(&dir, args, &issuer, &upstream, &base)?;
        let gateway = serve::Running::start(config.clone(), metrics).await?;
        print(&config, &dir)?;
        gateway.until_stopped().await
    })
}

/// moto and its like take any key unless told otherwise.
fn emulator_key() -> BaseKey {
    BaseKey {
        access_key_id: "testing".to_owned(),
        secret_access_key: "testing".to_owned(),
    }
}

/// Writes everything a user of `serve` would have, and reads it back the same way.
fn prepare(
    dir: &Path,
    args: &DemoArgs,
    issuer: &Issuer,
    upstream: &str,
    base: &BaseKey,
) -> anyhow::Result<Config> {
    for part in ["plugins", "policies"] {
        match fs::remove_dir_all(dir.join(part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(format!("clearing `{}`", dir.join(part).display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    fs::create_dir_all(dir).with_context(|| format!("making `{}`", dir.display()))?;
    init::write_plugins(&dir.join("plugins"))?;
    init::write_policies(&dir.join("policies"))?;
    let token = issuer.token("demo-agent", &["agents"], clock::now())?;
    fs::write(dir.join("token.jwt"), token).context("writing the demo's token")?;
    fs::write(
        dir.join("aws-credentials"),
        format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            base.access_key_id, base.secret_access_key
        ),
    )?;
    let path = dir.join("portcullis.yaml");
    fs::write(&path, configuration(args, issuer.url(), upstream))?;
    config::load(&path).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", list.join("\n"))
    })
}

fn configuration(args: &DemoArgs, issuer: &str, upstream: &str) -> String {
    let account = aws::ACCOUNT;
    format!(
        "listen: {{ address: '{}' }}
console: {{ address: '{}' }}
oidc:
  - issuer: {issuer}
    audience: [portcullis]
connections:
  - name: demo
    account: \"{account}\"
    credentials: {{ static_file: aws-credentials }}
    endpoint: {upstream}
    roles:
      - name: agent
        assume: arn:aws:iam::{account}:role/DemoAgent
        groups: [agents]
",
        args.listen, args.console
    )
}

fn print(config: &Config, dir: &Path) -> anyhow::Result<()> {
    let connection = config
        .connections
        .first()
        .context("the demo's connection")?;
    let role = connection.roles.first().context("the demo's role")?;
    let variables = environment::variables(config, connection, role, &dir.join("token.jwt"), None)?;
    let line = |text: &str| terminal::line(format_args!("{text}"));
    line("");
    line("Portcullis is running. In another terminal, paste:");
    line("");
    line("  unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN");
    for (name, value) in variables {
        line(&format!("  export {name}='{value}'"));
    }
    line("");
    line("then try:");
    line("");
    for (command, what) in [
        (
            "aws sts get-caller-identity",
            "who the gateway says you are",
        ),
        ("aws dynamodb list-tables", "allowed: agents may read"),
        (
            "aws s3 cp s3://demo-reports/2026/orders.csv -",
            "allowed: agents may read",
        ),
        ("aws ec2 describe-instances", "allowed: agents may read"),
        (
            "aws iam create-user --user-name eve",
            "denied: no new identities",
        ),
        (
            "aws dynamodb delete-table --table-name prod-orders",
            "denied: needs a person",
        ),
    ] {
        line(&format!("  {command:<52} # {what}"));
    }
    line("");
    line(&format!(
        "Policies: {} (edit them: they are live)",
        config.policies_dir.display()
    ));
    line(&format!(
        "Audit:    portcullis audit list --config {}",
        dir.join("portcullis.yaml").display()
    ));
    line("Stop with Ctrl-C.");
    line("");
    Ok(())
}
