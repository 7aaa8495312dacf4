//! Logs that are not what was written: cut off by a crash, or changed by somebody.

use std::path::PathBuf;

use portcullis_core::record::{Draft, frame};

use super::super::segments::{Step, Walk};
use super::*;

const SMALL: Settings = Settings {
    segment_bytes: 1200,
    patience: Duration::from_secs(2),
    queue_bytes: 1024 * 1024,
};

/// Where a record lies.
struct Place {
    sequence: u64,
    start: usize,
    end: usize,
}

fn places(path: &Path) -> Vec<Place> {
    let mut walk = Walk::open(path).unwrap();
    let mut places = Vec::new();
    loop {
        let start = usize::try_from(walk.offset()).unwrap();
        let Step::Record(frame) = walk.step().unwrap() else {
            return places;
        };
        let end = start + frame.length;
        places.push(Place {
            sequence: frame.sequence,
            start,
            end,
        });
    }
}

async fn write(dir: &Path, settings: Settings, calls: usize) -> Vec<PathBuf> {
    let audit = Audit::open(dir, settings).unwrap();
    let sample = Sample::new();
    for _ in 0..calls {
        sample.call(&audit).await.unwrap();
    }
    drop(audit);
    segment_paths(dir)
}

#[tokio::test]
async fn a_write_cut_off_at_any_byte_loses_only_that_record() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 3).await.remove(0);
    let whole = std::fs::read(&path).unwrap();
    let last = places(&path).pop().unwrap();
    for cut in last.start..last.end {
        let copy = scratch();
        let copied = copy.path().join(path.file_name().unwrap());
        std::fs::write(&copied, &whole[..cut]).unwrap();
        drop(open(copy.path()));
        let (entries, problems) = read(copy.path());
        assert_eq!(problems, [], "cut at {cut}");
        let outcomes: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.text("outcome"))
            .collect();
        assert_eq!(
            outcomes,
            ["answered", "answered", "unknown"],
            "cut at {cut}"
        );
        let repairs = events(&entries, "recovered");
        let torn = repairs[0].get("torn_bytes").unwrap().as_u64().unwrap();
        assert_eq!(torn, (cut - last.start) as u64);
        if torn > 0 {
            let kept = copy.path().join(repairs[0].text("kept_as").unwrap());
            assert_eq!(std::fs::read(kept).unwrap(), &whole[last.start..cut]);
        }
    }
}

#[tokio::test]
async fn a_write_cut_off_at_any_byte_is_seen_by_readers() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 2).await.remove(0);
    let whole = std::fs::read(&path).unwrap();
    let last = places(&path).pop().unwrap();
    for cut in [last.start + 1, last.start + 20, last.end - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (_, problems) = read(dir.path());
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].sequence, last.sequence);
    }
}

#[tokio::test]
async fn a_tail_of_zeros_is_cut_off() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 2).await.remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0; 5000]);
    std::fs::write(&path, bytes).unwrap();
    drop(open(dir.path()));
    let (entries, problems) = read(dir.path());
    assert_eq!(problems, []);
    assert_eq!(
        events(&entries, "recovered")[0].get("torn_bytes").unwrap(),
        5000
    );
}

#[tokio::test]
async fn any_byte_changed_is_found_and_named() {
    let dir = scratch();
    let paths = write(dir.path(), SMALL, 3).await;
    assert!(paths.len() > 1);
    for path in &paths {
        let whole = std::fs::read(path).unwrap();
        let places = places(path);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x04;
            std::fs::write(path, changed).unwrap();
            let (_, problems) = read(dir.path());
            let hit = places.iter().find(|place| at < place.end).unwrap();
            let named = problems
                .iter()
                .any(|problem| problem.sequence == hit.sequence);
            assert!(named, "byte {at} of {}: {problems:?}", path.display());
        }
        std::fs::write(path, whole).unwrap();
    }
    assert_eq!(read(dir.path()).1, []);
}

#[tokio::test]
async fn records_removed_swapped_or_repeated_are_found_and_named() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 4).await.remove(0);
    let whole = std::fs::read(&path).unwrap();
    let places = places(&path);
    let part = |index: usize| &whole[places[index].start..places[index].end];
    let (before, after) = (&whole[..places[3].start], &whole[places[5].start..]);
    for (what, middle) in [
        ("removed", part(4).to_vec()),
        ("swapped", [part(4), part(3)].concat()),
        ("repeated", [part(3), part(3), part(4)].concat()),
    ] {
        std::fs::write(&path, [before, &middle, after].concat()).unwrap();
        let (_, problems) = read(dir.path());
        let first = problems.first().expect(what).sequence;
        let expected = places[3].sequence + u64::from(what == "repeated");
        assert_eq!(first, expected, "{what}");
    }
}

#[tokio::test]
async fn a_forged_record_breaks_the_chain() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 4).await.remove(0);
    let whole = std::fs::read(&path).unwrap();
    let places = places(&path);
    let forged = Draft::event(clock::now(), &Event::Stopped { reason: "nothing" }).unwrap();
    let mut walk = Walk::open(&path).unwrap();
    for _ in 0..3 {
        walk.step().unwrap();
    }
    // Its checksum is right. Without the chain so far it is named itself; with it, its successor is.
    for (previous, named) in [([0; 32], 3), (walk.chain(), 4)] {
        let mut bytes = whole[..places[3].start].to_vec();
        let opens = frame::Place::Opens;
        frame::encode(&forged, places[3].sequence, opens, &previous, &mut bytes);
        bytes.extend_from_slice(&whole[places[3].end..]);
        std::fs::write(&path, bytes).unwrap();
        let (_, problems) = read(dir.path());
        assert_eq!(problems[0].sequence, places[named].sequence);
    }
}

#[tokio::test]
async fn segments_removed_or_swapped_are_found() {
    let dir = scratch();
    let paths = write(dir.path(), SMALL, 6).await;
    assert!(paths.len() > 3);
    let away = dir.path().join("away");
    std::fs::rename(&paths[1], &away).unwrap();
    let missing = places(&away)[0].sequence;
    assert_eq!(read(dir.path()).1[0].sequence, missing);
    std::fs::rename(&paths[2], &paths[1]).unwrap();
    std::fs::rename(&away, &paths[2]).unwrap();
    assert!(!read(dir.path()).1.is_empty());
}

#[tokio::test]
async fn damage_to_durable_records_is_kept_for_the_auditor() {
    let dir = scratch();
    let path = write(dir.path(), Settings::default(), 4).await.remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let hit = &places(&path)[3];
    bytes[hit.start + 30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let sample = Sample::new();
    let audit = open(dir.path());
    let id = sample.call(&audit).await.unwrap().to_string();
    drop(audit);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        bytes,
        "the evidence was touched"
    );
    assert_eq!(segment_paths(dir.path()).len(), 2);
    let (entries, problems) = read(dir.path());
    assert_eq!(outcome_of(&entries, &id), Some("answered"));
    let repair = events(&entries, "recovered")[0];
    assert_eq!(repair.get("sequence").unwrap(), hit.sequence);
    assert!(
        problems
            .iter()
            .all(|problem| problem.sequence <= hit.sequence + 1),
        "{problems:?}"
    );
    assert_eq!(problems[0].sequence, hit.sequence);
}
