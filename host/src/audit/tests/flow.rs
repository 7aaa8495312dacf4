//! Calls as the pipeline makes them.

use std::net::IpAddr;

use portcullis_core::record::frame::Place;

use super::super::segments::{Step, Walk};
use super::*;

#[tokio::test]
async fn a_call_is_there_from_intent_to_outcome() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let recorded = sample.begin(&audit).await.unwrap();
    let id = recorded.id().to_string();
    assert_eq!(outcome_of(&read(dir.path()).0, &id), Some("open"));
    audit.outcome(recorded, &answered()).await.unwrap();
    let (entries, problems) = read(dir.path());
    assert_eq!(outcome_of(&entries, &id), Some("answered"));
    assert_eq!(problems, []);
}

#[tokio::test]
async fn a_refused_call_is_one_record() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let id = request_id(clock::now()).unwrap();
    let outcome = Outcome::new(End::NotSent, clock::now());
    audit
        .refused(&sample.intent(id, Decision::Deny), &outcome)
        .await
        .unwrap();
    let (entries, _) = read(dir.path());
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].text("decision"), Some("deny"));
}

#[tokio::test]
async fn an_agent_that_goes_away_leaves_an_outcome() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let sent = sample.begin(&audit).await.unwrap();
    let streaming = sample.begin(&audit).await.unwrap();
    let ids = [sent.id().to_string(), streaming.id().to_string()];
    let replying = audit.head(streaming, &answered()).await.unwrap();
    drop(sent);
    drop(replying);
    audit.close();
    let (entries, _) = read(dir.path());
    assert_eq!(outcome_of(&entries, &ids[0]), Some("abandoned"));
    assert_eq!(outcome_of(&entries, &ids[1]), Some("interrupted"));
}

#[tokio::test]
async fn a_streamed_answer_has_head_and_end() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let recorded = sample.begin(&audit).await.unwrap();
    let id = recorded.id().to_string();
    let replying = audit.head(recorded, &answered()).await.unwrap();
    let end = Outcome {
        response_bytes: Some(5),
        ..Outcome::new(End::Answered, clock::now())
    };
    audit.end(replying, &end).await.unwrap();
    let (entries, _) = read(dir.path());
    assert_eq!(outcome_of(&entries, &id), Some("answered"));
    assert_eq!(entries[0].get("status").unwrap(), 200);
    assert_eq!(entries[0].get("response_bytes").unwrap(), 5);
}

#[tokio::test]
async fn a_call_given_up_while_its_intent_waits_is_recorded_as_not_sent() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let id = request_id(clock::now()).unwrap();
    let intent = sample.intent(id, Decision::Allow);
    let mut waiting = Box::pin(audit.intent(&intent));
    // One poll queues the record; then the agent is gone.
    let first = futures_poll_once(waiting.as_mut()).await;
    drop(waiting);
    if first.is_none() {
        audit.close();
        let (entries, _) = read(dir.path());
        assert_eq!(outcome_of(&entries, &id.to_string()), Some("not-sent"));
    }
}

async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_share_commits() {
    // On a real disk: a sync that takes time is what lets records gather.
    let dir = tempfile::tempdir().unwrap();
    let audit = Arc::new(open(dir.path()));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let audit = audit.clone();
        calls.spawn(async move {
            let sample = Sample::new();
            for _ in 0..10 {
                sample.call(&audit).await.unwrap();
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    audit.close();
    let mut walk = Walk::open(&segment_paths(dir.path())[0]).unwrap();
    let (mut records, mut commits) = (0, 0);
    while let Step::Record(frame) = walk.step().unwrap() {
        records += 1;
        commits += usize::from(frame.place == Place::Opens);
    }
    assert_eq!(records, 1 + 2 * 640);
    assert!(
        commits * 4 < records,
        "{commits} commits for {records} records"
    );
}

#[tokio::test]
async fn segments_follow_one_another_and_carry_open_calls() {
    let (dir, sample) = (scratch(), Sample::new());
    let settings = Settings {
        segment_bytes: 2000,
        ..Settings::default()
    };
    let audit = Audit::open(dir.path(), settings).unwrap();
    let long = sample.begin(&audit).await.unwrap();
    let id = long.id().to_string();
    for _ in 0..10 {
        sample.call(&audit).await.unwrap();
    }
    assert!(segment_paths(dir.path()).len() > 3);
    // As after a crash: its intent is segments away from the tail.
    std::mem::forget(long);
    drop(audit);
    drop(Audit::open(dir.path(), settings).unwrap());
    let (entries, problems) = read(dir.path());
    assert_eq!(problems, []);
    assert_eq!(outcome_of(&entries, &id), Some("unknown"));
}

#[tokio::test]
async fn a_second_gateway_is_refused() {
    let dir = scratch();
    let first = open(dir.path());
    let second = Audit::open(dir.path(), Settings::default());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(first);
    open(dir.path());
}

#[tokio::test]
async fn a_closed_log_takes_nothing() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    assert_eq!(audit.health(), Health::Healthy);
    audit.close();
    assert_eq!(
        sample.begin(&audit).await.unwrap_err(),
        Refusal::AuditUnavailable
    );
    assert!(matches!(audit.health(), Health::Refusing(_)));
}

#[tokio::test]
async fn scanners_are_counted_and_principals_recorded_one_by_one() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    let (arrived, outcome) = (clock::now(), Outcome::new(End::NotSent, clock::now()));
    for number in 0..1000_u32 {
        let id = request_id(arrived).unwrap();
        let scan = Intent {
            source_ip: Some(IpAddr::from([192, 0, 2, u8::try_from(number % 2).unwrap()])),
            decision: Decision::Unauthenticated,
            ..Intent::new(id, arrived)
        };
        audit.refused(&scan, &outcome).await.unwrap();
    }
    for _ in 0..20 {
        let id = request_id(arrived).unwrap();
        audit
            .refused(&sample.intent(id, Decision::Deny), &outcome)
            .await
            .unwrap();
    }
    audit.close();
    let (entries, _) = read(dir.path());
    let decided = |word| {
        entries
            .iter()
            .filter(|entry| entry.text("decision") == Some(word))
            .count()
    };
    assert_eq!(decided("unauthenticated"), 10);
    assert_eq!(decided("deny"), 20);
    let counted: u64 = events(&entries, "suppressed")
        .iter()
        .filter_map(|event| event.get("total")?.as_u64())
        .sum();
    assert_eq!(counted, 990);
}

#[tokio::test]
async fn a_log_whose_file_was_removed_refuses_calls() {
    let (dir, sample) = (scratch(), Sample::new());
    let audit = open(dir.path());
    std::fs::remove_file(&segment_paths(dir.path())[0]).unwrap();
    assert_eq!(
        sample.begin(&audit).await.unwrap_err(),
        Refusal::AuditUnavailable
    );
    assert!(matches!(audit.health(), Health::Refusing(_)));
}

#[tokio::test]
async fn files_are_for_the_gateway_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = scratch();
    let dir = parent.path().join("audit");
    let audit = open(&dir);
    audit
        .event(clock::now(), &Event::Stopped { reason: "test" })
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
