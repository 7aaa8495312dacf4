//! Disks that are full, fail or hang: real ones, made so by mount and strace. Where the machine has
//! neither, these tests pass without having tested and say so.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// What a child says once it has tested what it is there for.
const DONE: &str = "the child is done";

fn works(command: &[&str]) -> bool {
    let works = Command::new(command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        eprintln!("not tested here: `{}` does not work", command.join(" "));
    }
    works
}

fn run(wrapper: &[&str], name: &str, dir: &Path) {
    let output = child(wrapper, name, dir).output().unwrap();
    let done = String::from_utf8_lossy(&output.stdout).contains(DONE);
    assert!(
        output.status.success() && done,
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn with_sync_fault(fault: &str, name: &str) {
    if child_dir().is_some() || !works(&["strace", "-qq", "-e", "trace=none", "true"]) {
        return;
    }
    let inject = format!("inject=fdatasync:{fault}");
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        &inject,
    ];
    run(&wrapper, name, scratch().path());
}

#[test]
fn a_full_disk_refuses_calls_and_recovers() {
    if child_dir().is_some() || !works(&["unshare", "-m", "true"]) {
        return;
    }
    let dir = scratch();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$0\" && exec \"$@\"";
    let path = dir.path().to_str().unwrap();
    run(
        &["unshare", "-m", "sh", "-c", script, path],
        "faults::on_a_disk_that_fills_up",
        dir.path(),
    );
}

/// Not a test of its own.
#[tokio::test]
async fn on_a_disk_that_fills_up() {
    let Some(dir) = child_dir() else {
        return;
    };
    let (sample, audit) = (Sample::new(), open(&dir));
    let under_way = sample.begin(&audit).await.unwrap();
    let finished = under_way.id().to_string();
    let filler = fill(&dir);
    let refused = refused_sooner_or_later(&sample, &audit).await;
    assert!(matches!(audit.health(), Health::Refusing(_)));
    audit
        .outcome(under_way, &answered())
        .await
        .expect("the reserve has room for it");
    assert_eq!(
        sample.begin(&audit).await.unwrap_err(),
        Refusal::AuditUnavailable
    );

    std::fs::remove_file(filler).unwrap();
    eventually("recovers", || audit.health() == Health::Healthy).await;
    let later = sample.call(&audit).await.unwrap().to_string();
    drop(audit);
    let (entries, problems) = read(&dir);
    assert_eq!(problems, []);
    assert_eq!(outcome_of(&entries, &finished), Some("answered"));
    assert_eq!(outcome_of(&entries, &later), Some("answered"));
    assert_eq!(outcome_of(&entries, &refused), None);
    assert_eq!(events(&entries, "recovered").len(), 1);
    println!("{DONE}");
}

fn fill(dir: &Path) -> PathBuf {
    use std::io::Write;
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

/// A disk without a free block still has room in the last block of the segment.
async fn refused_sooner_or_later(sample: &Sample, audit: &Audit) -> String {
    for _ in 0..20 {
        let id = request_id(clock::now()).unwrap();
        match audit.intent(&sample.intent(id, Decision::Allow)).await {
            Ok(recorded) => drop(recorded),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::AuditUnavailable);
                return id.to_string();
            }
        }
    }
    panic!("never refused");
}

#[test]
fn a_failed_sync_ends_the_segment_and_nothing_unsynced_counts() {
    with_sync_fault("error=EIO:when=3", "faults::on_a_disk_that_fails_once");
}

/// Not a test of its own: the third commit fails.
#[tokio::test]
async fn on_a_disk_that_fails_once() {
    let Some(dir) = child_dir() else {
        return;
    };
    let (sample, audit) = (Sample::new(), open(&dir));
    let before = sample.call(&audit).await.unwrap().to_string();
    let id = request_id(clock::now()).unwrap();
    let failed = audit.intent(&sample.intent(id, Decision::Allow)).await;
    assert_eq!(failed.unwrap_err(), Refusal::AuditUnavailable);
    eventually("recovers", || audit.health() == Health::Healthy).await;
    let after = sample.call(&audit).await.unwrap().to_string();
    drop(audit);
    assert_eq!(segment_paths(&dir).len(), 2);
    let (entries, problems) = read(&dir);
    assert_eq!(problems, []);
    assert_eq!(outcome_of(&entries, &before), Some("answered"));
    assert_eq!(outcome_of(&entries, &id.to_string()), None);
    assert_eq!(outcome_of(&entries, &after), Some("answered"));
    assert_eq!(events(&entries, "recovered").len(), 1);
    println!("{DONE}");
}

#[test]
fn a_disk_that_keeps_failing_refuses_for_good() {
    with_sync_fault("error=EIO:when=2+", "faults::on_a_disk_that_keeps_failing");
}

/// Not a test of its own: every commit but the first fails. An outcome is withheld then too.
#[tokio::test]
async fn on_a_disk_that_keeps_failing() {
    let Some(dir) = child_dir() else {
        return;
    };
    let settings = Settings {
        patience: Duration::from_millis(700),
        ..Settings::default()
    };
    let (sample, audit) = (Sample::new(), Audit::open(&dir, settings).unwrap());
    let recorded = sample.begin(&audit).await.unwrap();
    let withheld = audit.outcome(recorded, &answered()).await;
    assert_eq!(withheld.unwrap_err(), Refusal::AuditUnavailable);
    assert_eq!(
        sample.begin(&audit).await.unwrap_err(),
        Refusal::AuditUnavailable
    );
    assert!(matches!(audit.health(), Health::Refusing(_)));
    println!("{DONE}");
}

#[test]
fn a_disk_that_hangs_refuses_in_time_and_the_late_intent_says_not_sent() {
    with_sync_fault("delay_enter=1500000:when=2", "faults::on_a_disk_that_hangs");
}

/// Not a test of its own: the second commit takes a second and a half.
#[tokio::test]
async fn on_a_disk_that_hangs() {
    let Some(dir) = child_dir() else {
        return;
    };
    let settings = Settings {
        patience: Duration::from_millis(300),
        ..Settings::default()
    };
    let (sample, audit) = (Sample::new(), Audit::open(&dir, settings).unwrap());
    let first = sample.begin(&audit).await.unwrap();
    let id = request_id(clock::now()).unwrap();
    let late = audit.intent(&sample.intent(id, Decision::Allow)).await;
    assert_eq!(late.unwrap_err(), Refusal::AuditUnavailable);
    assert!(matches!(audit.health(), Health::Refusing(_)));
    eventually("answers again", || audit.health() == Health::Healthy).await;
    audit.outcome(first, &answered()).await.unwrap();
    drop(audit);
    let (entries, problems) = read(&dir);
    assert_eq!(problems, []);
    assert_eq!(outcome_of(&entries, &id.to_string()), Some("not-sent"));
    println!("{DONE}");
}
