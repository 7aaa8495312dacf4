//! Policies and plugins change while calls run: nothing fails, and what is broken never replaces
//! what works.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::sign::{Call, Session};
use crate::fixture::{READ_ONLY, child, client, issuer, moto_connection, stage};

const SOON: Duration = Duration::from_secs(30);

/// Lists tables, and no more.
const NARROW: &str = r#"
@id("lists") permit (principal in Group::"agents", action == Action::"dynamodb:ListTables", resource);
"#;

/// Lists tables and reads limits.
const WIDE: &str = r#"
@id("lists") permit (principal in Group::"agents", action == Action::"dynamodb:ListTables", resource);
@id("limits") permit (principal in Group::"agents", action == Action::"dynamodb:DescribeLimits", resource);
"#;

const BROKEN: &str = r#"
@id("lists") permit (principal in Group::"agents", action == Action::"dynamodb:ListTables", resource
"#;

fn gateway(name: &'static str) -> Gateway {
    let stage = stage();
    Gateway::start(Setting {
        name,
        connections: vec![moto_connection(&format!("http://{}", stage.moto.address()))],
        issuers: vec![issuer(stage.idp.certified())],
        policies: vec![("agents.cedar", NARROW.to_owned())],
        environment: stage.moto.gateway_environment(),
        ..Setting::default()
    })
}

fn session(gateway: &Gateway) -> Session {
    gateway.session(READ_ONLY, &stage().idp.token("agent-ci"))
}

fn status(gateway: &Gateway, session: &Session, operation: &str) -> u16 {
    let call = Call::dynamodb(&gateway.host(), operation, "{}");
    gateway.send(&call.sign(session).bytes()).status
}

#[test]
fn a_policy_edit_takes_effect_under_load_with_no_failed_call() {
    let gateway = gateway("reload-load");
    let agent = client::Agent::new(&gateway, READ_ONLY, &stage().idp.token("agent-ci"));
    let mut command = agent.boto_command("load", "load");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut load = child::spawn(command).unwrap();
    let mut lines = BufReader::new(load.stdout.take().unwrap());
    assert_eq!(probe(&mut lines), "AccessDeniedException");
    for _ in 0..3 {
        gateway.replace("policies/agents.cedar", WIDE);
        assert_eq!(probe(&mut lines), "allowed");
        gateway.replace("policies/agents.cedar", NARROW);
        assert_eq!(probe(&mut lines), "AccessDeniedException");
    }
    drop(load.stdin.take());
    let summary = line(&mut lines);
    assert!(load.wait().unwrap().success());
    assert_eq!(summary["ok"], true, "{summary}\n{}", gateway.log());
    assert!(summary["value"].as_u64().unwrap() > 20, "{summary}");
}

fn probe(lines: &mut BufReader<ChildStdout>) -> String {
    line(lines)["value"].as_str().unwrap_or_default().to_owned()
}

fn line(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("the load ended: {line}"))
}

/// One test, because each part begins with the generation that the last one left.
#[test]
fn what_is_broken_keeps_the_old_generation() {
    let gateway = gateway("reload-broken");
    let session = session(&gateway);
    let unchanged = |what: &str| {
        assert_eq!(
            status(&gateway, &session, "ListTables"),
            200,
            "{what}\n{}",
            gateway.log()
        );
        assert_eq!(status(&gateway, &session, "DescribeLimits"), 400, "{what}");
    };
    unchanged("at the start");

    // A policy that does not parse, by its file and line.
    gateway.replace("policies/agents.cedar", BROKEN);
    noticed(&gateway, "agents.cedar");
    unchanged("with a broken policy");

    // The next good edit is taken.
    gateway.replace("policies/agents.cedar", WIDE);
    child::until("the mended policy", SOON, || {
        (status(&gateway, &session, "DescribeLimits") == 200).then_some(())
    });
    gateway.replace("policies/agents.cedar", NARROW);
    child::until("the narrow policy", SOON, || {
        (status(&gateway, &session, "DescribeLimits") != 200).then_some(())
    });

    // A plugin that is no component, one cut short, one that is gone.
    let plugin = std::fs::read(gateway.dir().join("plugins/cedar.wasm")).unwrap();
    for (what, bytes) in [
        ("no component", b"nonsense".as_slice()),
        ("half", &plugin[..plugin.len() / 2]),
    ] {
        let before = mentions(&gateway, "cedar");
        gateway.replace("plugins/cedar.wasm", bytes);
        child::until(what, SOON, || {
            (mentions(&gateway, "cedar") > before).then_some(())
        });
        unchanged(what);
    }
    gateway.replace("plugins/cedar.wasm", &plugin);
    unchanged("with the plugin mended");
}

fn noticed(gateway: &Gateway, file: &str) {
    child::until("the log to name the file", SOON, || {
        (mentions(gateway, file) > 0).then_some(())
    });
}

fn mentions(gateway: &Gateway, word: &str) -> usize {
    gateway.log().matches(word).count()
}

/// One test, because the plugin that is taken away is the only one.
#[test]
fn taking_a_plugin_or_all_policies_away_never_opens_the_gate() {
    let gateway = gateway("reload-removed");
    let session = session(&gateway);
    for (what, file) in [
        ("the policies", "policies/agents.cedar"),
        ("the plugin", "plugins/cedar.wasm"),
    ] {
        let before = gateway.log().len();
        std::fs::remove_file(gateway.dir().join(file)).unwrap();
        child::until(&format!("the gateway to miss {what}"), SOON, || {
            (gateway.log().len() > before).then_some(())
        });
        assert_eq!(status(&gateway, &session, "ListTables"), 200, "{what}");
        assert_ne!(status(&gateway, &session, "DescribeLimits"), 200, "{what}");
    }
}
