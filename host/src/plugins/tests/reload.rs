//! Files that change while calls are served: good sets are taken, broken ones never.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use portcullis_core::access::Effect;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::support::*;
use super::*;

/// A plugin that allows, or with `3` denies.
fn plugin(effect: u8) -> Vec<u8> {
    component(
        "",
        &format!("(i32.store8 (i32.const 16) (i32.const {effect}))"),
    )
}

const ALLOW: u8 = 1;
const DENY: u8 = 3;

async fn effect(plugins: &Plugins) -> Effect {
    plugins.current().consult(question()).await[0].effect
}

/// Waits for what the watcher is to bring about.
async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect(what);
}

fn watched(directories: &Directories) -> (Arc<Plugins>, CancellationToken) {
    let plugins = directories.load().unwrap();
    let shutdown = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "ends with its test's runtime")]
    tokio::spawn(Arc::clone(&plugins).watch(mpsc::unbounded_channel().0, shutdown.clone()));
    (plugins, shutdown)
}

#[tokio::test]
async fn a_changed_plugin_replaces_the_old_one() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    let plugins = directories.load().unwrap();
    let pinned = plugins.current();
    directories.write_plugin("p.wasm", &plugin(DENY));
    let report = plugins.reload();
    assert_eq!(
        (report.generation, report.rebuilt),
        (2, vec!["p".to_owned()])
    );
    assert_eq!(effect(&plugins).await, Effect::Deny);
    let before = pinned.consult(question()).await;
    assert_eq!(
        before[0].effect,
        Effect::Allow,
        "a pinned generation does not change"
    );
    assert_ne!(pinned.digests()["p"], plugins.current().digests()["p"]);
}

#[test]
fn unchanged_files_are_not_rebuilt() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    directories.write_plugin("q.wasm", &plugin(ALLOW));
    let plugins = directories.load().unwrap();
    let before = plugins.current();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    assert_eq!(plugins.reload(), Report::unchanged(1));
    assert!(Arc::ptr_eq(&before, &plugins.current()));
    directories.write_plugin("q.yaml", b"limits: {cpu_ms: 5}");
    assert_eq!(plugins.reload().rebuilt, ["q"]);
    assert!(Arc::ptr_eq(
        &before.plugins[0],
        &plugins.current().plugins[0]
    ));
}

#[tokio::test]
async fn a_broken_policy_keeps_the_old_generation_and_names_file_and_line() {
    let directories = Directories::cedar(PERMIT_ALL);
    let plugins = directories.load().unwrap();
    directories.write_policy("b.cedar", "\npermit (principal, action resource);");
    let report = plugins.reload();
    assert_eq!(report.generation, 1);
    assert!(
        report.problems[0].to_string().starts_with("b.cedar:2:27: "),
        "{report:?}"
    );
    assert_eq!(effect(&plugins).await, Effect::Allow);
    assert_eq!(plugins.status().problems, report.problems);
    directories.write_policy("b.cedar", FORBID_ALL);
    assert_eq!(plugins.reload().rebuilt, ["cedar"]);
    assert_eq!(effect(&plugins).await, Effect::Deny);
    assert!(plugins.status().problems.is_empty());
}

#[tokio::test]
async fn a_broken_plugin_keeps_the_old_generation() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    let plugins = directories.load().unwrap();
    for broken in [
        component("", "unreachable"),
        plugin(DENY)[..200].to_vec(),
        Vec::new(),
    ] {
        directories.write_plugin("p.wasm", &broken);
        assert_eq!(plugins.reload().generation, 1);
        assert_eq!(effect(&plugins).await, Effect::Allow);
        assert!(plugins.status().plugins[0].last_error.is_some());
    }
}

#[tokio::test]
async fn a_deleted_plugin_keeps_serving_until_it_is_disabled() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(DENY));
    directories.write_plugin("q.wasm", &plugin(ALLOW));
    let plugins = directories.load().unwrap();
    fs::remove_file(directories.plugins().join("p.wasm")).unwrap();
    let report = plugins.reload();
    assert_eq!(report.generation, 1);
    assert!(
        report.problems[0].to_string().contains("is gone"),
        "{report:?}"
    );
    assert_eq!(effect(&plugins).await, Effect::Deny);
    assert!(plugins.status().plugins[0].last_error.is_some());
    directories.write_plugin("p.yaml", b"disabled: true");
    assert_eq!(plugins.reload().generation, 2);
    assert_eq!(effect(&plugins).await, Effect::Allow);
}

