//! Requests of an agent that holds a good key and no good will, as bytes on a socket: none of them
//! reaches AWS, each is refused in its service's own shape, and each that came from somebody known
//! leaves one record.
//!
//! The cases have numbers, and every number has a test whose name or comment begins with it.

mod bodies;
mod parsing;
mod presigned;
mod signatures;
mod ways;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::recorder::Recorder;
use crate::fixture::sign::{Session, Signed};
use crate::fixture::wire::Response;
use crate::fixture::{issuer, place, recorder_connection, stage};

/// How many cases there are of a signature, and of parsing.
const CASES: [(&str, u32); 2] = [("sig", 26), ("par", 20)];

/// Everything is allowed but what the cases about lists of resources hide in them, so that nothing
/// but the gateway's own checks stands between a case and AWS.
const POLICY: &str = r#"
@id("everything")
permit (principal in Group::"power", action, resource);

@id("vault")
forbid (principal, action, resource) when { resource.arn like "*vault*" };
"#;

/// A gateway of the suite's own, whose AWS is `silent` for whatever must not arrive and `controls`
/// for what may.
struct Ground {
    gateway: Gateway,
    silent: Recorder,
    controls: Recorder,
    /// One test at a time, because each counts records.
    turn: Mutex<()>,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let (silent, controls) = (Recorder::start(), Recorder::start());
        let gateway = Gateway::start(Setting {
            name: "hostile",
            connections: vec![
                recorder_connection("silent", "400000000001", &silent.url()),
                recorder_connection("controls", "400000000002", &controls.url()),
            ],
            issuers: vec![issuer(stage().idp.certified())],
            policies: vec![("hostile.cedar", POLICY.to_owned())],
            environment: stage().moto.gateway_environment(),
            ..Setting::default()
        });
        Ground {
            gateway,
            silent,
            controls,
            turn: Mutex::new(()),
        }
    })
}

/// One test's turn.
struct Trial {
    ground: &'static Ground,
    session: Session,
    host: String,
    records: usize,
    refused: usize,
    /// What came out otherwise: all of it is told at the end.
    problems: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Trial {
    fn begin() -> Self {
        let ground = ground();
        let turn = ground
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let token = stage().idp.token("agent-power");
        let session = ground
            .gateway
            .session("arn:aws:iam::400000000001:role/agent", &token);
        Self {
            session,
            host: ground.gateway.host(),
            records: known(ground),
            refused: 0,
            problems: Vec::new(),
            ground,
            _turn: turn,
        }
    }

    /// Sends a request that must be refused with one of these statuses.
    fn refused(&mut self, what: &str, request: &Signed, statuses: &[u16]) -> Response {
        let bytes = request.bytes();
        let before = self.ground.silent.bytes();
        let answer = self.ground.gateway.send(&bytes);
        let mut problem = |text: String| self.problems.push(format!("{what}: {text}"));
        if !statuses.contains(&answer.status) {
            problem(format!("{} {}", answer.status, answer.text()));
        }
        if self.ground.silent.bytes() != before {
            problem(format!("was sent:\n{}", String::from_utf8_lossy(&bytes)));
        }
        for secret in [&self.session.secret, &self.session.token] {
            if answer.text().contains(secret.as_str()) {
                problem(format!("tells a secret: {}", answer.text()));
            }
        }
        self.refused += 1;
        answer
    }

    /// Every case so far was somebody's, so that each has a record of its own.
    fn each_has_a_record(mut self) {
        let wanted = self.records + self.refused;
        let ground = self.ground;
        let found = known(ground);
        if found != wanted {
            let text = format!(
                "{} cases left {} records",
                self.refused,
                found - self.records
            );
            self.problems.push(text);
        }
    }

    /// A session whose calls arrive at `controls`.
    fn control(&self) -> Session {
        let token = stage().idp.token("agent-power");
        self.ground
            .gateway
            .session("arn:aws:iam::400000000002:role/agent", &token)
    }

    /// Sends a request that must be carried out, and returns how it arrived.
    fn accepted(&self, what: &str, request: &Signed) -> crate::fixture::wire::Request {
        let before = self.ground.controls.requests().len();
        let answer = self.ground.gateway.send(&request.bytes());
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let arrived = self.ground.controls.requests();
        assert_eq!(arrived.len(), before + 1, "{what}");
        arrived.into_iter().next_back().unwrap()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.problems.is_empty(), "{}", self.problems.join("\n\n"));
        }
    }
}

/// Records of somebody: strangers' become counts after a few.
fn known(ground: &Ground) -> usize {
    let records = ground.gateway.audit();
    let somebody = records.iter().filter(|record| {
        record["connection"] == "silent" && record["operation"] != "AssumeRoleWithWebIdentity"
    });
    somebody.count()
}

#[test]
fn every_case_has_a_test() {
    let mut text = String::new();
    for directory in ["tests/e2e", "host/core/src", "host/src", "plugins/cedar"] {
        gather(&place::root().join(directory), &mut text);
    }
    let mut missing = Vec::new();
    for (group, count) in CASES {
        for number in 1..=count {
            let name = format!("fn {group}_{number:02}_");
            let comment = format!("/// {}-{number:02}:", group.to_uppercase());
            if !text.contains(&name) && !text.contains(&comment) {
                missing.push(format!("{group}-{number:02}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn gather(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            gather(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
