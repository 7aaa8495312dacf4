//! What a configuration must be, as tests.

use super::*;

const GOOD: &str = r#"
listen: { address: 127.0.0.1:8443 }
oidc:
  - issuer: https://idp.example
    audience: [portcullis]
connections:
  - name: dev
    account: "123456789012"
    credentials: environment
    endpoint: http://127.0.0.1:5000
    roles:
      - name: agent-readonly
        assume: arn:aws:iam::123456789012:role/AgentReadOnly
        groups: [agents]
"#;

fn check(text: &str) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portcullis.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path).map_err(|problems| {
        problems
            .iter()
            .map(|problem| {
                problem
                    .to_string()
                    .replace(&path.display().to_string(), "portcullis.yaml")
            })
            .collect()
    })
}

#[test]
fn defaults_are_safe() {
    let config = check(GOOD).unwrap();
    assert_eq!(config.listen.tls, Tls::OwnCa);
    assert!(config.console.address.ip().is_loopback());
    assert_eq!(
        config.connections[0].roles[0].duration,
        Duration::from_secs(3600)
    );
    assert!(config.issuers[0].agents && !config.issuers[0].console);
}

#[test]
fn fips_and_dual_stack_endpoints_are_chosen_but_not_beside_an_endpoint_of_ones_own() {
    let both = "use_fips_endpoint: true\n    use_dualstack_endpoint: true";
    let own = "endpoint: http://127.0.0.1:5000";
    let connection = |text: &str| check(text).map(|config| config.connections[0].variant);
    let chosen = |keys: &str| connection(&GOOD.replace(own, keys)).unwrap();
    assert_eq!(chosen("partition: aws"), Variant::Plain);
    assert_eq!(chosen("use_fips_endpoint: true"), Variant::Fips);
    assert_eq!(chosen("use_dualstack_endpoint: true"), Variant::DualStack);
    assert_eq!(chosen(both), Variant::FipsDualStack);
    let beside = format!("{own}\n    use_fips_endpoint: true");
    let problems = connection(&GOOD.replace(own, &beside))
        .unwrap_err()
        .join("\n");
    assert!(problems.contains("`use_fips_endpoint`"), "{problems}");
}

#[test]
fn services_that_may_be_newer_are_named_as_botocore_names_them() {
    let named = |services: &str| {
        let to = format!("    unknown_members: {services}\n    credentials");
        check(&GOOD.replace("    credentials", &to))
    };
    assert!(
        check(GOOD).unwrap().connections[0]
            .unknown_members
            .is_empty()
    );
    let config = named("[dynamodb, s3]").unwrap();
    assert_eq!(config.connections[0].unknown_members, ["dynamodb", "s3"]);
    let problems = named("[dynamodb, DynamoDB]").unwrap_err().join("\n");
    assert!(problems.contains("unknown_members[1]"), "{problems}");
}

#[test]
fn all_unknown_keys_are_reported_at_once_with_their_lines() {
    let text = GOOD
        .replace("audience:", "audiense:")
        .replace("groups:", "group:");
    let problems = check(&text).unwrap_err();
    let all = problems.join("\n");
    assert!(
        all.contains("`audiense`") && all.contains("`group`"),
        "{all}"
    );
    assert!(all.contains("portcullis.yaml:4: `oidc[0]`"), "{all}");
    assert!(all.contains("`connections[0].roles[0]`"), "{all}");
}

#[test]
fn all_wrong_values_are_reported_at_once() {
    let text = GOOD
        .replace("127.0.0.1:8443", "nowhere")
        .replace("https://idp.example", "http://idp.example")
        .replace("http://127.0.0.1:5000", "http://10.0.0.1:5000")
        .replace("role/AgentReadOnly", "user/AgentReadOnly")
        .replace("[agents]", "['*']");
    let all = check(&text).unwrap_err().join("\n");
    for key in [
        "portcullis.yaml:2: `listen.address`",
        "portcullis.yaml:4: `oidc[0].issuer`",
        "portcullis.yaml:10: `connections[0].endpoint`",
        "portcullis.yaml:13: `connections[0].roles[0].assume`",
        "portcullis.yaml:14: `connections[0].roles[0].groups`",
    ] {
        assert!(all.contains(key), "{key} missing in\n{all}");
    }
}

#[test]
fn what_would_open_the_gate_is_refused() {
    for (from, to) in [
        ("[portcullis]", "[]"),
        ("[agents]", "[]"),
        ("127.0.0.1:8443 }", "0.0.0.0:8443, tls: off }"),
        ("\"123456789012\"", "123456789012"),
        ("credentials: environment", "credentials: default"),
        ("    credentials", "    regions: []\n    credentials"),
        (
            "    credentials",
            "    partition: aws-moon\n    credentials",
        ),
    ] {
        assert!(check(&GOOD.replace(from, to)).is_err(), "{from} -> {to}");
    }
}
