//! What `audit` promises, as tests.

use std::path::Path;

use portcullis_core::access::{Principal, Session};
use portcullis_core::call::{AccessLevel, Action};
use portcullis_core::record::entry::Entry;
use portcullis_core::record::{Called, Decision, End, Event, Intent, Outcome, RequestId};
use portcullis_core::refusal::Refusal;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::read::{Problem, Reader};
use super::*;

mod crash;
mod damage;
mod faults;
mod flow;
mod view;

/// In memory where there is such a file system: what is tested is logic, not a disk.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn open(dir: &Path) -> Audit {
    // Children that other tests start hold the lock between their fork and their exec.
    loop {
        match Audit::open(dir, Settings::default()) {
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// What calls in these tests have in common.
struct Sample {
    session: Session,
    actions: Vec<Action>,
    rules: Vec<String>,
    user_agent: String,
}

impl Sample {
    fn new() -> Self {
        Self {
            session: Session {
                principal: Principal {
                    issuer: "https://idp.example".to_owned(),
                    subject: "robot".to_owned(),
                    email: None,
                    groups: vec!["agents".to_owned()],
                },
                name: "run-1".to_owned(),
                access_key_id: "PCAK1".to_owned(),
                connection: "dev".to_owned(),
                role: "agent-readonly".to_owned(),
                parent: None,
                confined_to: None,
                issued_at: OffsetDateTime::UNIX_EPOCH,
                expires_at: OffsetDateTime::UNIX_EPOCH,
            },
            actions: vec![Action {
                name: "dynamodb:GetItem".to_owned(),
                resource: "arn:aws:dynamodb:us-east-1:123456789012:table/a".to_owned(),
                access: AccessLevel::Read,
            }],
            rules: vec!["cedar/agents-read".to_owned()],
            user_agent: "Boto3/1.43".to_owned(),
        }
    }

    fn intent(&self, id: RequestId, decision: Decision) -> Intent<'_> {
        Intent {
            user_agent: Some(&self.user_agent),
            session: Some(&self.session),
            called: Some(Called {
                service: "dynamodb",
                operation: "GetItem",
                region: "us-east-1",
                account: "123456789012",
                access: AccessLevel::Read,
                actions: &self.actions,
                unknown_members: &[],
            }),
            decision,
            rules: &self.rules,
            ..Intent::new(id, clock::now())
        }
    }

    async fn begin(&self, audit: &Audit) -> Result<Recorded, Refusal> {
        let id = request_id(clock::now()).unwrap();
        audit.intent(&self.intent(id, Decision::Allow)).await
    }

    /// A whole call; its id once both records were acknowledged.
    async fn call(&self, audit: &Audit) -> Result<RequestId, Refusal> {
        let recorded = self.begin(audit).await?;
        let id = recorded.id();
        audit.outcome(recorded, &answered()).await?;
        Ok(id)
    }
}

fn answered() -> Outcome<'static> {
    Outcome {
        status: Some(200),
        ..Outcome::new(End::Answered, clock::now())
    }
}

/// All entries of the log, and what is wrong with it.
fn read(dir: &Path) -> (Vec<Entry>, Vec<Problem>) {
    let mut reader = Reader::open(dir, None).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(entry);
    }
    let problems = reader.problems().iter().cloned().collect();
    (entries, problems)
}

fn outcome_of<'a>(entries: &'a [Entry], id: &str) -> Option<&'a str> {
    entries
        .iter()
        .find(|entry| entry.id() == Some(id))
        .map(|entry| entry.text("outcome").unwrap_or("open"))
}

fn events<'a>(entries: &'a [Entry], name: &str) -> Vec<&'a Entry> {
    entries
        .iter()
        .filter(|entry| entry.text("event") == Some(name))
        .collect()
}

fn segment_paths(dir: &Path) -> Vec<std::path::PathBuf> {
    let listed = segments::list(dir).unwrap();
    listed.into_iter().map(|(_, path)| path).collect()
}

/// This test binary again, to run the one test `name` as a child that gets `dir`.
fn child(wrapper: &[&str], name: &str, dir: &Path) -> std::process::Command {
    let exe = std::env::current_exe().unwrap();
    let mut words: Vec<&std::ffi::OsStr> = wrapper.iter().map(std::ffi::OsStr::new).collect();
    words.push(exe.as_os_str());
    let mut command = std::process::Command::new(words[0]);
    command
        .args(&words[1..])
        .args([
            "--exact",
            &format!("{}::{name}", module_path!().split_once("::").unwrap().1),
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, dir);
    command
}

/// The child's directory; `None` in an ordinary run, where child bodies do nothing.
fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

const CHILD: &str = "PORTCULLIS_TEST_AUDIT_CHILD";

/// Waits for what another thread is about to bring about.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let mut tries = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tries.tick().await;
    }
    panic!("never: {what}");
}
