//! `portcullis env` and `portcullis run`: the variables that point an unmodified AWS client at this
//! gateway, printed, or set for one command alone.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::config::{Config, Connection, Role, Tls};
use crate::terminal;
use crate::tls::CA_FILE;

/// Variables that would make a client bypass the gateway or prefer another credential.
const RIVALS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Print the variables that point an AWS client at this gateway.
#[derive(Args, Debug)]
pub struct EnvArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// How to write the variables.
    #[arg(long, value_enum, default_value_t = Shell::Posix)]
    shell: Shell,
}

/// Run one command with the variables that point an AWS client at this gateway.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Who the client is to be, and how it gets here.
#[derive(Args, Debug)]
struct AgentArgs {
    /// The role to ask for; may be left out if there is only one.
    #[arg(long)]
    role: Option<String>,
    /// The connection, where several have a role of that name.
    #[arg(long)]
    connection: Option<String>,
    /// File with the agent's OIDC token.
    #[arg(long, value_name = "FILE", default_value = "token.jwt")]
    token_file: PathBuf,
    /// The gateway's URL, if agents reach it by another one than the configured address.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Use `listen.proxy` and no endpoint: for tools that have no setting for one. All https
    /// traffic of such a tool then goes to the gateway, which refuses hosts that are not AWS's.
    #[arg(long, conflicts_with = "endpoint")]
    proxy: bool,
}

/// How variables are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// `set -gx NAME value`.
    Fish,
    /// One JSON object.
    Json,
    /// `export NAME=value`.
    Posix,
    /// `$env:NAME = 'value'`.
    Powershell,
}

/// Prints the variables to standard output and what to watch out for to standard error.
///
/// # Errors
/// When the role is not configured or not unique.
pub fn print(config: &Config, args: &EnvArgs) -> anyhow::Result<()> {
    let variables = chosen(config, &args.agent)?;
    match args.shell {
        Shell::Json => {
            let object: Map<String, Value> = variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::String(value)))
                .collect();
            terminal::line(format_args!("{:#}", Value::Object(object)));
        }
        Shell::Fish | Shell::Posix | Shell::Powershell => {
            for name in rivals(&args.agent) {
                terminal::line(format_args!("{}", unset(args.shell, name)));
            }
            for (name, value) in variables {
                terminal::line(format_args!("{}", set(args.shell, name, &value)));
            }
        }
    }
    if args.agent.proxy {
        terminal::error(format_args!(
            "# All https traffic of this shell now goes to the gateway, which passes no host on but those in listen.proxy.tunnel; `portcullis run --proxy` does it for one command."
        ));
        terminal::error(format_args!(
            "# The JavaScript SDK ignores HTTPS_PROXY: use AWS_ENDPOINT_URL for it."
        ));
        return Ok(());
    }
    terminal::error(format_args!(
        "# AWS CLI v1 ignores AWS_ENDPOINT_URL for sqs, rds, docdb, neptune and health: give those --endpoint-url \"$AWS_ENDPOINT_URL\"."
    ));
    terminal::error(format_args!(
        "# The JavaScript SDK's SQSClient needs {{ useQueueUrlAsEndpoint: false }}, or it goes to the queue's own URL."
    ));
    terminal::error(format_args!(
        "# AWS_ENDPOINT_URL_<SERVICE> variables and endpoint_url settings override AWS_ENDPOINT_URL: unset them."
    ));
    Ok(())
}

/// Becomes the command, with the variables set; only returns if it cannot.
///
/// # Errors
/// As [`print()`], and when the command cannot be started.
pub fn run(config: &Config, args: &RunArgs) -> anyhow::Result<()> {
    let variables = chosen(config, &args.agent)?;
    let (program, rest) = args.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(rest);
    for name in rivals(&args.agent) {
        command.env_remove(name);
    }
    let error = command.envs(variables).exec();
    Err(error).with_context(|| format!("starting `{}`", program.display()))
}

/// What must not be set beside the variables.
fn rivals(args: &AgentArgs) -> impl Iterator<Item = &'static str> {
    let endpoint = args.proxy.then_some("AWS_ENDPOINT_URL");
    RIVALS.into_iter().chain(endpoint)
}

