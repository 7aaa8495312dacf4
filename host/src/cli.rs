//! The command line: what there is to say to `portcullis`, and who answers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::audit::list::{self, Colours, ListArgs, Output};
use crate::audit::read::Problems;
use crate::audit::show::{self, ShowArgs};
use crate::clock;
use crate::config::{self, Config};
use crate::demo::{self, DemoArgs};
use crate::environment::{self, EnvArgs, RunArgs};
use crate::explain::{self, ExplainArgs};
use crate::health::{self, HealthArgs};
use crate::init::{self, InitArgs};
use crate::mint::{self, MintArgs};
use crate::plugin_list::{self, PluginListArgs};
use crate::serve;
use crate::terminal;

/// The configuration has problems (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// A gateway that lets AI coding agents work on AWS without ever holding an AWS credential.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage; 78 the configuration has problems."
)]
pub struct Cli {
    #[command(flatten)]
    location: Location,
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration is.
#[derive(Args, Debug)]
struct Location {
    /// Configuration file. Default: ./portcullis.yaml, else $PORTCULLIS_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve,
    /// Check the configuration, plugins and policies, and report every problem at once.
    Check,
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Run a gateway with a built-in identity provider and a built-in AWS stand-in.
    Demo(DemoArgs),
    /// Write a commented configuration, the bundled plugins and sample policies.
    Init(InitArgs),
    /// Print the variables that point an AWS client at this gateway.
    Env(EnvArgs),
    /// Ask a gateway for a presigned URL, an EKS or RDS token or an ECR password.
    Mint(MintArgs),
    /// Run one command as an agent of this gateway; it becomes that command.
    Run(RunArgs),
    /// Read the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Ask a running gateway whether it is ready; for container health checks.
    Health(HealthArgs),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List calls, newest last.
    List(ListArgs),
    /// Show everything recorded of one call.
    Show(ShowArgs),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Load the configured plugins as `serve` would and list them.
    List(PluginListArgs),
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Say which rule would decide a call, without making it.
    Explain(ExplainArgs),
}

/// Runs the command line.
pub fn run(cli: Cli) -> ExitCode {
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            terminal::error(format_args!("portcullis: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let path = config::locate(cli.location.config.as_deref());
    match cli.command {
        Command::Schema => {
            terminal::line(format_args!("{:#}", config::schema()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Init(args) => init::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Mint(args) => mint::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Health(args) => health::run(&path, &args),
        Command::Serve => with_config(&path, |config| {
            serve::run(config).map(|()| ExitCode::SUCCESS)
        }),
        Command::Check => with_config(&path, |config| check(&path, &config)),
        Command::Env(args) => with_config(&path, |config| {
            environment::print(&config, &args).map(|()| ExitCode::SUCCESS)
        }),
        Command::Run(args) => with_config(&path, |config| {
            environment::run(&config, &args).map(|()| ExitCode::SUCCESS)
        }),
        Command::Audit(AuditCommand::List(args)) => with_config(&path, |config| {
            audit(|output| list::list(&config.audit_dir(), &args, clock::now(), output))
        }),
        Command::Audit(AuditCommand::Show(args)) => with_config(&path, |config| {
            audit(|output| show::show(&config.audit_dir(), &args, output))
        }),
        Command::Plugin(PluginCommand::List(args)) => {
            with_config(&path, |config| plugin_list::run(&config, &args))
        }
        Command::Policy(PolicyCommand::Explain(args)) => {
            with_config(&path, |config| explain::run(&config, &args))
        }
    }
}

/// Reads the audit log with the terminal as it is. A log that is not what was written fails.
fn audit(
    read: impl FnOnce(&mut Output<'_>) -> anyhow::Result<Problems>,
) -> anyhow::Result<ExitCode> {
    let width = terminal::width();
    let problems = read(&mut Output {
        out: &mut std::io::stdout().lock(),
        notes: &mut std::io::stderr().lock(),
        width,
        colours: if width.is_some() && config::wants_colours() {
            Colours::On
        } else {
            Colours::Off
        },
    })?;
    Ok(if problems.count() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Loads the configuration or prints all that is wrong with it.
fn with_config(
    path: &Path,
    then: impl FnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match config::load(path) {
        Ok(config) => then(config),
        Err(problems) => {
            for problem in &problems {
                terminal::error(format_args!("{problem}"));
            }
            terminal::error(format_args!(
                "{} in the configuration",
                count(problems.len())
            ));
            Ok(ExitCode::from(EXIT_CONFIG))
        }
    }
}

/// Everything `serve` does before it binds.
fn check(path: &Path, config: &Config) -> anyhow::Result<ExitCode> {
    let problems = serve::problems(config);
    if problems.is_empty() {
        terminal::line(format_args!("{}: no problems", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    for problem in &problems {
        terminal::error(format_args!("{problem}"));
    }
    terminal::error(format_args!("{}", count(problems.len())));
    Ok(ExitCode::from(EXIT_CONFIG))
}

fn count(problems: usize) -> String {
    if problems == 1 {
        "1 problem".to_owned()
    } else {
        format!("{problems} problems")
    }
}
