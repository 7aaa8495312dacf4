//! What `judge` promises, as tests.

use serde_json::json;

use super::*;

fn ask(settings: &str, actions: &[&str], params: &Value) -> Verdict {
    let asked = Asked {
        service: actions
            .first()
            .and_then(|action| action.split(':').next())
            .unwrap_or_default()
            .to_owned(),
        account: "123456789012".to_owned(),
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
        groups: || vec!["agents".to_owned()],
        params: || params.to_string(),
    };
    judge(&Settings::parse(settings).unwrap(), &asked)
}

fn effect(actions: &[&str], params: &Value) -> Option<Effect> {
    ask("null", actions, params).effect
}

#[test]
fn the_strongest_door_of_a_call_decides() {
    let none = json!({});
    let both = ["iam:PassRole", "iam:CreateAccessKey", "ec2:RunInstances"];
    assert_eq!(effect(&both, &none), Some(Effect::Deny));
    assert_eq!(ask("null", &both, &none).rule, "iam:CreateAccessKey");
    let run = ["ec2:RunInstances", "iam:PassRole"];
    assert_eq!(effect(&run, &none), Some(Effect::RequireApproval));
    assert_eq!(effect(&["ec2:RunInstances"], &none), None);
}

#[test]
fn the_operator_s_first_fitting_override_counts() {
    let check = |overrides: &str, expected: Option<Effect>| {
        let settings = format!(r#"{{"overrides":[{overrides}]}}"#);
        let verdict = ask(&settings, &["kms:Decrypt"], &json!({}));
        assert_eq!(verdict.effect, expected, "{overrides}");
    };
    check(r#"{"actions":["kms:Decrypt"],"effect":"allow"}"#, None);
    let approval = Some(Effect::RequireApproval);
    check(
        r#"{"actions":["kms:Decrypt"],"effect":"require-approval"}"#,
        approval,
    );
    let theirs = r#"{"actions":["kms:Decrypt"],"groups":["agents"],"effect":"allow"}"#;
    let others = r#"{"actions":["kms:Decrypt"],"groups":["people"],"effect":"allow"}"#;
    let nobody = r#"{"actions":["kms:Decrypt"],"groups":[],"effect":"allow"}"#;
    let deny = r#"{"actions":["kms:Decrypt"],"effect":"deny"}"#;
    check(theirs, None);
    check(others, Some(Effect::Deny));
    check(nobody, Some(Effect::Deny));
    check(&format!("{deny},{theirs}"), Some(Effect::Deny));
    check(&format!("{others},{theirs}"), None);
    check(
        r#"{"actions":["iam:PassRole"],"effect":"allow"}"#,
        Some(Effect::Deny),
    );
}

#[test]
fn an_override_that_names_nothing_is_a_problem() {
    for (settings, place) in [
        (
            r#"{"overrides":[{"actions":["kms:Decrypt","kms:decrypt"],"effect":"allow"}]}"#,
            "/overrides/0/actions/1",
        ),
        (
            r#"{"overrides":[{"actions":["*"],"effect":"allow"}]}"#,
            "/overrides/0/actions/0",
        ),
        (
            r#"{"overrides":[{"actions":["kms:Decrypt"],"effect":"abstain"}]}"#,
            "",
        ),
        (r#"{"override":[]}"#, ""),
        ("1", ""),
    ] {
        let problems = Settings::parse(settings).unwrap_err();
        assert_eq!(problems[0].0, place, "{settings}");
    }
}

#[test]
fn minting_is_judged_by_its_own_entry() {
    let settings = r#"{"overrides":[{"actions":["portcullis:MintEcrLogin"],"effect":"allow"}]}"#;
    let mint = ["portcullis:MintEcrLogin", "ecr:GetAuthorizationToken"];
    assert_eq!(ask(settings, &mint, &json!({})).effect, None);
    assert_eq!(effect(&mint, &json!({})), Some(Effect::Deny));
    let direct = ["ecr:GetAuthorizationToken", "portcullis:MintEcrLogin"];
    assert_eq!(
        ask(settings, &direct, &json!({})).effect,
        Some(Effect::Deny)
    );
}

#[test]
fn parameters_that_cannot_be_read_are_a_deny() {
    let asked = Asked {
        service: "s3".to_owned(),
        account: "123456789012".to_owned(),
        actions: vec!["s3:PutBucketPolicy".to_owned()],
        groups: Vec::new,
        params: || "{".to_owned(),
    };
    let verdict = judge(&Settings::default(), &asked);
    assert_eq!(verdict.effect, Some(Effect::Deny));
}

#[test]
fn the_manifest_asks_about_exactly_the_actions_of_the_table() {
    let manifest = include_str!("../../escape-hatches.yaml");
    let (_, asked) = manifest.split_once("interests:\n  actions:").unwrap();
    let asked: Vec<&str> = asked
        .lines()
        .filter_map(|line| line.strip_prefix("    - "))
        .collect();
    let mut table: Vec<&str> = hatches::all()
        .flat_map(|hatch| hatch.actions.iter().copied())
        .collect();
    table.sort_unstable();
    table.dedup();
    assert_eq!(asked, table);
}

#[test]
fn every_entry_says_why_and_what_to_do_instead() {
    for hatch in hatches::all() {
        assert!(!hatch.actions.is_empty());
        for line in [hatch.reason, hatch.instead] {
            assert!(
                line.len() > 10 && !line.contains('\n') && !line.ends_with('.'),
                "{line}"
            );
        }
    }
}
