//! What the operator makes of the doors: the `configuration` of the manifest.
//!
//! ```yaml
//! configuration:
//!   overrides:
//!     - actions: [kms:Decrypt]
//!       groups: [deployers]      # absent: everybody
//!       effect: allow            # allow, require-approval or deny
//! ```
//!
//! `allow` leaves the call to the other plugins; it permits nothing by itself. The first override
//! that fits counts.

use serde::Deserialize;

use crate::hatches::{self, Effect};

/// The operator's changes, in their order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    overrides: Vec<Override>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Override {
    actions: Vec<String>,
    groups: Option<Vec<String>>,
    effect: Word,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Allow,
    Deny,
    RequireApproval,
}

impl Settings {
    /// Reads the configuration, which may be `null`.
    ///
    /// # Errors
    /// Every problem with its place: an unknown key, or an action that opens no door.
    pub fn parse(text: &str) -> Result<Self, Vec<(String, String)>> {
        let settings: Option<Self> =
            serde_json::from_str(text).map_err(|error| vec![(String::new(), error.to_string())])?;
        let settings = settings.unwrap_or_default();
        let problems = settings.problems();
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// What the operator says of an action for somebody in these groups: nothing, to leave it to
    /// other plugins, or an effect.
    pub fn of(&self, action: &str, groups: &[String]) -> Option<Option<Effect>> {
        let fits = |change: &&Override| {
            let named = change.actions.iter().any(|name| name == action);
            let theirs = |wanted: &Vec<String>| wanted.iter().any(|group| groups.contains(group));
            named && change.groups.as_ref().is_none_or(theirs)
        };
        let change = self.overrides.iter().find(fits)?;
        Some(match change.effect {
            Word::Allow => None,
            Word::Deny => Some(Effect::Deny),
            Word::RequireApproval => Some(Effect::RequireApproval),
        })
    }

    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (number, change) in self.overrides.iter().enumerate() {
            for (position, action) in change.actions.iter().enumerate() {
                if hatches::of(action).next().is_none() {
                    problems.push((
                        format!("/overrides/{number}/actions/{position}"),
                        format!("`{action}` is not an action of this plugin; names are exact"),
                    ));
                }
            }
        }
        problems
    }
}
