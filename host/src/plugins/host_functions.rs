//! What a plugin can call: facts about its call, a log, and the capabilities it was granted. All
//! read-only, all from memory, all counted.

use wasmtime::component::{HasSelf, Linker};

use super::bindings::{access, generated::portcullis, printable};
use super::manifest::Capability;
use super::question::rfc3339;
use super::state::State;

use portcullis::call::types::Action;
use portcullis::host::log::Level;

/// Headers that carry credentials or signatures, or tell what a secret signed.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-signature",
    "x-amz-s3session-token",
    "x-forwarded-access-token",
];
const MAX_NAME_BYTES: usize = 1024;

/// A linker with the floor every plugin has and the capabilities this one was granted.
///
/// # Errors
/// Only if the generated code defines something twice.
pub(super) fn linker(
    engine: &wasmtime::Engine,
    granted: &[Capability],
) -> Result<Linker<State>, wasmtime::Error> {
    let mut linker = Linker::new(engine);
    portcullis::call::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    portcullis::call::request::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    portcullis::host::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    portcullis::policy::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    for capability in granted {
        match capability {
            Capability::Clock => {
                portcullis::host::clock::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| {
                    state
                })?;
            }
        }
    }
    Ok(linker)
}

impl portcullis::call::types::Host for State {}
impl portcullis::policy::types::Host for State {}

impl portcullis::call::request::Host for State {
    fn attr(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let question = self.question()?;
        let session = &question.session;
        let value = match key.as_str() {
            "principal.issuer" => Some(session.principal.issuer.clone()),
            "principal.subject" => Some(session.principal.subject.clone()),
            "principal.email" => session.principal.email.clone(),
            "session.name" => Some(session.name.clone()),
            "session.connection" => Some(session.connection.clone()),
            "session.role" => Some(session.role.clone()),
            "client.ip" => Some(question.source_ip.to_string()),
            "client.user-agent" => Some(question.user_agent.clone()),
            "aws.partition" => Some(question.call.partition.clone()),
            "aws.protocol" => Some(question.call.protocol.clone()),
            "call.time" => Some(rfc3339(question.time)),
            _ => None,
        };
        self.hand_out(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn attr_list(&mut self, key: String) -> wasmtime::Result<Vec<String>> {
        let question = self.question()?;
        let values = match key.as_str() {
            "principal.groups" => question.session.principal.groups.clone(),
            _ => Vec::new(),
        };
        self.hand_out(values.iter().map(String::len).sum())?;
        Ok(values)
    }

    fn actions(&mut self) -> wasmtime::Result<Vec<Action>> {
        let question = self.question()?;
        let actions: Vec<Action> = question
            .call
            .actions
            .iter()
            .map(|action| Action {
                name: action.name.clone(),
                resource: action.resource.clone(),
                access: access(action.access),
            })
            .collect();
        let bytes = actions
            .iter()
            .map(|action| action.name.len() + action.resource.len() + 32)
            .sum();
        self.hand_out(bytes)?;
        Ok(actions)
    }

    fn param(&mut self, pointer: String) -> wasmtime::Result<Option<String>> {
        let question = self.question()?;
        let value = question
            .call
            .params
            .pointer(&pointer)
            .map(|v| v.to_string());
        self.hand_out(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn param_str(&mut self, pointer: String) -> wasmtime::Result<Option<String>> {
        let question = self.question()?;
        let value = question.call.params.pointer(&pointer);
        let text = value.and_then(|value| value.as_str()).map(str::to_owned);
        self.hand_out(text.as_ref().map_or(0, String::len))?;
        Ok(text)
    }

    fn params_json(&mut self) -> wasmtime::Result<String> {
        let text = self.question()?.call.params.to_string();
        self.hand_out(text.len())?;
        Ok(text)
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Vec<String>> {
        let question = self.question()?;
        let hidden = name.len() > MAX_NAME_BYTES
            || SECRET_HEADERS
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret));
        if hidden {
            return Ok(Vec::new());
        }
        let values: Vec<String> = question
            .headers
            .get_all(&name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        self.hand_out(values.iter().map(String::len).sum())?;
        Ok(values)
    }
}

impl portcullis::host::log::Host for State {
    fn log(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.count_host_call()?;
        let bytes: usize = fields
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if !self.keep_log(message.len() + bytes) {
            return Ok(());
        }
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}={}", printable(key), printable(value)))
            .collect();
        let (plugin, message, fields) = (self.plugin(), printable(&message), fields.join(" "));
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, fields, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, fields, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, fields, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, fields, "{message}"),
        }
        Ok(())
    }

    fn enabled(&mut self, level: Level) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        Ok(match level {
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        })
    }
}

impl portcullis::host::clock::Host for State {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        let nanoseconds = self.question()?.time.unix_timestamp_nanos();
        Ok(u64::try_from(nanoseconds / 1_000_000).unwrap_or_default())
    }
}
