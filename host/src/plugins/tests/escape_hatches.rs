//! The bundled escape-hatches plugin, as built and with the manifest it is shipped with: every
//! entry of its table closes its door, and nothing beside the doors is touched.

use std::collections::BTreeSet;
use std::fs;

use portcullis_core::access::{Advice, Effect};
use portcullis_core::call::{AccessLevel, Action};
use portcullis_core::catalog::Catalog;
use serde_json::{Value, json};

use super::support::*;
use super::*;

/// The plugin's own table: a crate that only runs as a component is no dependency here.
#[expect(unreachable_pub, reason = "public in the plugin's crate")]
#[path = "../../../../plugins/escape-hatches/src/hatches.rs"]
mod hatches;

use hatches::{Hatch, When};

const OWN: &str = "123456789012";
const STRANGER: &str = "999999999999";

fn directories(configuration: &str) -> Directories {
    let directories = Directories::new();
    let dist = |file: &str| fs::read(root().join("plugins/dist").join(file)).unwrap();
    directories.write_plugin("escape-hatches.wasm", &dist("escape-hatches.wasm"));
    let mut manifest = dist("escape-hatches.yaml");
    manifest.extend_from_slice(configuration.as_bytes());
    directories.write_plugin("escape-hatches.yaml", &manifest);
    directories
}

async fn ask(generation: &Generation, actions: &[&str], params: &Value) -> Advice {
    let mut asked = Arc::unwrap_or_clone(question());
    let service = actions[0].split(':').next().unwrap();
    asked.call.service = service.to_owned();
    asked.call.params = params.clone();
    let action = |name: &&str| Action {
        name: (*name).to_owned(),
        resource: "*".to_owned(),
        access: AccessLevel::Read,
    };
    asked.call.actions = actions.iter().map(action).collect();
    let advice = generation.consult(Arc::new(asked)).await;
    advice.into_iter().next().unwrap_or(Advice {
        plugin: "escape-hatches".to_owned(),
        effect: Effect::Abstain,
        rule: String::new(),
        reason: String::new(),
        obligations: Vec::new(),
        failure: None,
    })
}

fn policy(account: &str) -> String {
    json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*"}]})
        .to_string()
}

/// Parameters with a value at a JSON Pointer.
fn at(pointer: &str, value: Value) -> Value {
    let names = pointer.split('/').skip(1).collect::<Vec<_>>();
    names
        .into_iter()
        .rev()
        .fold(value, |inner, name| json!({ name: inner }))
}

/// Parameters that open a door, and those that do not.
fn open_and_shut(when: &When) -> (Vec<Value>, Vec<Value>) {
    let both = |pointers: &[&str], open: Value, shut: Value| {
        let all = |value: &Value| pointers.iter().map(|it| at(it, value.clone())).collect();
        let (open, mut shut): (Vec<Value>, Vec<Value>) = (all(&open), all(&shut));
        shut.push(json!({}));
        (open, shut)
    };
    match when {
        When::Acl => (
            vec![
                json!({"ACL": "public-read"}),
                json!({"ACL": "authenticated-read"}),
                json!({"GrantRead": "id=1"}),
                json!({"AccessControlPolicy": {}}),
            ],
            vec![json!({}), json!({"ACL": "private"})],
        ),
        When::Always => (vec![json!({})], Vec::new()),
        When::Document => (
            vec![
                json!({"Policy": policy("*")}),
                json!({"a": {"b": [policy(STRANGER)]}}),
                json!({"Policy": "not a policy"}),
                json!({}),
            ],
            vec![json!({"Policy": policy(OWN)})],
        ),
        When::Documents(pointers) => both(pointers, json!(policy(STRANGER)), json!(policy(OWN))),
        When::Is(pointer, value) => {
            let open = match *value {
                "true" => json!(true),
                text => json!(text),
            };
            both(&[pointer], open, json!("other"))
        }
        When::Outsiders(pointers) => both(pointers, json!([STRANGER]), json!([OWN])),
        When::PolicyAttribute(name, value) => {
            let with = |attribute: &str, document: Value| {
                let mut params = at(name, json!(attribute));
                let document = at(value, document);
                params
                    .as_object_mut()
                    .unwrap()
                    .extend(document.as_object().unwrap().clone());
                params
            };
            let shut = vec![
                with("Policy", json!(policy(OWN))),
                with("DisplayName", json!("{}")),
            ];
            (vec![with("Policy", json!(policy("*")))], shut)
        }
        When::Present(pointers) => both(pointers, json!({"Value": "x"}), Value::Null),
    }
}

fn effect(hatch: &Hatch) -> Effect {
    match hatch.effect {
        hatches::Effect::RequireApproval => Effect::RequireApproval,
        hatches::Effect::Deny => Effect::Deny,
    }
}

