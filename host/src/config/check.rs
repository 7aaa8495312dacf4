//! From the file as written to a [`Config`] that cannot be wrong. Every problem is found, not just
//! the first, and each names its line and key.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonschema::error::ValidationErrorKind;
use portcullis_core::catalog::Catalog;
use portcullis_core::destination::Variant;
use schemars::schema_for;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;
mod values;

use super::document::{Document, key_path};
use super::file::{self, ConfigFile};
use super::{
    CaFiles, Config, Connection, Console, CredentialSource, Issuer, Limits, Listen, PluginGrant,
    Proxy, Role, Tls,
};

/// The largest configuration file that is read.
const MAX_BYTES: u64 = 1 << 20;
/// What RDS and, nearly, EKS set themselves.
const MINT_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Something wrong with the configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// 1-based, where it is known.
    pub line: Option<u64>,
    /// e.g. `connections[0].roles[1].assume`; empty for the whole file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem found.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    let problem = |line, message| {
        vec![Problem {
            file: path.to_owned(),
            line,
            key: String::new(),
            message,
        }]
    };
    let text = read(path).map_err(|message| problem(None, message))?;
    let document = Document::parse(&text).map_err(|(line, message)| problem(line, message))?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut check = Check {
        digest: hex::encode(Sha256::digest(text.as_bytes())),
        file: path,
        document: &document,
        base,
        problems: Vec::new(),
    };
    // What the schema cannot tell is checked even of a file with other problems, as far as the
    // rest of it can be read.
    let readable = check.shape();
    let file: ConfigFile = match serde_json::from_value(readable) {
        Ok(file) => file,
        Err(_) if !check.problems.is_empty() => return Err(check.problems),
        Err(error) => return Err(problem(None, error.to_string())),
    };
    let config = check.config(file);
    match config {
        Some(config) if check.problems.is_empty() => Ok(config),
        Some(_) | None => Err(check.problems),
    }
}

/// The JSON Schema of the configuration file (draft 2020-12).
pub fn schema() -> Value {
    schema_for!(ConfigFile).to_value()
}

