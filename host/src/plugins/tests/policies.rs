//! The sample policies, through the real Cedar component.

use std::fs;
use std::time::Instant;

use portcullis_core::access::Effect;

use super::support::*;
use super::*;

/// The sample policies as they are shipped, in a directory of their own.
fn samples() -> Directories {
    let directories = Directories::cedar("");
    fs::remove_file(directories.policies().join("a.cedar")).unwrap();
    for entry in fs::read_dir(root().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "cedar")
        {
            let file = path.file_name().unwrap().to_str().unwrap();
            directories.write_policy(file, &fs::read_to_string(&path).unwrap());
        }
    }
    directories
}

#[tokio::test]
async fn every_sample_rule_decides_as_its_cases_say() {
    let generation = samples().load().unwrap().current();
    for name in ["agents", "approvals", "guardrails"] {
        let read = |extension: &str| {
            fs::read_to_string(root().join(format!("policies/{name}.{extension}"))).unwrap()
        };
        let cases = cases::Cases::parse(&read("cases.yaml")).unwrap();
        assert_eq!(cases.run(&generation).await, []);
        for line in read("cedar").lines() {
            if let Some(rule) = line.strip_prefix("@id(\"") {
                let rule = rule.trim_end_matches("\")");
                assert!(cases.rules.contains_key(rule), "`{rule}` has no cases");
            }
        }
    }
}

#[tokio::test]
async fn a_case_that_does_not_hold_is_reported() {
    let generation = samples().load().unwrap().current();
    let text = fs::read_to_string(root().join("policies/guardrails.cases.yaml")).unwrap();
    let wrong = text.replacen("effect: deny", "effect: allow", 1);
    let mismatches = cases::Cases::parse(&wrong).unwrap().run(&generation).await;
    assert!(
        mismatches[0]
            .message
            .contains("Agents may not create identities"),
        "{mismatches:?}"
    );
    assert!(
        mismatches
            .iter()
            .any(|mismatch| mismatch.case == "coverage")
    );
}

#[tokio::test]
async fn the_audited_rule_and_the_reason_come_from_the_policy() {
    let mut question = Arc::unwrap_or_clone(question());
    question.call.operation = "DeleteTable".into();
    question.call.actions[0].name = "dynamodb:DeleteTable".into();
    question.call.actions[0].access = portcullis_core::call::AccessLevel::Write;
    question.call.actions[0].resource =
        "arn:aws:dynamodb:eu-west-1:123456789012:table/prod-users".into();
    let generation = samples().load().unwrap().current();
    let advice = generation.consult(Arc::new(question)).await;
    assert_eq!(advice[0].effect, Effect::RequireApproval);
    assert_eq!(advice[0].rule, "prod-table-deletes");
    assert_eq!(
        advice[0].reason,
        "Deleting a production table needs a person."
    );
    assert_eq!(advice[0].plugin, "cedar");
}

#[tokio::test]
async fn hostile_parameters_are_a_deny_and_never_a_crash_of_the_host() {
    let text = "@id(\"p\") permit (principal, action, resource) when { context.params.a == 1 };";
    let generation = Directories::cedar(text).load().unwrap().current();
    let mut deep = serde_json::json!(1);
    for _ in 0..500 {
        deep = serde_json::json!([deep]);
    }
    let long = "x".repeat(1 << 20);
    let many: Vec<u32> = (0..200_000).collect();
    for params in [
        deep,
        serde_json::json!({"a": long}),
        serde_json::json!({"a": many}),
    ] {
        let mut hostile = Arc::unwrap_or_clone(question());
        hostile.call.params = params;
        let advice = generation.consult(Arc::new(hostile)).await;
        assert_eq!(advice[0].effect, Effect::Deny, "{advice:?}");
    }
    let mut fine = Arc::unwrap_or_clone(question());
    fine.call.params = serde_json::json!({"a": 1});
    assert_eq!(
        generation.consult(Arc::new(fine)).await[0].effect,
        Effect::Allow
    );
}

#[tokio::test]
async fn two_hundred_policies_cost_little() {
    let mut text = PERMIT_ALL.replace("action,", "action in Action::\"level/read\",");
    for number in 0..200 {
        text.push_str(&format!(
            "\n@id(\"r{number}\") permit (principal in Group::\"g{number}\", action == Action::\"svc{number}:Do\", resource)
             when {{ resource.arn like \"arn:aws:svc:*:*:thing/{number}-*\" && context.params.Count <= {number} }};"
        ));
    }
    let generation = Directories::cedar(&text).load().unwrap().current();
    let question = question();
    for _ in 0..200 {
        generation.consult(Arc::clone(&question)).await;
    }
    let calls = 2_000;
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let start = Instant::now();
    for _ in 0..calls {
        let advice = generation.consult(Arc::clone(&question)).await;
        assert_eq!(advice[0].effect, Effect::Allow);
    }
    let each = start.elapsed() / calls;
    println!("one fresh instance and decision: {each:?}");
    assert!(each < std::time::Duration::from_millis(5), "{each:?}");
}
