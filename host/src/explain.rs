//! `portcullis policy explain`: which rule would decide a call, asked of the real plugins, with no
//! gateway running and nothing sent.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use http::HeaderMap;
use portcullis_core::access::{Advice, Effect, Principal, Session};
use portcullis_core::catalog::Catalog;
use portcullis_core::interpret::{self, Place};
use portcullis_core::reach::{Reach, RegionSet};
use serde_json::{Value, json};

use crate::clock;
use crate::config::{Config, Connection};
use crate::plugins::{CallFacts, Question};
use crate::serve;
use crate::terminal;

/// Say which rule would decide a call, without making it.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The service as botocore calls it, e.g. `dynamodb`.
    service: String,
    /// The API operation, e.g. `DeleteTable`.
    operation: String,
    /// The operation's parameters as JSON, e.g. '{"TableName": "prod-orders"}'.
    #[arg(default_value = "{}")]
    params: String,
    /// The agent, as `<issuer>#<subject>`.
    #[arg(
        long = "as",
        value_name = "PRINCIPAL",
        default_value = "https://issuer.invalid#agent"
    )]
    principal: String,
    /// The agent's groups.
    #[arg(long, value_delimiter = ',', default_value = "agents")]
    groups: Vec<String>,
    /// The role the agent uses. Default: the first of the connection.
    #[arg(long)]
    role: Option<String>,
    /// The connection. Default: the first.
    #[arg(long)]
    connection: Option<String>,
    /// The region of the call. Of one to an S3 multi-region access point, what its region set
    /// says, e.g. `*`.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Asks the plugins and prints what each said. Exit code 0 for allow, 1 for anything else.
///
/// # Errors
/// When the call does not exist or the plugins do not load.
pub fn run(config: &Config, args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let plugins = serve::load_plugins(config).map_err(|report| anyhow!("{report}"))?;
    let question = Arc::new(question(config, args)?);
    let generation = plugins.current();
    let asked = question.clone();
    let advice = serve::runtime()?.block_on(async move { generation.consult(asked).await });
    let effect = advice
        .iter()
        .map(|advice| advice.effect)
        .max()
        .unwrap_or(Effect::Abstain);
    if args.json {
        print_json(&question, &advice, effect);
    } else {
        print_text(&question, &advice, effect);
    }
    Ok(if effect == Effect::Allow {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn question(config: &Config, args: &ExplainArgs) -> anyhow::Result<Question> {
    let connection = connection(config, args)?;
    let role = match &args.role {
        Some(role) => role.clone(),
        None => connection
            .roles
            .first()
            .map(|role| role.name.clone())
            .unwrap_or_default(),
    };
    let place = Place {
        partition: connection.partition.clone(),
        account: connection.account.clone(),
        hostnames: Vec::new(),
        unknown_members: Vec::new(),
    };
    let params: Value =
        serde_json::from_str(&args.params).context("the parameters are not JSON")?;
    let reach = reach(&args.region)?;
    let wanted = interpret::Hypothetical {
        service: &args.service,
        operation: &args.operation,
        reach: &reach,
        params: &params,
    };
    let actions = interpret::actions_of(Catalog::embedded(), &wanted, &place)
        .map_err(|refusal| anyhow!("{refusal}"))?;
    let (issuer, subject) = args
        .principal
        .rsplit_once('#')
        .context("`--as` is `<issuer>#<subject>`")?;
    let now = clock::now();
    Ok(Question {
        request_id: "explain".to_owned(),
        session: Session {
            principal: Principal {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
                email: None,
                groups: args.groups.clone(),
            },
            name: "explain".to_owned(),
            access_key_id: "PCAKEXPLAIN".to_owned(),
            connection: connection.name.clone(),
            role,
            parent: None,
            confined_to: None,
            issued_at: now,
            expires_at: now,
        },
        call: CallFacts {
            service: args.service.clone(),
            operation: args.operation.clone(),
            protocol: String::new(),
            partition: place.partition,
            region: args.region.clone(),
            account: place.account,
            params,
            actions,
        },
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: "portcullis policy explain".to_owned(),
        time: now,
        headers: HeaderMap::new(),
    })
}

/// A list or a pattern is a set.
fn reach(text: &str) -> anyhow::Result<Reach> {
    if !text.contains([',', '*']) {
        return Ok(text.into());
    }
    RegionSet::parse(text)
        .map(Reach::Set)
        .context("`--region` is a region, or a list of them separated by commas alone")
}

fn connection<'c>(config: &'c Config, args: &ExplainArgs) -> anyhow::Result<&'c Connection> {
    match &args.connection {
        Some(name) => config
            .connection(name)
            .with_context(|| format!("no connection is called `{name}`")),
        None => config
            .connections
            .first()
            .context("no connection is configured"),
    }
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Abstain => "deny (no rule matches)",
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::RequireApproval => "needs approval",
    }
}

fn print_text(question: &Question, advice: &[Advice], effect: Effect) {
    terminal::line(format_args!("{}", word(effect)));
    for action in &question.call.actions {
        terminal::line(format_args!(
            "  {} on {} ({})",
            terminal::printable(&action.name),
            terminal::printable(&action.resource),
            action.access
        ));
    }
    for advice in advice {
        terminal::line(format_args!(
            "  {}: {} by rule `{}`: {}",
            terminal::printable(&advice.plugin),
            word(advice.effect),
            terminal::printable(&advice.rule),
            terminal::printable(&advice.reason)
        ));
    }
}

fn print_json(question: &Question, advice: &[Advice], effect: Effect) {
    let advice: Vec<Value> = advice
        .iter()
        .map(|advice| {
            json!({
                "plugin": advice.plugin,
                "effect": word(advice.effect),
                "rule": advice.rule,
                "reason": advice.reason,
            })
        })
        .collect();
    let actions: Vec<Value> = question
        .call
        .actions
        .iter()
        .map(|action| {
            json!({ "name": action.name, "resource": action.resource, "access": action.access })
        })
        .collect();
    terminal::line(format_args!(
        "{}",
        json!({ "decision": word(effect), "actions": actions, "advice": advice })
    ));
}
