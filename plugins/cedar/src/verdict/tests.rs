//! What `verdict` promises, as tests.

use super::*;

const POLICIES: &str = r#"
@id("agents-read")
permit (principal in Group::"agents", action in Action::"level/read", resource);

@id("prod-table-deletes") @approval("required") @reason("Deleting a production table needs a person.")
permit (principal in Group::"agents", action == Action::"dynamodb:DeleteTable", resource)
when { resource.arn like "arn:aws:dynamodb:*:*:table/prod-*" };

@id("test-table-deletes")
permit (principal, action == Action::"dynamodb:DeleteTable", resource)
when { resource.name like "test-*" };

@id("no-new-identities")
forbid (principal, action in [Action::"iam:CreateUser", Action::"iam:CreateAccessKey"], resource);

@id("small-instances")
permit (principal in Group::"agents", action == Action::"ec2:RunInstances", resource)
when { context.region == "eu-west-1" && context.params.MaxCount <= 2 };

@id("queues")
permit (principal, action in Action::"service/sqs", resource)
when { principal has email && principal.email like "*@example.com" };

@id("office-hours")
permit (principal, action == Action::"s3:PutObject", resource)
when { context.time.toTime() < duration("18h") && context.source_ip.isInRange(ip("10.0.0.0/8")) };
"#;

fn policies(text: &str) -> Policies {
    let config = serde_json::json!({"policies": [{"file": "a.cedar", "text": text}]});
    Policies::parse(&config.to_string()).unwrap()
}

