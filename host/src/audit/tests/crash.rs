//! A gateway killed again and again: what it acknowledged is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::*;

const ROUNDS: u32 = 200;
const ROUNDS_PER_LOG: u32 = 20;

const SETTINGS: Settings = Settings {
    segment_bytes: 64 * 1024,
    patience: Duration::from_secs(30),
    queue_bytes: 1024 * 1024,
};

/// Not a test of its own: what the killed process runs.
#[test]
fn acknowledging_calls_until_killed() {
    let Some(dir) = child_dir() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let audit = Arc::new(Audit::open(&dir, SETTINGS).unwrap());
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            calls.spawn(acknowledge(audit.clone()));
        }
        calls.join_next().await
    });
}

async fn acknowledge(audit: Arc<Audit>) {
    let sample = Sample::new();
    loop {
        let recorded = sample.begin(&audit).await.unwrap();
        let id = recorded.id();
        say("intent", id);
        audit.outcome(recorded, &answered()).await.unwrap();
        say("outcome", id);
    }
}

fn say(what: &str, id: RequestId) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{what} {id}\n").as_bytes())
        .unwrap();
    out.flush().unwrap();
}

#[test]
fn a_process_killed_at_any_time_loses_nothing_it_acknowledged() {
    if child_dir().is_some() {
        return;
    }
    let mut dir = scratch();
    let mut acknowledged = BTreeSet::new();
    let mut all = 0;
    for round in 0..ROUNDS {
        if round % ROUNDS_PER_LOG == 0 {
            dir = scratch();
            acknowledged.clear();
        }
        let mut lines = (round.wrapping_mul(2_654_435_761) >> 24) + 1;
        let mut process = child(&[], "crash::acknowledging_calls_until_killed", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let said = parse(&line.unwrap());
            all += usize::from(said.is_some());
            acknowledged.extend(said);
            lines = lines.saturating_sub(1);
            if lines == 0 {
                process.kill().unwrap();
            }
        }
        process.wait().unwrap();
        drop(Audit::open(dir.path(), SETTINGS).unwrap());
        verify(dir.path(), &acknowledged, round);
    }
    assert!(all > 10_000, "only {all} acknowledgements");
}

fn parse(line: &str) -> Option<(String, String)> {
    let (what, id) = line.split_once(' ')?;
    let known = matches!(what, "intent" | "outcome") && id.len() == 36;
    known.then(|| (what.to_owned(), id.to_owned()))
}

fn verify(dir: &Path, acknowledged: &BTreeSet<(String, String)>, round: u32) {
    let (entries, problems) = read(dir);
    assert_eq!(problems, [], "round {round}");
    let outcomes: std::collections::BTreeMap<&str, &str> = entries
        .iter()
        .filter_map(|entry| Some((entry.id()?, entry.text("outcome").unwrap_or("open"))))
        .collect();
    for (what, id) in acknowledged {
        let outcome = outcomes.get(id.as_str());
        let kept = match what.as_str() {
            "intent" => matches!(outcome, Some(&("answered" | "unknown"))),
            _ => outcome == Some(&"answered"),
        };
        assert!(kept, "round {round}: {what} {id} is {outcome:?}");
    }
    assert!(
        !outcomes.values().any(|outcome| *outcome == "open"),
        "round {round}"
    );
}
