//! What is left for operations that no reference has yet: AWS calls the action as the operation,
//! and the model and the verb bound what it can do. Never less than what is sure.

use portcullis_core::call::AccessLevel;

use crate::catalog::model::Operation;

/// Verbs that change something, with no action in the references that is less than a write or a
/// tagging; `Batch` before them is looked through.
const WRITES: &str = "
    Accept Acknowledge Activate Add Allocate Apply Approve Associate Attach Cancel Complete Configure
    Confirm Connect Copy Create Deactivate Decline Delete Deploy Deregister Detach Disable Disassociate
    Disconnect Drain Enable Execute Failover Import Ingest Initiate Invoke Join Merge Modify Move Pause
    Post Prepare Publish Purchase Put Reboot Register Reject Release Remove Replace Reset Restart
    Restore Resume Retry Send Set Split Start Stop Submit Switchover Sync Terminate Transfer Update
    Upload";

/// Verbs that read, if the model's `readonly` trait says so too.
const READS: &str = "Describe Get List Lookup Query Search";

/// Words that may mean more than a change: who may do what.
const POWERS: &str = "
    ACL Access Account Acl Admin Assign Auth Block Certificate Credential Delegat Federat Grant Group
    Identity Invitation Key Lock Member Password Permission Polic Principal Public Role Secret Setting
    Shar Token Trust Url User";

/// Words that may mean that what is read lets its reader in elsewhere.
const SECRETS: &str = "Access Auth Certificate Credential Key Password Secret Token Url";

/// The level that an operation has at most; unknown where the verb does not tell.
pub(super) fn level(name: &str, operation: &Operation) -> AccessLevel {
    let words = words(name);
    let verb = match words.as_slice() {
        ["Batch", verb, ..] | [verb, ..] => *verb,
        [] => return AccessLevel::Unknown,
    };
    let is = |verbs: &str| verbs.split_whitespace().any(|known| known == verb);
    let says = |words: &str| words.split_whitespace().any(|word| name.contains(word));
    match (is(READS), is(WRITES)) {
        (true, _) if operation.readonly && !says(SECRETS) => AccessLevel::Read,
        (_, true) if says(POWERS) => AccessLevel::Permissions,
        (_, true) => AccessLevel::Write,
        _ if matches!(name, "TagResource" | "UntagResource") => AccessLevel::Tagging,
        _ => AccessLevel::Unknown,
    }
}

fn words(name: &str) -> Vec<&str> {
    let starts = name
        .char_indices()
        .filter(|(_, letter)| letter.is_uppercase());
    let starts: Vec<usize> = starts.map(|(start, _)| start).collect();
    let ends = starts.iter().skip(1).copied().chain([name.len()]);
    let ranges = starts.iter().copied().zip(ends);
    ranges
        .filter_map(|(start, end)| name.get(start..end))
        .collect()
}

#[cfg(test)]
mod tests {
    use portcullis_core::catalog::{Basis, Catalog};

    use super::*;

    fn check(name: &str, readonly: bool, expected: AccessLevel) {
        let operation = serde_json::json!({
            "http": {"method": "POST", "requestUri": "/"}, "readonly": readonly,
        });
        let operation: Operation = serde_json::from_value(operation).unwrap();
        assert_eq!(level(name, &operation), expected, "{name}");
    }

    #[test]
    fn reading_takes_the_models_word_and_the_verbs() {
        check("GetThing", true, AccessLevel::Read);
        check("BatchGetThing", true, AccessLevel::Read);
        check("GetThing", false, AccessLevel::Unknown);
        check("StartThing", true, AccessLevel::Write);
        check("GetThingCredentials", true, AccessLevel::Unknown);
    }

    #[test]
    fn changing_is_never_less_than_a_write() {
        check("CreateThing", false, AccessLevel::Write);
        check("BatchDeleteThing", true, AccessLevel::Write);
        check("PutThingPolicy", false, AccessLevel::Permissions);
        check("CreateThingUrl", false, AccessLevel::Permissions);
        check("TagResource", false, AccessLevel::Tagging);
        check("ExplodeThing", false, AccessLevel::Unknown);
    }

    /// Among actions that the references have, this rule is nearly never below them: the few are
    /// calls that AWS calls permissions management although their names do not tell.
    #[test]
    fn the_rule_is_hardly_ever_below_the_references() {
        let modelled = serde_json::json!({"http": {"method": "POST", "requestUri": "/"}});
        let modelled: Operation = serde_json::from_value(modelled).unwrap();
        let (mut all, mut below) = (0, Vec::new());
        for entry in &Catalog::embedded().index().services {
            for operation in &Catalog::embedded().open(&entry.name).unwrap().operations {
                let [action] = operation.actions.as_slice() else {
                    continue;
                };
                // What is opaque was raised by hand.
                if action.basis == Basis::Reference && action.access != AccessLevel::Unknown {
                    all += 1;
                    if level(&operation.name, &modelled) < action.access {
                        below.push(format!("{}:{}", entry.name, operation.name));
                    }
                }
            }
        }
        assert!(all > 10_000);
        assert!(below.len() * 1_000 < all, "{below:?}");
    }
}
