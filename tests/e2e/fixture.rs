//! What the tests stand on: a stage with moto, two OIDC issuers, recorders in AWS's place and the
//! real gateway binary, started once per run and shared; and gateways of a test's own.
//!
//! Nothing here asserts about the gateway; it fails only when the stage cannot be set.

pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod forge;
pub(crate) mod gateway;
pub(crate) mod idp;
pub(crate) mod moto;
pub(crate) mod place;
pub(crate) mod recorder;
pub(crate) mod sign;
pub(crate) mod speaker;
pub(crate) mod tap;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::idp::Idp;
use crate::fixture::moto::Moto;
use crate::fixture::recorder::Recorder;
use crate::fixture::tap::Tap;

/// The role that may only read, on moto.
pub(crate) const READ_ONLY: &str = "arn:aws:iam::123456789012:role/agent-readonly";
/// The role that may do what policy allows, on moto.
pub(crate) const POWER: &str = "arn:aws:iam::123456789012:role/agent-power";

/// Connections whose AWS is a recorder. One per test that says "no byte arrived", so that tests
/// running at the same time do not see each other's calls.
const RECORDERS: [&str; 13] = [
    "audited",
    "denied",
    "expect",
    "express",
    "framing",
    "http2",
    "newer",
    "presigned",
    "proxy",
    "sessions",
    "signing",
    "spare",
    "uploads",
];

/// Policies of the shared stage: `agents` read everywhere, `power` may do anything but what is
/// forbidden to all.
const POLICIES: &str = r#"
@id("agents-read")
permit (principal in Group::"agents", action in [Action::"level/list", Action::"level/read"], resource);

@id("uploads")
permit (principal in Group::"uploads", action == Action::"s3:PutObject", resource);

@id("power-all")
permit (principal in Group::"power", action, resource);

@id("no-new-users") @reason("Agents may not create users: ask the platform team.")
forbid (principal, action == Action::"iam:CreateUser", resource);

@id("production-stays") @reason("Production tables are deleted by people only.")
forbid (principal, action == Action::"dynamodb:DeleteTable", resource)
when { resource.arn like "arn:aws:dynamodb:*:*:table/prod-*" };
"#;

/// Everything the shared tests use.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) moto: &'static Moto,
    pub(crate) tap: Tap,
    pub(crate) idp: &'static Idp,
    pub(crate) gateway: Gateway,
    recorders: BTreeMap<&'static str, Recorder>,
}

impl Stage {
    /// The upstream behind the connection of that name, for one test alone.
    pub(crate) fn recorder(&self, name: &str) -> &Recorder {
        &self.recorders[name]
    }

    /// Client variables for a principal of the certified issuer and a role.
    pub(crate) fn agent(&self, client_id: &str, role: &str) -> client::Agent {
        client::Agent::new(&self.gateway, role, &self.idp.token(client_id))
    }
}

/// The role of a recorder's connection that [`Stage::recorder`] of the same name stands behind.
pub(crate) fn recorded_role(name: &str) -> String {
    format!("arn:aws:iam::{}:role/agent", recorded_account(name))
}

fn recorded_account(name: &str) -> String {
    let at = RECORDERS.iter().position(|known| *known == name).unwrap();
    format!("2000000000{at:02}")
}

/// AWS's stand-in, started on first use.
pub(crate) fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

/// The identity providers, started on first use.
pub(crate) fn idp() -> &'static Idp {
    static IDP: OnceLock<Idp> = OnceLock::new();
    IDP.get_or_init(Idp::start)
}

/// The stage, set on first use.
pub(crate) fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(set)
}

fn set() -> Stage {
    let (idp, moto) = (idp(), moto());
    let tap = Tap::start(moto.address());
    let recorders: BTreeMap<_, _> = RECORDERS
        .into_iter()
        .map(|name| (name, Recorder::start()))
        .collect();
    let mut connections = vec![moto_connection(&tap.url())];
    for (name, recorder) in &recorders {
        let account = recorded_account(name);
        let mut connection = recorder_connection(name, &account, &recorder.url());
        if *name == "newer" {
            connection["unknown_members"] = json!(["dynamodb"]);
        }
        connections.push(connection);
    }
    let gateway = Gateway::start(Setting {
        name: "shared",
        connections,
        issuers: vec![
            issuer(idp.certified()),
            issuer(idp.rotating()),
            issuer(idp.failing()),
        ],
        policies: vec![("test.cedar", POLICIES.to_owned())],
        environment: moto.gateway_environment(),
        proxy: Some(json!({"tunnel": ["localhost"]})),
        ..Setting::default()
    });
    Stage {
        moto,
        tap,
        idp,
        gateway,
        recorders,
    }
}

/// An `oidc` entry.
pub(crate) fn issuer(url: &str) -> Value {
    json!({"issuer": url, "audience": ["portcullis"], "use": ["agents"]})
}

/// The `dev` connection, whose AWS is moto.
pub(crate) fn moto_connection(url: &str) -> Value {
    json!({
        "name": "dev",
        "account": "123456789012",
        "regions": ["us-east-1", "eu-west-1"],
        "credentials": "environment",
        "endpoint": url,
        "roles": [
            {"name": "agent-readonly", "assume": "arn:aws:iam::123456789012:role/AgentReadOnly", "groups": ["agents"]},
            {"name": "agent-power", "assume": "arn:aws:iam::123456789012:role/AgentPower", "groups": ["power"]},
        ],
    })
}

/// A connection whose AWS is a recorder; it uses its own credential, so that no STS call is seen.
pub(crate) fn recorder_connection(name: &str, account: &str, url: &str) -> Value {
    json!({
        "name": name,
        "account": account,
        "credentials": "environment",
        "endpoint": url,
        "roles": [{"name": "agent", "groups": ["agents"]}],
    })
}