fn chosen(config: &Config, args: &AgentArgs) -> anyhow::Result<Vec<(&'static str, String)>> {
    let (connection, role) = find(config, args)?;
    let endpoint = args.endpoint.as_deref();
    let variables = variables(config, connection, role, &args.token_file, endpoint)?;
    if args.proxy {
        return through_proxy(config, variables);
    }
    Ok(variables)
}

/// The same client by way of the proxy.
fn through_proxy(
    config: &Config,
    mut variables: Vec<(&'static str, String)>,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let Some(proxy) = &config.proxy else {
        bail!("the configuration has no `listen.proxy`");
    };
    let endpoint = ["AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
    variables.retain(|(name, _)| !endpoint.contains(name));
    let ca = match &proxy.ca {
        Some(files) => absolute(&files.cert)?,
        None => absolute(&config.state_dir.join(CA_FILE))?,
    };
    let url = match proxy.address.ip().is_unspecified() {
        true => format!("http://localhost:{}", proxy.address.port()),
        false => format!("http://{}", proxy.address),
    };
    variables.insert(0, ("HTTPS_PROXY", url));
    variables.push(("AWS_CA_BUNDLE", ca.clone()));
    variables.push(("NODE_EXTRA_CA_CERTS", ca));
    Ok(variables)
}

/// The variables by name, in the order people read them.
///
/// # Errors
/// When a path cannot be made absolute.
pub fn variables(
    config: &Config,
    connection: &Connection,
    role: &Role,
    token_file: &Path,
    endpoint: Option<&str>,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let region = connection
        .regions
        .as_ref()
        .and_then(|regions| regions.first())
        .map_or("us-east-1", String::as_str);
    let arn = format!(
        "arn:{}:iam::{}:role/{}",
        connection.partition, connection.account, role.name
    );
    let mut variables = vec![
        (
            "AWS_ENDPOINT_URL",
            endpoint.map_or_else(|| url(config), str::to_owned),
        ),
        ("AWS_ROLE_ARN", arn),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", absolute(token_file)?),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_REGION", region.to_owned()),
    ];
    if config.listen.tls == Tls::OwnCa {
        let ca = absolute(&config.state_dir.join("ca.pem"))?;
        variables.push(("AWS_CA_BUNDLE", ca.clone()));
        variables.push(("NODE_EXTRA_CA_CERTS", ca));
    }
    Ok(variables)
}

fn find<'c>(config: &'c Config, args: &AgentArgs) -> anyhow::Result<(&'c Connection, &'c Role)> {
    let wanted = |connection: &&Connection| {
        args.connection
            .as_ref()
            .is_none_or(|name| *name == connection.name)
    };
    let found: Vec<(&Connection, &Role)> = config
        .connections
        .iter()
        .filter(wanted)
        .flat_map(|connection| connection.roles.iter().map(move |role| (connection, role)))
        .filter(|(_, role)| args.role.as_ref().is_none_or(|name| *name == role.name))
        .collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => bail!("no such role; `connections[].roles` in the configuration lists them"),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(connection, role)| {
                    format!("--connection {} --role {}", connection.name, role.name)
                })
                .collect();
            bail!("say which role:\n  {}", names.join("\n  "))
        }
    }
}

fn url(config: &Config) -> String {
    let scheme = if config.listen.tls == Tls::Off {
        "http"
    } else {
        "https"
    };
    let address = config.listen.address;
    match &config.listen.hostname {
        Some(name) => format!("{scheme}://{name}:{}", address.port()),
        None if address.ip().is_unspecified() => {
            format!("{scheme}://localhost:{}", address.port())
        }
        None => format!("{scheme}://{address}"),
    }
}

fn absolute(path: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(path).with_context(|| format!("`{}`", path.display()))?;
    Ok(path.display().to_string())
}

fn unset(shell: Shell, name: &str) -> String {
    match shell {
        Shell::Fish => format!("set -e {name}"),
        Shell::Json => String::new(),
        Shell::Posix => format!("unset {name}"),
        Shell::Powershell => format!("Remove-Item Env:{name} -ErrorAction Ignore"),
    }
}

fn set(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Fish => format!("set -gx {name} '{}'", value.replace('\'', "\\'")),
        Shell::Json => String::new(),
        Shell::Posix => format!("export {name}='{}'", value.replace('\'', r"'\''")),
        Shell::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
    }
}