fn read(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if size.len() > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

struct Check<'a> {
    digest: String,
    file: &'a Path,
    document: &'a Document,
    base: PathBuf,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, pointer: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: self.document.line(pointer),
            key: key_path(pointer),
            message: message.into(),
        });
    }

    /// Unknown keys, wrong types, missing keys: whatever the schema can tell. The answer is the
    /// document without its unknown keys.
    fn shape(&mut self) -> Value {
        let value = &self.document.value;
        let mut readable = value.clone();
        let Ok(validator) = jsonschema::validator_for(&schema()) else {
            self.problem("", "the schema of this build is invalid");
            return readable;
        };
        for error in validator.iter_errors(value) {
            let place = error.instance_path().as_str();
            self.problem(place, plain(&error.to_string()));
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind()
                && let Some(Value::Object(table)) = readable.pointer_mut(place)
            {
                table.retain(|key, _| !unexpected.contains(key));
            }
        }
        readable
    }

    fn config(&mut self, mut file: ConfigFile) -> Option<Config> {
        let proxy = file.listen.proxy.take().and_then(|file| self.proxy(file));
        let listen = self.listen(file.listen);
        let address = file.console.address.as_deref().unwrap_or("127.0.0.1:8444");
        let console = self.address("/console/address", address);
        if file.state.database.is_some() {
            self.problem(
                "/state/database",
                "this version keeps no state that gateways share; remove the key",
            );
        }
        let longest = file.mint.longest.as_deref();
        let mint_longest = self.duration("/mint/longest", longest, MINT_LONGEST);
        let issuers = self.issuers(file.oidc);
        let connections = self.connections(file.connections);
        Some(Config {
            digest: self.digest.clone(),
            listen: listen?,
            proxy,
            console: Console { address: console? },
            state_dir: self.path(file.state.dir.as_deref(), "state"),
            plugins_dir: self.path(file.plugins.dir.as_deref(), "plugins"),
            plugin_grants: file
                .plugins
                .grants
                .into_iter()
                .map(|(plugin, capabilities)| PluginGrant {
                    plugin,
                    capabilities,
                })
                .collect(),
            policies_dir: self.path(file.policies.dir.as_deref(), "policies"),
            mint_longest,
            issuers,
            connections,
        })
    }

    fn path(&self, path: Option<&Path>, default: &str) -> PathBuf {
        self.base.join(path.unwrap_or(Path::new(default)))
    }

    fn readable(&mut self, pointer: &str, path: &Path) -> PathBuf {
        let path = self.base.join(path);
        if let Err(error) = std::fs::File::open(&path) {
            self.problem(
                pointer,
                format!("`{}` cannot be read: {error}", path.display()),
            );
        }
        path
    }

    fn address(&mut self, pointer: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.problem(
                pointer,
                format!("`{text}` is not an address like `127.0.0.1:8443`"),
            );
        }
        address
    }

    fn listen(&mut self, file: file::Listen) -> Option<Listen> {
        let text = file.address.as_deref().unwrap_or("127.0.0.1:8443");
        let address = self.address("/listen/address", text);
        let tls = match file.tls {
            None => Tls::OwnCa,
            Some(file::Tls::Files(files)) => Tls::Files {
                cert: self.readable("/listen/tls/cert", &files.cert),
                key: self.readable("/listen/tls/key", &files.key),
            },
            Some(file::Tls::Word(file::TlsWord::Off)) => Tls::Off,
        };
        if tls == Tls::Off && address.is_some_and(|address| !address.ip().is_loopback()) {
            self.problem(
                "/listen/tls",
                "`off` is accepted on a loopback address only",
            );
        }
        let hostname = file.hostname.map(|name| name.to_ascii_lowercase());
        if let Some(name) = &hostname
            && !values::is_host_name(name)
        {
            self.problem("/listen/hostname", format!("`{name}` is not a host name"));
        }
        Some(Listen {
            address: address?,
            tls,
            hostname,
            limits: self.limits(&file.limits),
        })
    }

    fn proxy(&mut self, file: file::Proxy) -> Option<Proxy> {
        let text = file.address.as_deref().unwrap_or("127.0.0.1:8445");
        let address = self.address("/listen/proxy/address", text);
        for (index, host) in file.tunnel.iter().enumerate() {
            let at = format!("/listen/proxy/tunnel/{index}");
            if !values::is_host_name(host) || host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                self.problem(&at, format!("`{host}` is not a host name in lower case"));
            } else if Catalog::embedded().hosts().is_aws(host) {
                self.problem(
                    &at,
                    format!("`{host}` is AWS's: such hosts are never passed on"),
                );
            }
        }
        Some(Proxy {
            address: address?,
            ca: file.ca.map(|files| CaFiles {
                cert: self.readable("/listen/proxy/ca/cert", &files.cert),
                key: self.readable("/listen/proxy/ca/key", &files.key),
            }),
            tunnel: file.tunnel,
        })
    }

    fn limits(&mut self, file: &file::Limits) -> Limits {
        let default = Limits::default();
        let at = |key: &str| format!("/listen/limits/{key}");
        Limits {
            connections: file.connections.unwrap_or(default.connections),
            streams: file.streams.unwrap_or(default.streams),
            head_bytes: file.head_bytes.unwrap_or(default.head_bytes),
            headers: file.headers.unwrap_or(default.headers),
            body_bytes: file.body_bytes.unwrap_or(default.body_bytes),
            buffered_bytes: file.buffered_bytes.unwrap_or(default.buffered_bytes),
            handshake_timeout: self.duration(
                &at("handshake_timeout"),
                file.handshake_timeout.as_deref(),
                default.handshake_timeout,
            ),
            head_timeout: self.duration(
                &at("head_timeout"),
                file.head_timeout.as_deref(),
                default.head_timeout,
            ),
            body_idle_timeout: self.duration(
                &at("body_idle_timeout"),
                file.body_idle_timeout.as_deref(),
                default.body_idle_timeout,
            ),
            upstream_timeout: self.duration(
                &at("upstream_timeout"),
                file.upstream_timeout.as_deref(),
                default.upstream_timeout,
            ),
            idle_timeout: self.duration(
                &at("idle_timeout"),
                file.idle_timeout.as_deref(),
                default.idle_timeout,
            ),
            drain_timeout: self.duration(
                &at("drain_timeout"),
                file.drain_timeout.as_deref(),
                default.drain_timeout,
            ),
        }
    }

    fn duration(&mut self, pointer: &str, text: Option<&str>, default: Duration) -> Duration {
        let Some(text) = text else {
            return default;
        };
        match humantime::parse_duration(text) {
            Ok(duration) if !duration.is_zero() => duration,
            Ok(_) | Err(_) => {
                self.problem(
                    pointer,
                    format!("`{text}` is not a duration like `30s` or `1h`"),
                );
                default
            }
        }
    }

    fn issuers(&mut self, files: Vec<file::Issuer>) -> Vec<Issuer> {
        let mut seen = HashSet::new();
        let mut issuers = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let at = format!("/oidc/{index}");
            if !seen.insert(file.issuer.clone()) {
                self.problem(&format!("{at}/issuer"), "this issuer is listed twice");
            }
            if let Err(message) = values::issuer(&file.issuer) {
                self.problem(&format!("{at}/issuer"), message);
            }
            if file.audience.iter().any(String::is_empty) {
                self.problem(&format!("{at}/audience"), "an audience must not be empty");
            }
            let uses = file.uses.unwrap_or(vec![file::Use::Agents]);
            if uses.is_empty() {
                self.problem(
                    &format!("{at}/use"),
                    "an issuer must be of use to `agents` or `console`",
                );
            }
            let secret = file.client_secret_file.as_deref();
            issuers.push(Issuer {
                issuer: file.issuer,
                audience: file.audience,
                groups_claim: file.groups_claim.unwrap_or("groups".to_owned()),
                agents: uses.contains(&file::Use::Agents),
                console: uses.contains(&file::Use::Console),
                client_id: file.client_id,
                client_secret_file: secret
                    .map(|path| self.readable(&format!("{at}/client_secret_file"), path)),
            });
        }
        issuers
    }

    fn connections(&mut self, files: Vec<file::Connection>) -> Vec<Connection> {
        let mut names = HashSet::new();
        let mut arns = HashSet::new();
        let mut connections = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let at = format!("/connections/{index}");
            if !names.insert(file.name.clone()) {
                self.problem(&format!("{at}/name"), "two connections have this name");
            }
            let connection = self.connection(&at, file);
            for (index, role) in connection.roles.iter().enumerate() {
                let arn = (
                    connection.partition.clone(),
                    connection.account.clone(),
                    role.name.clone(),
                );
                if !arns.insert(arn) {
                    self.problem(
                        &format!("{at}/roles/{index}/name"),
                        "another role of this account has the same name, so agents could not say which they mean",
                    );
                }
            }
            connections.push(connection);
        }
        connections
    }

    fn connection(&mut self, at: &str, file: file::Connection) -> Connection {
        let variant = variant(&file);
        let partition = file.partition.unwrap_or("aws".to_owned());
        self.partition(at, &partition, file.regions.as_deref());
        let endpoint = file.endpoint.as_deref().and_then(|text| {
            let ca = file
                .endpoint_ca
                .as_deref()
                .map(|path| self.readable(&format!("{at}/endpoint_ca"), path));
            match values::endpoint(text, ca, file.danger_plain_http_endpoint) {
                Ok(endpoint) => Some(endpoint),
                Err(message) => {
                    self.problem(&format!("{at}/endpoint"), message);
                    None
                }
            }
        });
        if file.endpoint.is_some() && variant != Variant::Plain {
            self.problem(
                &format!("{at}/endpoint"),
                "replaces AWS's endpoints, so `use_fips_endpoint` and `use_dualstack_endpoint` mean nothing beside it",
            );
        }
        for (index, service) in file.unknown_members.iter().enumerate() {
            if Catalog::embedded().by_name(service).is_none() {
                self.problem(
                    &format!("{at}/unknown_members/{index}"),
                    format!("`{service}` is no service by botocore's names"),
                );
            }
        }
        let roles = file
            .roles
            .into_iter()
            .enumerate()
            .map(|(index, role)| self.role(&format!("{at}/roles/{index}"), role))
            .collect();
        Connection {
            name: file.name,
            account: file.account,
            partition,
            regions: file.regions,
            credentials: self.credentials(&format!("{at}/credentials"), file.credentials),
            endpoint,
            variant,
            unknown_members: file.unknown_members,
            roles,
        }
    }

    fn partition(&mut self, at: &str, partition: &str, regions: Option<&[String]>) {
        let known = &Catalog::embedded().index().partitions;
        let Some(found) = known.iter().find(|known| known.name == partition) else {
            let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
            self.problem(
                &format!("{at}/partition"),
                format!(
                    "`{partition}` is not an AWS partition; known: {}",
                    names.join(", ")
                ),
            );
            return;
        };
        for (index, region) in regions.unwrap_or_default().iter().enumerate() {
            if !found.regions.contains(region) {
                self.problem(
                    &format!("{at}/regions/{index}"),
                    format!("`{region}` is not a region of partition `{partition}`"),
                );
            }
        }
        if regions.is_some_and(<[String]>::is_empty) {
            self.problem(
                &format!("{at}/regions"),
                "an empty list would allow no region; remove the key to allow all",
            );
        }
    }

    fn credentials(&mut self, at: &str, file: file::Credentials) -> CredentialSource {
        match file {
            file::Credentials::Environment => CredentialSource::Environment,
            file::Credentials::Instance => CredentialSource::Instance,
            file::Credentials::Profile(name) => CredentialSource::Profile(name),
            file::Credentials::StaticFile(path) => {
                CredentialSource::StaticFile(self.readable(&format!("{at}/static_file"), &path))
            }
            file::Credentials::WebIdentity(web) => {
                if let Err(message) = values::role_arn(&web.role_arn) {
                    self.problem(&format!("{at}/web_identity/role_arn"), message);
                }
                CredentialSource::WebIdentity {
                    role_arn: web.role_arn,
                    token_file: self.base.join(web.token_file),
                }
            }
        }
    }

    fn role(&mut self, at: &str, file: file::Role) -> Role {
        if let Some(arn) = &file.assume
            && let Err(message) = values::role_arn(arn)
        {
            self.problem(&format!("{at}/assume"), message);
        }
        if file
            .groups
            .iter()
            .any(|group| group.is_empty() || group == "*")
        {
            self.problem(
                &format!("{at}/groups"),
                "groups are exact names; there is no wildcard",
            );
        }
        let hour = Duration::from_secs(3600);
        let duration = self.duration(&format!("{at}/duration"), file.duration.as_deref(), hour);
        if duration < hour / 4 || duration > hour * 12 {
            self.problem(
                &format!("{at}/duration"),
                "must lie between `15m` and `12h`",
            );
        }
        Role {
            name: file.name,
            assume: file.assume,
            groups: file.groups,
            duration,
        }
    }
}

fn variant(file: &file::Connection) -> Variant {
    match (file.use_fips_endpoint, file.use_dualstack_endpoint) {
        (false, false) => Variant::Plain,
        (false, true) => Variant::DualStack,
        (true, false) => Variant::Fips,
        (true, true) => Variant::FipsDualStack,
    }
}

/// The validator quotes with `"`; the rest of the gateway quotes with backticks.
fn plain(message: &str) -> String {
    message.replace(['"', '\''], "`")
}