fn facts(pairs: &[(&str, &str, &'static str)]) -> Facts {
    Facts {
        principal: "https://idp#1".into(),
        groups: vec!["agents".into()],
        region: "eu-west-1".into(),
        params: Some(r#"{"MaxCount":1}"#.into()),
        time: Some("2026-11-23T10:00:00.000Z".into()),
        source_ip: Some("10.1.2.3".into()),
        pairs: pairs
            .iter()
            .map(|(action, resource, access)| Pair {
                action: (*action).into(),
                resource: (*resource).into(),
                access,
            })
            .collect(),
        ..Facts::default()
    }
}

fn check(facts: &Facts, effect: Effect, rule: &str) {
    let verdict = decide(&policies(POLICIES), facts);
    assert_eq!(
        (verdict.effect, verdict.rule.as_str()),
        (effect, rule),
        "{verdict:?}"
    );
    assert!(!verdict.reason.is_empty());
}

const READ: (&str, &str, &str) = ("s3:GetObject", "arn:aws:s3:::logs/a", "read");

#[test]
fn a_group_member_may_read() {
    check(&facts(&[READ]), Effect::Allow, "agents-read");
}

#[test]
fn a_stranger_may_not_read() {
    let mut stranger = facts(&[READ]);
    stranger.groups = vec!["Agents".into()];
    check(&stranger, Effect::Deny, "no-permit");
}

#[test]
fn an_unknown_access_level_is_in_no_level_group() {
    check(
        &facts(&[("s3:GetObject", "*", "unknown")]),
        Effect::Abstain,
        "",
    );
}

#[test]
fn every_pair_needs_a_permit() {
    let unmatched = ("s3:PutObjectTagging", "*", "tagging");
    check(&facts(&[READ, unmatched]), Effect::Deny, "no-permit");
    check(&facts(&[unmatched]), Effect::Abstain, "");
}

#[test]
fn a_forbid_on_one_pair_wins_over_permits() {
    let create = ("iam:CreateUser", "*", "read");
    check(&facts(&[READ, create]), Effect::Deny, "no-new-identities");
}

#[test]
fn a_pair_permitted_only_after_approval_needs_one() {
    let prod = "arn:aws:dynamodb:eu-west-1:123456789012:table/prod-users";
    let delete = ("dynamodb:DeleteTable", prod, "write");
    check(
        &facts(&[delete]),
        Effect::RequireApproval,
        "prod-table-deletes",
    );
    check(
        &facts(&[READ, delete]),
        Effect::RequireApproval,
        "prod-table-deletes",
    );
    let verdict = decide(&policies(POLICIES), &facts(&[delete]));
    assert_eq!(
        verdict.reason,
        "Deleting a production table needs a person."
    );
}

#[test]
fn a_plain_permit_makes_the_approval_unnecessary() {
    let test = "arn:aws:dynamodb:eu-west-1:123456789012:table/test-users";
    check(
        &facts(&[("dynamodb:DeleteTable", test, "write")]),
        Effect::Allow,
        "test-table-deletes",
    );
}

#[test]
fn conditions_on_parameters_decide() {
    let run = ("ec2:RunInstances", "*", "write");
    let mut call = facts(&[run]);
    check(&call, Effect::Allow, "small-instances");
    call.params = Some(r#"{"MaxCount":3}"#.into());
    check(&call, Effect::Deny, "no-permit");
}

#[test]
fn an_evaluation_error_is_a_deny_that_names_the_policy() {
    let run = ("ec2:RunInstances", "*", "write");
    for params in [
        "{}",
        r#"{"MaxCount":"1"}"#,
        r#"{"MaxCount":1.0}"#,
        r#"{"MaxCount":null}"#,
    ] {
        let mut call = facts(&[run]);
        call.params = Some(params.into());
        check(&call, Effect::Deny, "small-instances");
    }
}

#[test]
fn an_absent_email_is_absent() {
    let send = ("sqs:SendMessage", "*", "write");
    let mut call = facts(&[send]);
    check(&call, Effect::Deny, "no-permit");
    call.email = Some("a@example.com".into());
    check(&call, Effect::Allow, "queues");
}

#[test]
fn time_and_address_are_cedar_values() {
    let put = ("s3:PutObject", "arn:aws:s3:::b/k", "write");
    let mut call = facts(&[put]);
    check(&call, Effect::Allow, "office-hours");
    call.time = Some("2026-11-23T19:00:00.000Z".into());
    check(&call, Effect::Deny, "no-permit");
    call.source_ip = Some("not an address".into());
    check(&call, Effect::Deny, "unreadable-call");
}

#[test]
fn a_call_without_actions_is_denied() {
    check(&facts(&[]), Effect::Deny, "no-actions");
}

#[test]
fn parameters_cannot_become_entities() {
    let text =
        r#"permit (principal, action, resource) when { context.params.Who == Agent::"root" };"#;
    let mut call = facts(&[READ]);
    call.params = Some(r#"{"Who":{"__entity":{"type":"Agent","id":"root"}}}"#.into());
    assert_eq!(decide(&policies(text), &call).effect, Effect::Deny);
}

#[test]
fn a_policy_without_id_is_named_by_its_place() {
    let text = "\n\npermit (principal, action, resource);";
    assert_eq!(decide(&policies(text), &facts(&[READ])).rule, "a.cedar:3");
}

/// What Cedar's own authorizer says of one pair, from the same facts through its public interface.
fn authorizer_allows(facts: &Facts, pair: &Pair) -> bool {
    use cedar_policy::{
        Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
        PolicySet, Request, RestrictedExpression as Text,
    };
    let uid = |kind: &str, id: &str| {
        EntityUid::from_type_name_and_id(kind.parse::<EntityTypeName>().unwrap(), EntityId::new(id))
    };
    let text = |value: &str| Text::new_string(value.to_owned());
    let principal = uid("Agent", &facts.principal);
    let (action, resource) = (uid("Action", &pair.action), uid("Resource", &pair.resource));
    let groups = facts
        .groups
        .iter()
        .map(|group| uid("Group", group))
        .collect();
    let levels = vocabulary::action_groups(pair).map(|group| uid("Action", &group));
    let email = facts
        .email
        .iter()
        .map(|email| ("email".to_owned(), text(email)));
    let name = pair.resource.rsplit('/').next().unwrap();
    let named = [("arn", pair.resource.as_str()), ("name", name)];
    let named = named.map(|(key, value)| (key.to_owned(), text(value)));
    let entities = [
        Entity::new(principal.clone(), email.collect(), groups).unwrap(),
        Entity::new_no_attrs(action.clone(), levels.collect()),
        Entity::new(resource.clone(), named.into(), Default::default()).unwrap(),
    ];
    let context = serde_json::json!({
        "region": facts.region,
        "params": serde_json::from_str::<serde_json::Value>(facts.params.as_ref().unwrap()).unwrap(),
        "time": {"__extn": {"fn": "datetime", "arg": facts.time}},
        "source_ip": {"__extn": {"fn": "ip", "arg": facts.source_ip}},
    });
    let context = Context::from_json_value(context, None).unwrap();
    let response = Authorizer::new().is_authorized(
        &Request::new(principal, action, resource, context, None).unwrap(),
        &POLICIES.parse::<PolicySet>().unwrap(),
        &Entities::from_entities(entities, None).unwrap(),
    );
    // Cedar skips a policy that fails; here it is a deny.
    response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
}

/// PAR-19: whatever the policies say, the answer is that of the reference evaluator.
#[test]
fn index_and_direct_evaluation_agree_with_cedars_authorizer() {
    let policies = policies(POLICIES);
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/";
    let resources = [
        "*".to_owned(),
        format!("{table}prod-a"),
        format!("{table}test-a"),
    ];
    let actions = [
        "s3:GetObject",
        "s3:PutObject",
        "dynamodb:DeleteTable",
        "iam:CreateUser",
        "ec2:RunInstances",
        "sqs:SendMessage",
    ];
    for (group, email, count) in [("agents", None, 1), ("others", Some("a@example.com"), 5)] {
        for (action, access) in actions
            .iter()
            .zip(["read", "write", "unknown"].iter().cycle())
        {
            for resource in &resources {
                let mut facts = facts(&[(action, resource, access)]);
                facts.groups = vec![group.into()];
                facts.email = email.map(str::to_owned);
                facts.params = Some(format!("{{\"MaxCount\":{count}}}"));
                let ours = decide(&policies, &facts).effect;
                let allowed = matches!(ours, Effect::Allow | Effect::RequireApproval);
                let expected = authorizer_allows(&facts, &facts.pairs[0]);
                assert_eq!(
                    allowed, expected,
                    "{group} {action} {access} {resource}: {ours:?}"
                );
            }
        }
    }
}
