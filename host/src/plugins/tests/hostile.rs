//! Plugins that misbehave: each costs its own call and nothing else.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_core::access::{Effect, Failure};

use super::support::*;
use super::*;
use crate::clock::Stopwatch;

const CLOCK: &str = r#"(import "portcullis:host/clock@0.1.0" "now-ms" (func $now (result i64)))"#;

fn load(wasm: &[u8]) -> Arc<Plugins> {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", wasm);
    directories.load().unwrap()
}

async fn check(decide: &str, failure: Failure) {
    let plugins = load(&component("", &when_asked(decide)));
    let advice = plugins.current().consult(question()).await;
    assert_eq!(advice.len(), 1);
    assert_eq!(advice[0].effect, Effect::Deny);
    assert_eq!(advice[0].failure, Some(failure));
    let status = plugins.status();
    assert_eq!(
        (status.plugins[0].calls, status.plugins[0].failures),
        (1, 1)
    );
    assert!(status.plugins[0].last_error.is_some());
}

fn refused(wasm: &[u8], words: &str) {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", wasm);
    let refusal = directories.refusal();
    assert!(refusal.contains("p.wasm"), "{refusal}");
    assert!(refusal.contains(words), "{refusal}");
}

#[tokio::test]
async fn a_good_plugin_is_heard() {
    let plugins = load(&component("", ""));
    let advice = plugins.current().consult(question()).await;
    assert_eq!(advice[0].effect, Effect::Allow);
    assert_eq!((&*advice[0].rule, &*advice[0].reason), ("r", "because"));
}

#[tokio::test]
async fn a_runaway_loop_is_stopped_while_other_tasks_run() {
    let plugins = load(&component("", &when_asked("(loop $again (br $again))")));
    let turns = AtomicU32::new(0);
    let generation = plugins.current();
    tokio::select! {
        biased;
        advice = generation.consult(question()) => {
            assert_eq!(advice[0].failure, Some(Failure::Deadline));
        }
        () = async { loop {
            turns.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }} => {}
    }
    assert!(turns.load(Ordering::Relaxed) > 5, "{turns:?}");
}

#[tokio::test]
async fn a_runaway_loop_is_stopped_after_a_quiet_time_too() {
    let plugins = load(&component("", &when_asked("(loop $again (br $again))")));
    while !plugins.engine.is_quiet() {
        tokio::task::yield_now().await;
    }
    let watch = Stopwatch::start();
    let advice = plugins.current().consult(question()).await;
    assert_eq!(advice[0].failure, Some(Failure::Deadline));
    // The budget is a hundredth of this; a clock that nobody woke ticks again much later.
    assert!(watch.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_memory_bomb_is_stopped() {
    check(
        "(loop $again (drop (memory.grow (i32.const 64))) (br $again))",
        Failure::Limit,
    )
    .await;
}

#[tokio::test]
async fn a_trap_is_a_deny() {
    check("unreachable", Failure::Trap).await;
}

#[tokio::test]
async fn a_deep_recursion_is_a_trap() {
    check("(drop (call 2 (local.get $summary)))", Failure::Trap).await;
}

#[tokio::test]
async fn garbage_instead_of_a_verdict_is_a_deny() {
    let effect = "(i32.store8 (i32.const 16) (i32.const 9))";
    let nameless = "(i32.store (i32.const 24) (i32.const 0))";
    let elsewhere = "(i32.store (i32.const 20) (i32.const 0x7fffffff))";
    let not_utf8 = "(i32.store8 (i32.const 64) (i32.const 0xff))";
    let control = "(i32.store8 (i32.const 64) (i32.const 10))";
    for garbage in [effect, nameless, elsewhere, not_utf8, control] {
        check(garbage, Failure::BadVerdict).await;
    }
}

#[tokio::test]
async fn too_many_host_calls_are_stopped() {
    let directories = Directories::new();
    let decide = when_asked("(loop $again (drop (call $now)) (br $again))");
    directories.write_plugin("p.wasm", &importing(CLOCK, "", &decide));
    directories.write_plugin(
        "p.yaml",
        b"grants: [clock]\nlimits: {cpu_ms: 1000, wall_ms: 5000}",
    );
    let mut settings = directories.settings();
    settings.grants.insert("p".into(), vec!["clock".into()]);
    let plugins = Plugins::load(settings).unwrap();
    let advice = plugins.current().consult(question()).await;
    assert_eq!(advice[0].failure, Some(Failure::Limit));
}

#[tokio::test]
async fn nothing_is_left_of_a_call() {
    let decide = "(if (global.get $calls) (then (i32.store8 (i32.const 16) (i32.const 3))))
                  (global.set $calls (i32.const 1))";
    let generation = load(&component("", decide)).current();
    for _ in 0..3 {
        let advice = generation.consult(question()).await;
        assert_eq!(advice[0].effect, Effect::Allow);
    }
}

#[tokio::test]
async fn what_configure_left_behind_is_in_every_instance() {
    let configure = "(global.set $calls (i32.const 7))";
    let decide = "(if (i32.eq (global.get $calls) (i32.const 7)) (then (i32.store8 (i32.const 16) (i32.const 3))))";
    let generation = load(&component(configure, decide)).current();
    assert_eq!(generation.consult(question()).await[0].effect, Effect::Deny);
}

#[tokio::test]
async fn full_slots_are_an_overload_and_not_a_crash() {
    let generation = load(&component("", "")).current();
    let permits = generation.engine.permits();
    let all = permits.available_permits();
    let _taken = permits
        .acquire_many(u32::try_from(all).unwrap())
        .await
        .unwrap();
    let advice = generation.consult(question()).await;
    assert_eq!(advice[0].failure, Some(Failure::Overloaded));
}

#[test]
fn a_plugin_that_fails_a_simple_call_does_not_load() {
    refused(&component("", "unreachable"), "fails on a simple call");
    refused(&component("(loop $again (br $again))", ""), "configure");
    refused(&component("unreachable", ""), "configure");
}

#[test]
fn the_call_cannot_be_asked_about_while_configuring() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &importing(CLOCK, "(drop (call $now))", ""));
    directories.write_plugin("p.yaml", b"grants: [clock]");
    let mut settings = directories.settings();
    settings.grants.insert("p".into(), vec!["clock".into()]);
    let report = Plugins::load(settings).unwrap_err().to_string();
    assert!(report.contains("no call yet"), "{report}");
}

