//! `portcullis.yaml` as people write it. These types are also its JSON Schema, so their doc
//! comments are what an editor shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration of a Portcullis gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    /// Where agents connect.
    #[serde(default)]
    pub(super) listen: Listen,
    /// Where people connect, and where metrics are served.
    #[serde(default)]
    pub(super) console: Console,
    /// Where the gateway keeps what must survive a restart.
    #[serde(default)]
    pub(super) state: State,
    /// WebAssembly components that judge calls.
    #[serde(default)]
    pub(super) plugins: Plugins,
    /// Policy files for the plugins that ask for them.
    #[serde(default)]
    pub(super) policies: Policies,
    /// What works outside the gateway once it was handed out.
    #[serde(default)]
    pub(super) mint: Mint,
    /// Whose tokens are accepted. At least one issuer.
    #[schemars(length(min = 1))]
    pub(super) oidc: Vec<Issuer>,
    /// One AWS account each. At least one.
    #[schemars(length(min = 1))]
    pub(super) connections: Vec<Connection>,
}

/// Where agents connect.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    /// Address and port. Default `127.0.0.1:8443`.
    pub(super) address: Option<String>,
    /// Certificate and key; absent, the gateway's own CA; `off` only on loopback.
    pub(super) tls: Option<Tls>,
    /// The name agents use; `*.<hostname>` is then S3's virtual-host style.
    pub(super) hostname: Option<String>,
    /// What one client may cost. The defaults are Envoy's for an edge proxy.
    #[serde(default)]
    pub(super) limits: Limits,
    /// A proxy for clients that take no endpoint but `HTTPS_PROXY`. Absent: none.
    pub(super) proxy: Option<Proxy>,
}

/// A proxy that takes `CONNECT` to hosts of AWS, where the gateway answers in their place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxy {
    /// Address and port. Default `127.0.0.1:8445`.
    pub(super) address: Option<String>,
    /// Other hosts, each with all below it, that are passed on blindly to public addresses, port
    /// 443. Absent: none; hosts of AWS never are.
    #[serde(default)]
    pub(super) tunnel: Vec<String>,
    /// Certificate and key of the authority that agents trust for AWS's hosts. Absent: the
    /// gateway's own.
    pub(super) ca: Option<TlsFiles>,
}

/// How the listener proves who it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Tls {
    /// PEM files, reloaded when they change.
    Files(TlsFiles),
    /// No TLS.
    Word(TlsWord),
}

/// PEM files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFiles {
    /// Certificate chain, leaf first.
    pub(super) cert: PathBuf,
    /// Private key.
    pub(super) key: PathBuf,
}

/// The only word `tls` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TlsWord {
    /// Plain HTTP, on loopback only.
    Off,
}

/// Limits of the agents' listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Open connections.
    #[schemars(range(min = 1))]
    pub(super) connections: Option<usize>,
    /// HTTP/2 streams on a connection.
    #[schemars(range(min = 1))]
    pub(super) streams: Option<u32>,
    /// Bytes of a request head.
    #[schemars(range(min = 8192))]
    pub(super) head_bytes: Option<usize>,
    /// Header fields in a head.
    #[schemars(range(min = 20))]
    pub(super) headers: Option<usize>,
    /// Bytes of a body that must be read whole.
    #[schemars(range(min = 1024))]
    pub(super) body_bytes: Option<usize>,
    /// Bytes of such bodies in flight over all connections.
    #[schemars(range(min = 1024))]
    pub(super) buffered_bytes: Option<usize>,
    /// From accepting to the end of the TLS handshake, e.g. `10s`.
    pub(super) handshake_timeout: Option<String>,
    /// From the first byte of a head to its last.
    pub(super) head_timeout: Option<String>,
    /// The longest pause in a body.
    pub(super) body_idle_timeout: Option<String>,
    /// From the end of a request to the first byte of AWS's answer.
    pub(super) upstream_timeout: Option<String>,
    /// A connection without a request.
    pub(super) idle_timeout: Option<String>,
    /// From SIGTERM to closing what is still open.
    pub(super) drain_timeout: Option<String>,
}

/// Where people connect.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Console {
    /// Address and port. Default `127.0.0.1:8444`.
    pub(super) address: Option<String>,
}

/// Where the gateway keeps what must survive a restart.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Keys, audit segments, embedded database. Default `./state`.
    pub(super) dir: Option<PathBuf>,
    /// A PostgreSQL URL shared by several gateways.
    pub(super) database: Option<String>,
}

