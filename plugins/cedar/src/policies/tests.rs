//! What `policies` promises, as tests.

use super::*;

fn parse(files: &[(&str, &str)]) -> Result<Policies, Vec<Problem>> {
    let files: Vec<_> = files
        .iter()
        .map(|(file, text)| serde_json::json!({"file": file, "text": text}))
        .collect();
    Policies::parse(&serde_json::json!({"policies": files}).to_string())
}

fn check(text: &str, place: &str, words: &str) {
    let problems = parse(&[("a.cedar", text)]).unwrap_err();
    let problem = &problems[0];
    assert_eq!(problem.at, place, "{problems:?}");
    assert!(problem.message.contains(words), "{problems:?}");
}

#[test]
fn syntax_errors_name_file_line_and_column() {
    check(
        "permit (principal, action, resource);\n\nforbid (principal, action resource);",
        "a.cedar:3:27",
        "unexpected token",
    );
}

#[test]
fn policies_outside_the_vocabulary_are_refused() {
    let at = "a.cedar:1:1";
    check(
        "permit (principal in Role::\"a\", action, resource);",
        at,
        "unknown entity type `Role`",
    );
    check(
        "permit (principal is User, action, resource);",
        at,
        "unknown entity type `User`",
    );
    check(
        "permit (principal, action == Action::\"s3:Get*\", resource);",
        at,
        "matches nothing",
    );
    check(
        "forbid (principal, action in Action::\"level/writes\", resource);",
        at,
        "no access level",
    );
    check(
        "forbid (principal, action == Action::\"level/write\", resource);",
        at,
        "is a group",
    );
    check(
        "permit (principal, action, resource) when { resource.tag == \"a\" };",
        at,
        "no attribute `tag`",
    );
    check(
        "permit (principal, action, resource) when { context has user };",
        at,
        "no attribute `user`",
    );
    check(
        "forbid (principal, action, resource) unless { principal in Team::\"x\" };",
        at,
        "`Team`",
    );
    check(
        "@aproval(\"required\") permit (principal, action, resource);",
        at,
        "unknown annotation",
    );
    check(
        "@approval(\"yes\") permit (principal, action, resource);",
        at,
        "must be \"required\"",
    );
    check(
        "@approval(\"required\") forbid (principal, action, resource);",
        at,
        "no meaning",
    );
    check(
        "@id(\"\") permit (principal, action, resource);",
        at,
        "printable",
    );
    check(
        "permit (principal == ?principal, action, resource);",
        "a.cedar",
        "templates",
    );
}

#[test]
fn an_id_used_twice_is_refused_across_files() {
    let text = "\n@id(\"x\") permit (principal, action, resource);";
    let problems = parse(&[("a.cedar", text), ("b.cedar", text)]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].at, "b.cedar:2:1");
    assert!(problems[0].message.contains("a.cedar:2"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = parse(&[("a.cedar", "permit ("), ("b.cedar", "forbid (")]).unwrap_err();
    assert!(
        problems
            .iter()
            .any(|problem| problem.at.starts_with("a.cedar:"))
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.at.starts_with("b.cedar:"))
    );
}

#[test]
fn no_policy_file_is_a_problem() {
    assert!(parse(&[]).is_err());
    assert!(Policies::parse("{}").is_err());
}

#[test]
fn only_facts_some_policy_reads_are_asked_for() {
    let reads = |condition: &str| {
        let text = format!(
            "permit (principal, action == Action::\"s3:GetObject\", resource) when {{ {condition} }};"
        );
        let pair = Pair {
            action: "s3:GetObject".into(),
            resource: "*".into(),
            access: "read",
        };
        parse(&[("a.cedar", &text)]).unwrap().reads(&[pair])
    };
    assert_eq!(reads("context.region == \"x\""), Reads::default());
    assert!(reads("context.params.Bucket == \"x\"").params);
    assert!(reads("context has params.Bucket").params);
    assert!(reads("context[\"time\"] == context.region").time);
    assert!(reads("[context].contains(context)").source_ip);
}
