//! The gateway's configuration, checked: whatever holds a [`Config`] need not check anything again.
//!
//! `config/file.rs` is the file as people write it, `config/check.rs` turns it into these types and
//! reports every problem at once. Nothing else reads the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_core::destination::Variant;

mod check;
mod document;
mod file;

pub use check::{Problem, load, schema};

/// Everything `serve` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// SHA-256 of the file it was read from, hex.
    pub digest: String,
    /// Where agents connect.
    pub listen: Listen,
    /// Where agents connect that take no endpoint; `None`: nowhere.
    pub proxy: Option<Proxy>,
    /// Where people connect.
    pub console: Console,
    /// Keys, audit segments and the embedded database live here.
    pub state_dir: PathBuf,
    /// Components and their manifests.
    pub plugins_dir: PathBuf,
    /// What the operator grants to plugins, beside their manifests.
    pub plugin_grants: Vec<PluginGrant>,
    /// Policy files handed to plugins that ask for them.
    pub policies_dir: PathBuf,
    /// The longest life of what is minted for use outside the gateway.
    pub mint_longest: Duration,
    /// Whose tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// One AWS account each.
    pub connections: Vec<Connection>,
}

impl Config {
    /// Where the audit log's segments are.
    pub fn audit_dir(&self) -> PathBuf {
        self.state_dir.join("audit")
    }

    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.name == name)
    }
}

/// The configuration file: what the command line says, else `./portcullis.yaml`, else
/// `PORTCULLIS_CONFIG`.
pub fn locate(argument: Option<&Path>) -> PathBuf {
    let usual = Path::new("portcullis.yaml");
    match argument {
        Some(path) => path.to_owned(),
        None if usual.exists() => usual.to_owned(),
        None => std::env::var_os("PORTCULLIS_CONFIG").map_or(usual.to_owned(), PathBuf::from),
    }
}

/// Whether colours are wanted: not if `NO_COLOR` is set to anything (no-color.org).
pub fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A variable that an AWS client would read; an empty one counts as not set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The log filter, from `PORTCULLIS_LOG`.
pub fn log_filter() -> Option<String> {
    std::env::var("PORTCULLIS_LOG").ok()
}

/// The agents' listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// How the listener proves who it is.
    pub tls: Tls,
    /// The name agents use, also for virtual-host S3 (`<bucket>.<hostname>`).
    pub hostname: Option<String>,
    /// What a client may cost.
    pub limits: Limits,
}

/// The agents' proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Address and port.
    pub address: SocketAddr,
    /// Host names that are passed on blindly, with all below them.
    pub tunnel: Vec<String>,
    /// The authority that issues certificates for AWS's hosts; `None`: the gateway's own.
    pub ca: Option<CaFiles>,
}

/// A certificate authority in PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaFiles {
    /// Its certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The listener's certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tls {
    /// PEM files, reloaded when they change.
    Files {
        /// Certificate chain.
        cert: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// Plain HTTP, on loopback only.
    Off,
    /// A certificate of the gateway's own CA under `state.dir`.
    OwnCa,
}

/// Limits on what one client may cost. The defaults are Envoy's recommendations for an edge proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// HTTP/2 streams on a connection.
    pub streams: u32,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Header fields in a head.
    pub headers: usize,
    /// Bytes of a body that must be read whole.
    pub body_bytes: usize,
    /// Bytes of such bodies in flight over all connections.
    pub buffered_bytes: usize,
    /// From accepting to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// The longest pause in a body.
    pub body_idle_timeout: Duration,
    /// From the end of a request to the first byte of AWS's answer.
    pub upstream_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// From SIGTERM to closing what is still open.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams: 100,
            head_bytes: 60 * 1024,
            headers: 100,
            body_bytes: 16 * 1024 * 1024,
            buffered_bytes: 256 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(30),
            upstream_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// The people's listener.
#[derive(Clone, Debug)]
pub struct Console {
    /// Address and port.
    pub address: SocketAddr,
}

/// What the operator lets one plugin have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PluginGrant {
    /// The plugin's name.
    pub plugin: String,
    /// Capability interfaces, e.g. `counters`.
    pub capabilities: Vec<String>,
}

/// An OpenID Connect issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Exactly the `iss` of its tokens; https, or http on loopback.
    pub issuer: String,
    /// Accepted `aud` values; never empty.
    pub audience: Vec<String>,
    /// Claim that holds the groups.
    pub groups_claim: String,
    /// Its tokens open sessions for agents.
    pub agents: bool,
    /// Its users may sign in to the console.
    pub console: bool,
    /// The console's OAuth client.
    pub client_id: Option<String>,
    /// File with that client's secret.
    pub client_secret_file: Option<PathBuf>,
}

/// One AWS account and how to reach it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The operator's name for it.
    pub name: String,
    /// Twelve digits.
    pub account: String,
    /// e.g. `aws`.
    pub partition: String,
    /// Regions agents may use; `None` for all of the partition.
    pub regions: Option<Vec<String>>,
    /// Where the gateway's own credential comes from.
    pub credentials: CredentialSource,
    /// An emulator or private endpoint instead of AWS.
    pub endpoint: Option<Endpoint>,
    /// Which of AWS's endpoints.
    pub variant: Variant,
    /// Services whose calls may have parameters that the catalog does not know.
    pub unknown_members: Vec<String>,
    /// What agents may become.
    pub roles: Vec<Role>,
}

/// A destination that replaces AWS's own host names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// `http` is accepted on loopback only, or behind `danger_plain_http`.
    pub https: bool,
    /// Host name or address, without port.
    pub host: String,
    /// Port.
    pub port: u16,
    /// PEM file with the CA to trust instead of the public ones.
    pub ca: Option<PathBuf>,
}

/// Where a connection's own credential comes from. Nothing else is ever tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CredentialSource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the process.
    Environment,
    /// The instance metadata service.
    Instance,
    /// A profile of the AWS configuration files.
    Profile(String),
    /// A file in the credentials file format, default profile.
    StaticFile(PathBuf),
    /// A token file exchanged at AWS STS.
    WebIdentity {
        /// Role to assume with the token.
        role_arn: String,
        /// The token, re-read on every exchange.
        token_file: PathBuf,
    },
}

/// A role agents may ask for, as `arn:<partition>:iam::<account>:role/<name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    /// Its name towards agents.
    pub name: String,
    /// The AWS role behind it; absent: the connection's own credential.
    pub assume: Option<String>,
    /// Groups it is open to; never empty.
    pub groups: Vec<String>,
    /// The longest session, 15 minutes to 12 hours.
    pub duration: Duration,
}