#[test]
fn an_import_without_a_grant_names_the_grant() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &importing(CLOCK, "", "(drop (call $now))"));
    let refusal = directories.refusal();
    assert!(
        refusal.contains("add `grants: [clock]` to `p.yaml`"),
        "{refusal}"
    );
    directories.write_plugin("p.yaml", b"grants: [clock]");
    let refusal = directories.refusal();
    assert!(
        refusal.contains("add `clock` to the grants of plugin `p`"),
        "{refusal}"
    );
}

#[test]
fn an_unknown_import_is_refused() {
    let import = r#"(import "test:plugin/elsewhere" "look" (func $look (result i64)))"#;
    refused(
        &importing(import, "", "(drop (call $look))"),
        "imports `test:plugin/elsewhere`, which this gateway does not offer",
    );
}

#[test]
fn files_that_are_not_plugins_are_refused() {
    let whole = component("", "");
    let native = Engine::new()
        .unwrap()
        .wasmtime()
        .precompile_component(&whole)
        .unwrap();
    refused(&native, "native code");
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..length], "is not a valid component");
    }
    refused(&whole[..8], "it exports nothing");
    refused(&wat::parse_str("(module)").unwrap(), "core module");
    refused(
        &wat::parse_str("(component)").unwrap(),
        "it exports nothing",
    );
}

#[test]
fn a_broken_manifest_is_refused() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &component("", ""));
    directories.write_plugin("p.yaml", b"limit: {}");
    let refusal = directories.refusal();
    assert!(
        refusal.contains("p.yaml") && refusal.contains("limit"),
        "{refusal}"
    );
}

#[test]
fn no_plugin_at_all_is_refused() {
    assert!(Directories::new().refusal().contains("there is no plugin"));
}

#[tokio::test]
async fn a_plugin_is_not_asked_about_what_does_not_interest_it() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &component("", ""));
    directories.write_plugin("p.yaml", b"interests: {services: [s3]}");
    let plugins = directories.load().unwrap();
    assert!(plugins.current().consult(question()).await.is_empty());
}

#[tokio::test]
async fn an_advisory_plugin_decides_nothing() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &component("", ""));
    directories.write_plugin("p.yaml", b"advisory: true");
    let plugins = directories.load().unwrap();
    assert!(plugins.current().consult(question()).await.is_empty());
    assert_eq!(plugins.status().plugins[0].calls, 1);
}

#[test]
fn compiled_code_that_was_touched_is_not_loaded() {
    let directories = Directories::new();
    let cache = tempfile::TempDir::new().unwrap();
    directories.write_plugin("p.wasm", &component("", ""));
    let mut settings = directories.settings();
    settings.cache_dir = Some(cache.path().to_owned());
    Plugins::load(settings.clone()).unwrap();
    let engine = Engine::new().unwrap();
    let code = CodeCache::open(cache.path()).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(cache.path()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .strip_suffix(".cwasm")
        else {
            continue;
        };
        assert!(code.get(engine.wasmtime(), name).is_some());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(code.get(engine.wasmtime(), name).is_none());
        seen += 1;
    }
    assert_eq!(seen, 2);
    Plugins::load(settings).unwrap();
}