#[test]
fn a_directory_that_vanishes_keeps_the_old_generation() {
    let directories = Directories::cedar(PERMIT_ALL);
    let plugins = directories.load().unwrap();
    fs::remove_dir_all(directories.policies()).unwrap();
    assert_eq!(plugins.reload().generation, 1);
    fs::create_dir(directories.policies()).unwrap();
    let report = plugins.reload();
    assert_eq!(report.generation, 1);
    assert!(
        report.problems[0].message.contains("no policy file"),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_atomic_rename_is_noticed() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    let (plugins, _shutdown) = watched(&directories);
    directories.write_plugin(".p.wasm.new", &plugin(DENY));
    fs::rename(
        directories.plugins().join(".p.wasm.new"),
        directories.plugins().join("p.wasm"),
    )
    .unwrap();
    until("the new plugin", || plugins.current().id() == 2).await;
    assert_eq!(effect(&plugins).await, Effect::Deny);
}

#[tokio::test]
async fn a_slow_write_is_taken_whole_or_not_at_all() {
    use std::io::Write;
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    let (plugins, _shutdown) = watched(&directories);
    let new = plugin(DENY);
    let mut file = fs::File::create(directories.plugins().join("p.wasm")).unwrap();
    for piece in new.chunks(new.len() / 10 + 1) {
        file.write_all(piece).unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(
            plugins.status().problems,
            [],
            "a half-written file was tried"
        );
    }
    drop(file);
    until("the new plugin", || plugins.current().id() == 2).await;
    assert_eq!(effect(&plugins).await, Effect::Deny);
}

#[tokio::test]
async fn a_kubernetes_volume_swap_is_noticed() {
    let directories = Directories::new();
    let plugins_dir = directories.plugins();
    for (version, effect) in [("..1", ALLOW), ("..2", DENY)] {
        fs::create_dir(plugins_dir.join(version)).unwrap();
        fs::write(plugins_dir.join(version).join("p.wasm"), plugin(effect)).unwrap();
    }
    symlink("..1", plugins_dir.join("..data")).unwrap();
    symlink("..data/p.wasm", plugins_dir.join("p.wasm")).unwrap();
    let (plugins, _shutdown) = watched(&directories);
    assert_eq!(effect(&plugins).await, Effect::Allow);
    symlink("..2", plugins_dir.join("..tmp")).unwrap();
    fs::rename(plugins_dir.join("..tmp"), plugins_dir.join("..data")).unwrap();
    until("the new plugin", || plugins.current().id() == 2).await;
    assert_eq!(effect(&plugins).await, Effect::Deny);
}

#[tokio::test]
async fn a_policy_edit_is_noticed_and_a_deletion_is_reported() {
    let directories = Directories::cedar(PERMIT_ALL);
    let (plugins, _shutdown) = watched(&directories);
    directories.write_policy("b.cedar", FORBID_ALL);
    until("the new policy", || plugins.current().id() == 2).await;
    assert_eq!(effect(&plugins).await, Effect::Deny);
    fs::remove_file(directories.plugins().join("cedar.wasm")).unwrap();
    until("the problem", || !plugins.status().problems.is_empty()).await;
    assert_eq!(effect(&plugins).await, Effect::Deny);
    assert_eq!(plugins.current().id(), 2);
}

#[tokio::test]
async fn watching_ends_at_shutdown() {
    let directories = Directories::new();
    directories.write_plugin("p.wasm", &plugin(ALLOW));
    let plugins = directories.load().unwrap();
    let shutdown = CancellationToken::new();
    let watching = Arc::clone(&plugins).watch(mpsc::unbounded_channel().0, shutdown.clone());
    shutdown.cancel();
    timeout(Duration::from_secs(5), watching).await.unwrap();
}