/// Whether another entry about the same action is open anyway.
fn always(action: &str) -> bool {
    hatches::of(action).any(|hatch| matches!(hatch.when, When::Always))
}

#[tokio::test]
async fn every_entry_closes_its_door_and_says_why() {
    let generation = directories("").load().unwrap().current();
    for hatch in hatches::all() {
        let (open, _) = open_and_shut(&hatch.when);
        for action in hatch.actions {
            for params in &open {
                let advice = ask(&generation, &[action], params).await;
                let strongest = hatches::of(action).map(effect).max().unwrap();
                assert!(
                    advice.effect == effect(hatch) || advice.effect == strongest,
                    "{action} {params}: {advice:?}"
                );
                assert_eq!(advice.rule, *action);
                assert_eq!(advice.failure, None);
            }
            let advice = ask(&generation, &[action], &open[0]).await;
            let says =
                advice.reason.contains(hatch.reason) && advice.reason.contains(hatch.instead);
            assert!(says || hatches::of(action).count() > 1, "{}", advice.reason);
        }
    }
}

#[tokio::test]
async fn what_keeps_a_door_shut_is_left_to_the_policies() {
    let generation = directories("").load().unwrap().current();
    let mut seen = 0;
    for hatch in hatches::all() {
        let (_, shut) = open_and_shut(&hatch.when);
        for action in hatch.actions.iter().filter(|action| !always(action)) {
            for params in &shut {
                let advice = ask(&generation, &[action], params).await;
                let mut others = hatches::of(action).filter(|other| !std::ptr::eq(*other, hatch));
                if others.next().is_none() {
                    assert_eq!(
                        advice.effect,
                        Effect::Abstain,
                        "{action} {params}: {advice:?}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[tokio::test]
async fn neighbours_of_the_doors_are_not_touched() {
    let generation = directories("").load().unwrap().current();
    for action in [
        "codeartifact:ListRepositories",
        "cognito-identity:DescribeIdentityPool",
        "dynamodb:DeleteTable",
        "dynamodb:GetItem",
        "ec2:DescribeInstances",
        "ec2:RunInstances",
        "ecr:BatchGetImage",
        "ecr:DescribeRepositories",
        "ecs:DescribeTasks",
        "iam:ListAccessKeys",
        "iam:ListUsers",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
        "lambda:GetFunctionConfiguration",
        "lambda:ListFunctions",
        "s3:GetBucketPolicy",
        "s3:GetObject",
        "s3:PutObject",
        "secretsmanager:DescribeSecret",
        "ssm:DescribeParameters",
        "ssm:GetParameter",
        "sts:AssumeRole",
        "sts:GetCallerIdentity",
        "iam:PassRoleX",
        "xiam:PassRole",
        "IAM:PassRole",
    ] {
        let advice = ask(&generation, &[action], &json!({})).await;
        assert_eq!(advice.effect, Effect::Abstain, "{action}: {advice:?}");
    }
}

#[tokio::test]
async fn the_operator_s_configuration_changes_what_is_advised() {
    let configuration = "
configuration:
  overrides:
    - actions: [kms:Decrypt]
      groups: [agents]
      effect: allow
    - actions: [lambda:InvokeFunction]
      effect: deny
    - actions: [secretsmanager:GetSecretValue]
      groups: [people]
      effect: require-approval
";
    let generation = directories(configuration).load().unwrap().current();
    for (action, expected) in [
        ("kms:Decrypt", Effect::Abstain),
        ("kms:ReEncryptFrom", Effect::Deny),
        ("lambda:InvokeFunction", Effect::Deny),
        ("lambda:UpdateFunctionCode", Effect::RequireApproval),
        ("secretsmanager:GetSecretValue", Effect::Deny),
    ] {
        let advice = ask(&generation, &[action], &json!({})).await;
        assert_eq!(advice.effect, expected, "{action}: {advice:?}");
    }
    let wrong = "
configuration:
  overrides:
    - actions: [kms:Decrpyt]
      effect: allow
";
    let refusal = directories(wrong).refusal();
    assert!(refusal.contains("kms:Decrpyt"), "{refusal}");
}

/// A misspelt action would be an open door.
#[test]
fn every_action_of_the_table_is_one_that_calls_have() {
    let catalog = Catalog::embedded();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for entry in &catalog.index().services {
        let service = catalog.service(&entry.name).unwrap();
        let templates = service.operations.iter().flat_map(|it| &it.actions);
        known.extend(templates.map(|template| template.name.clone()));
    }
    let unknown: Vec<_> = hatches::all()
        .flat_map(|hatch| hatch.actions)
        .filter(|action| !action.starts_with("portcullis:") && !known.contains(**action))
        .collect();
    assert_eq!(unknown, Vec::<&&str>::new());
}
