//! `<name>.yaml` beside `<name>.wasm`: what the plugin is granted, how much it may use, what it
//! is asked about and what it is configured with. Unknown keys are errors.

use portcullis_core::call::AccessLevel;
use serde::Deserialize;
use serde_json::Value;

use super::engine::MAX_MEMORY;
use super::question::CallFacts;

/// A plugin's manifest. A plugin without one gets the defaults.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Manifest {
    /// The plugin's version, for people.
    pub(super) version: String,
    /// Says that the plugin is switched off on purpose; deleting its file is not enough.
    pub(super) disabled: bool,
    /// The plugin's verdicts are logged but decide nothing: for trying a policy out.
    pub(super) advisory: bool,
    /// The operator's policy files are part of the configuration.
    pub(super) policies: bool,
    /// Capabilities beyond the log; the gateway's own configuration must grant them too.
    pub(super) grants: Vec<Capability>,
    /// What the plugin is asked about; everything if absent.
    pub(super) interests: Interests,
    /// How much one call may use.
    pub(super) limits: Limits,
    /// Handed to the plugin as JSON.
    pub(super) configuration: Value,
}

/// A host interface that a plugin may be granted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Capability {
    /// `portcullis:host/clock`.
    Clock,
}

/// What a plugin is asked about. Each list narrows further; an empty list does not narrow. The
/// plugin counts as abstaining from everything else.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Interests {
    /// botocore service names.
    pub services: Vec<String>,
    /// IAM actions, e.g. `s3:GetObject`, or all of a prefix, `s3:*`.
    pub actions: Vec<String>,
    /// Access levels.
    pub access: Vec<AccessLevel>,
}

/// How much one call may use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Processor time, in milliseconds.
    pub(super) cpu_ms: u32,
    /// Wall-clock time, in milliseconds.
    pub(super) wall_ms: u32,
    /// Linear memory, in MiB.
    pub(super) memory_mib: u32,
}

const MAX_CPU_MS: u32 = 1_000;
const MAX_WALL_MS: u32 = 5_000;

impl Capability {
    /// All of them.
    pub(super) const ALL: [Self; 1] = [Self::Clock];

    /// The interface's name in package `portcullis:host`, and the word in grants.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_ms: 20,
            wall_ms: 250,
            memory_mib: 64,
        }
    }
}

impl Limits {
    /// What `configure` may use: it runs once per generation, away from the serving threads.
    pub(super) const fn configuring(self) -> Self {
        Self {
            cpu_ms: 5_000,
            wall_ms: 10_000,
            memory_mib: self.memory_mib,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.memory_mib as usize) << 20
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The parser's sentence with line and column, or which limit is out of range.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let limits = manifest.limits;
        let in_range = (1..=MAX_CPU_MS).contains(&limits.cpu_ms)
            && (1..=MAX_WALL_MS).contains(&limits.wall_ms)
            && (1..=(MAX_MEMORY >> 20)).contains(&(limits.memory_mib as usize));
        if !in_range {
            return Err(format!(
                "limits: cpu_ms must be 1 to {MAX_CPU_MS}, wall_ms 1 to {MAX_WALL_MS}, memory_mib 1 to {}",
                MAX_MEMORY >> 20
            ));
        }
        Ok(manifest)
    }
}

impl Interests {
    /// Whether the plugin is asked about this call.
    pub(super) fn include(&self, call: &CallFacts) -> bool {
        let service = self.services.is_empty() || self.services.contains(&call.service);
        let action = self.actions.is_empty()
            || call.actions.iter().any(|action| {
                self.actions
                    .iter()
                    .any(|wanted| matches(wanted, &action.name))
            });
        let access = self.access.is_empty()
            || call
                .actions
                .iter()
                .any(|action| self.access.contains(&action.access));
        service && action && access
    }
}

fn matches(wanted: &str, action: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => action.starts_with(prefix),
        None => action == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_capabilities_are_errors() {
        for text in [
            "grant: []",
            "grants: [network]",
            "limits: {cpu: 1}",
            "limits: {cpu_ms: 0}",
            "limits: {memory_mib: 1000}",
        ] {
            assert!(Manifest::parse(text).is_err(), "{text}");
        }
        assert_eq!(Manifest::parse("{}"), Ok(Manifest::default()));
    }

    #[test]
    fn each_list_of_interests_narrows() {
        let action = |name: &str, access| portcullis_core::call::Action {
            name: name.into(),
            resource: "*".into(),
            access,
        };
        let call = CallFacts {
            service: "s3".into(),
            operation: "CopyObject".into(),
            protocol: "rest-xml".into(),
            partition: "aws".into(),
            region: "us-east-1".into(),
            account: "123456789012".into(),
            params: Value::Null,
            actions: vec![
                action("s3:GetObject", AccessLevel::Read),
                action("s3:PutObject", AccessLevel::Write),
            ],
        };
        let check = |yaml: &str, expected: bool| {
            let manifest = Manifest::parse(&format!("interests: {yaml}")).unwrap();
            assert_eq!(manifest.interests.include(&call), expected, "{yaml}");
        };
        check("{}", true);
        check("{services: [s3]}", true);
        check("{services: [ec2]}", false);
        check("{actions: ['s3:Put*']}", true);
        check("{actions: ['s3:DeleteObject']}", false);
        check("{access: [write]}", true);
        check("{access: [list, permissions]}", false);
        check("{services: [s3], access: [list]}", false);
    }
}