/// WebAssembly components that judge calls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugins {
    /// `<name>.wasm` with an optional `<name>.yaml`, hot-reloaded. Default `./plugins`.
    pub(super) dir: Option<PathBuf>,
    /// Capabilities by plugin name, beside what its manifest asks for.
    #[serde(default)]
    pub(super) grants: BTreeMap<String, Vec<String>>,
}

/// Policy files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policies {
    /// `*.cedar` files, hot-reloaded. Default `./policies`.
    pub(super) dir: Option<PathBuf>,
}

/// Presigned URLs and tokens made by `portcullis mint`, where policies permit it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mint {
    /// The longest they live, ECR logins excepted. Default `15m`.
    pub(super) longest: Option<String>,
}

/// An OpenID Connect issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    /// Exactly the `iss` of its tokens. `https`, or `http` on loopback.
    pub(super) issuer: String,
    /// Accepted `aud` values. At least one: an empty list would accept nothing.
    #[schemars(length(min = 1))]
    pub(super) audience: Vec<String>,
    /// Claim that holds the groups, a list of strings. Default `groups`.
    pub(super) groups_claim: Option<String>,
    /// What its tokens are good for. Default `[agents]`.
    #[serde(rename = "use")]
    pub(super) uses: Option<Vec<Use>>,
    /// OAuth client for people signing in to the console.
    pub(super) client_id: Option<String>,
    /// File with that client's secret.
    pub(super) client_secret_file: Option<PathBuf>,
}

/// What an issuer's tokens are good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Use {
    /// Sessions of agents.
    Agents,
    /// People at the console.
    Console,
}

/// One AWS account and how to reach it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connection {
    /// Your name for it: letters, digits, `-` and `_`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    pub(super) name: String,
    /// The account's twelve digits, quoted.
    #[schemars(regex(pattern = "^[0-9]{12}$"))]
    pub(super) account: String,
    /// AWS partition. Default `aws`.
    pub(super) partition: Option<String>,
    /// Regions agents may use. Absent: all of the partition.
    pub(super) regions: Option<Vec<String>>,
    /// Where the gateway's own credential comes from. Nothing else is ever tried.
    pub(super) credentials: Credentials,
    /// Use AWS's FIPS 140 validated endpoints; what has none is refused.
    #[serde(default)]
    pub(super) use_fips_endpoint: bool,
    /// Use AWS's endpoints with IPv6 as well as IPv4; what has none is refused.
    #[serde(default)]
    pub(super) use_dualstack_endpoint: bool,
    /// Services, by botocore's names, whose calls may have parameters that this gateway does not
    /// know yet. They reach policies as plain values and are named in the record.
    #[serde(default)]
    pub(super) unknown_members: Vec<String>,
    /// An emulator or private endpoint instead of AWS. `http` on loopback only.
    pub(super) endpoint: Option<String>,
    /// PEM file with the CA to trust at `endpoint` instead of the public ones.
    pub(super) endpoint_ca: Option<PathBuf>,
    /// Lets `endpoint` be plain HTTP off loopback: credentials' signatures travel unprotected.
    #[serde(default)]
    pub(super) danger_plain_http_endpoint: bool,
    /// What agents may become. At least one.
    #[schemars(length(min = 1))]
    pub(super) roles: Vec<Role>,
}

/// Where a connection's own credential comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Credentials {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` of the process.
    Environment,
    /// The instance metadata service.
    Instance,
    /// A profile of the AWS configuration files.
    Profile(String),
    /// A file in the format of `~/.aws/credentials`, its `default` profile.
    StaticFile(PathBuf),
    /// A token file exchanged at AWS STS.
    WebIdentity(WebIdentity),
}

/// A token file exchanged at AWS STS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebIdentity {
    /// Role to assume with the token.
    pub(super) role_arn: String,
    /// The token, re-read on every exchange.
    pub(super) token_file: PathBuf,
}

/// A role agents may ask for, as `arn:<partition>:iam::<account>:role/<name>`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// Its name towards agents: the characters IAM allows.
    #[schemars(regex(pattern = "^[A-Za-z0-9+=,.@_-]{1,64}$"))]
    pub(super) name: String,
    /// The AWS role behind it. Absent: the connection's own credential.
    pub(super) assume: Option<String>,
    /// Groups it is open to. At least one.
    #[schemars(length(min = 1))]
    pub(super) groups: Vec<String>,
    /// The longest session, `15m` to `12h`. Default `1h`.
    pub(super) duration: Option<String>,
}
