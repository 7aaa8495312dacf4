//! Reads the log while it is being written, without its lock: merges each call's records into one
//! entry, and names every place where the log is not what the gateway wrote.
//!
//! Memory is bounded by the calls open at one time, not by the log.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::vec;

use portcullis_core::record::entry::Entry;
use portcullis_core::record::frame::{Chain, Frame, Kind};
use time::OffsetDateTime;

use super::segments::{self, Step, Walk};

/// Problems kept by place; the others are only counted.
const PROBLEMS: usize = 100;

/// How long a record at the very end may take to become whole.
const SETTLE_TRIES: usize = 4;
const SETTLE_INTERVAL: Duration = Duration::from_millis(25);

/// The log's calls and events: calls in the order in which they ended, open ones last.
#[derive(Debug)]
pub struct Reader {
    segments: vec::IntoIter<(u64, PathBuf)>,
    walk: Option<Walk>,
    /// Where the segment before ended, once there was one.
    previous: Option<Ended>,
    open: BTreeMap<String, Entry>,
    left_open: Option<vec::IntoIter<Entry>>,
    problems: Problems,
    records: u64,
}

#[derive(Debug)]
struct Ended {
    origin: Option<[u8; 16]>,
    next: u64,
    chain: Chain,
}

/// Where a log is not what was written.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    count: u64,
}

/// One place where a log is not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The first record concerned.
    pub sequence: u64,
    /// The segment file.
    pub segment: String,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "record {} in {}: {}",
            self.sequence, self.segment, self.what
        )
    }
}

impl Problems {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    fn add(&mut self, problem: Problem) {
        self.count += 1;
        if self.found.len() < PROBLEMS {
            self.found.push(problem);
        }
    }
}

impl Reader {
    /// Opens the log in `dir`. With `since`, segments that ended before it are passed over.
    ///
    /// # Errors
    /// If the directory or a segment cannot be read.
    pub fn open(dir: &Path, since: Option<OffsetDateTime>) -> io::Result<Self> {
        let mut segments = segments::list(dir)?;
        if let Some(since) = since {
            skip_before(&mut segments, since)?;
        }
        Ok(Self {
            segments: segments.into_iter(),
            walk: None,
            previous: None,
            open: BTreeMap::new(),
            left_open: None,
            problems: Problems::default(),
            records: 0,
        })
    }

    /// The next call or event; `None` at the log's end.
    ///
    /// # Errors
    /// If a segment cannot be read. Damage is no error: see [`Self::problems`].
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if self.walk.is_none() && !self.next_segment()? {
                return Ok(self.next_open());
            }
            if let Some(entry) = self.next_in_segment()? {
                return Ok(Some(entry));
            }
        }
    }

    /// Where the log, as far as it was read, is not what was written.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// How many records were read.
    pub fn records(&self) -> u64 {
        self.records
    }

    fn next_segment(&mut self) -> io::Result<bool> {
        let Some((named, path)) = self.segments.next() else {
            return Ok(false);
        };
        let walk = Walk::open(&path)?;
        if let Some(what) = self.misfit(&walk, named) {
            self.problems.add(Problem {
                sequence: self
                    .previous
                    .as_ref()
                    .map_or(named, |ended| ended.next.min(named)),
                segment: segments::file_name(&path).to_owned(),
                what,
            });
        }
        self.walk = Some(walk);
        Ok(true)
    }

    /// What is wrong with a segment's header, seen from the segment before.
    fn misfit(&self, walk: &Walk, named: u64) -> Option<&'static str> {
        let Some(header) = walk.header() else {
            return Some("the segment's header is damaged");
        };
        if header.first_sequence != named {
            return Some("the segment's file was renamed");
        }
        let ended = self.previous.as_ref()?;
        if ended.origin.is_some_and(|origin| origin != header.origin) {
            return Some("the segment belongs to another log");
        }
        if ended.next != header.first_sequence {
            return Some("records before this segment are missing");
        }
        (ended.chain != header.previous).then_some("the segment does not follow the one before")
    }

    fn next_in_segment(&mut self) -> io::Result<Option<Entry>> {
        let Some(walk) = &mut self.walk else {
            return Ok(None);
        };
        let segment = walk.file_name().to_owned();
        let expected = walk.expected();
        let problem = |what| Problem {
            sequence: expected,
            segment,
            what,
        };
        match walk.step()? {
            Step::Record(frame) => {
                self.records += 1;
                Ok(take(&mut self.open, &frame))
            }
            Step::Foreign(frame) => {
                self.records += 1;
                self.problems.add(problem(
                    "the record was changed or moved, or records before it were removed",
                ));
                Ok(take(&mut self.open, &frame))
            }
            Step::Unreadable => {
                if self.segments.len() > 0 || walk.was_durable()? {
                    self.problems.add(problem("the record is damaged"));
                } else if let Some(settled) = settle(walk)? {
                    *walk = settled;
                    return Ok(None);
                } else {
                    self.problems.add(problem(
                        "the log ends in an incomplete record: an interrupted write, or damage",
                    ));
                }
                if walk.find_footing()?.is_none() {
                    self.end_segment();
                }
                Ok(None)
            }
            Step::End => {
                self.end_segment();
                Ok(None)
            }
        }
    }

    fn end_segment(&mut self) {
        self.previous = self.walk.take().map(|walk| Ended {
            origin: walk.header().map(|header| header.origin),
            next: walk.expected(),
            chain: walk.chain(),
        });
    }

    fn next_open(&mut self) -> Option<Entry> {
        let open = &mut self.open;
        self.left_open
            .get_or_insert_with(|| {
                let mut left: Vec<Entry> = std::mem::take(open).into_values().collect();
                left.sort_by_key(Entry::sequence);
                left.into_iter()
            })
            .next()
    }
}

/// The newest segment may end in a write that is under way: waits a moment for it.
fn settle(walk: &Walk) -> io::Result<Option<Walk>> {
    for _ in 0..SETTLE_TRIES {
        let mut again = walk.again()?;
        if let Step::Record(_) | Step::End = again.step()? {
            return Ok(Some(walk.again()?));
        }
        std::thread::sleep(SETTLE_INTERVAL);
    }
    Ok(None)
}

/// Takes a record into account; returns the entry that it completes.
fn take(open: &mut BTreeMap<String, Entry>, frame: &Frame<'_>) -> Option<Entry> {
    let entry = Entry::parse(frame.sequence, frame.payload)?;
    match frame.kind {
        Kind::Carried => {
            // A call that is not carried over has ended; its outcome must have been lost to damage.
            let carried: Vec<&str> = entry.texts("open").collect();
            open.retain(|id, _| carried.contains(&id.as_str()));
            None
        }
        Kind::Event | Kind::Refused => Some(entry),
        Kind::Head => {
            open.get_mut(entry.id()?)?.merge(entry);
            None
        }
        Kind::Intent => {
            open.insert(entry.id()?.to_owned(), entry);
            None
        }
        Kind::Outcome => {
            let mut call = open.remove(entry.id()?)?;
            call.merge(entry);
            Some(call)
        }
    }
}

/// Drops segments whose successor was begun before `since`.
fn skip_before(segments: &mut Vec<(u64, PathBuf)>, since: OffsetDateTime) -> io::Result<()> {
    let since = since.unix_timestamp_nanos() / 1_000_000;
    let mut first = 0;
    for (index, (_, path)) in segments.iter().enumerate().skip(1) {
        match Walk::open(path)?.header() {
            Some(header) if i128::from(header.created_ms) < since => first = index,
            Some(_) | None => break,
        }
    }
    segments.drain(..first);
    Ok(())
}
