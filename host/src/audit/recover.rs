//! Opens a log and mends what a crash left: a write that was cut off is copied aside and cut away,
//! and calls without an outcome are marked `unknown`. Damage that is not the trace of a crash is
//! left where it is for the auditor; the log goes on in a new segment and says so.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_core::record::frame::{Frame, Kind};
use portcullis_core::record::{Draft, End, Event, Outcome, RequestId};
use rustix::fs::FlockOperation;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::OpenError;
use super::journal::{Fault, Found, Journal, Position, Segment, State};
use super::segments::{self, Step, Walk};
use crate::clock;

/// Opens the log in `dir`; the drafts say what was mended and must be written first.
pub(super) fn open(dir: &Path, segment_bytes: u64) -> Result<(Journal, Vec<Draft>), OpenError> {
    let io = |doing| {
        move |source| OpenError::Io {
            doing,
            path: dir.display().to_string(),
            source,
        }
    };
    create_dir(dir).map_err(io("create"))?;
    let lock = lock(dir)?;
    let survey = Survey::of(dir).map_err(io("read"))?;
    let mut repairs = survey.outcomes();
    let torn = match &survey.last {
        Some(last) => last.cut(dir).map_err(io("repair"))?,
        None => None,
    };
    repairs.extend(survey.event(torn.as_ref()));
    let segment = match &survey.last {
        Some(last) if last.state == Tail::Good => Some(last.segment().map_err(io("open"))?),
        Some(_) | None => None,
    };
    let found = Found {
        dir: dir.to_owned(),
        lock,
        origin: survey.origin,
        position: survey.position,
        open: survey.open,
        segment_bytes,
    };
    let journal = Journal::resume(found, segment)
        .map_err(Fault::into_source)
        .map_err(io("write to"))?;
    Ok((journal, repairs))
}

/// What the newest segment holds.
struct Survey {
    origin: [u8; 16],
    position: Position,
    open: BTreeSet<RequestId>,
    last: Option<Last>,
}

struct Last {
    path: PathBuf,
    created: OffsetDateTime,
    /// Bytes up to the end of the last good record.
    good: u64,
    length: u64,
    /// The number at which something is wrong, if anything is.
    broken_at: u64,
    state: Tail,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tail {
    /// Records that had been durable are damaged.
    Damaged,
    /// Good to the end, or to where an interrupted write began.
    Good,
}

/// A cut-off write, kept in a file of its own.
struct Torn {
    bytes: u64,
    sha256: String,
    kept_as: String,
}

impl Survey {
    fn of(dir: &Path) -> io::Result<Self> {
        let Some((_, path)) = segments::list(dir)?.pop() else {
            return Self::empty();
        };
        let mut walk = Walk::open(&path)?;
        let mut open = BTreeSet::new();
        let mut last = Last {
            created: created(&walk),
            good: 0,
            length: std::fs::metadata(&path)?.len(),
            broken_at: 0,
            state: Tail::Good,
            path,
        };
        let origin = match walk.header() {
            Some(header) => header.origin,
            None => {
                last.damaged(walk.expected());
                random_origin()?
            }
        };
        let mut position = here(&walk);
        last.good = walk.offset();
        loop {
            let expected = walk.expected();
            match walk.step()? {
                Step::End => break,
                Step::Record(frame) => follow(&frame, &mut open),
                Step::Foreign(frame) => {
                    follow(&frame, &mut open);
                    last.damaged(expected);
                }
                Step::Unreadable => {
                    if last.broken_at == 0 {
                        last.broken_at = expected;
                    }
                    if !walk.was_durable()? || walk.find_footing()?.is_none() {
                        break;
                    }
                    last.damaged(expected);
                    continue;
                }
            }
            position = here(&walk);
            last.good = walk.offset();
        }
        Ok(Self {
            origin,
            position,
            open,
            last: Some(last),
        })
    }

    fn empty() -> io::Result<Self> {
        Ok(Self {
            origin: random_origin()?,
            position: Position {
                sequence: 1,
                chain: [0; 32],
            },
            open: BTreeSet::new(),
            last: None,
        })
    }

    fn outcomes(&self) -> Vec<Draft> {
        let unknown = Outcome::new(End::Unknown, clock::now());
        self.open
            .iter()
            .filter_map(|call| Draft::outcome(*call, &unknown).ok())
            .collect()
    }

    fn event(&self, torn: Option<&Torn>) -> Option<Draft> {
        let last = self.last.as_ref()?;
        let cause = match (last.state, torn) {
            (Tail::Damaged, _) => "records that had been durable are damaged",
            (Tail::Good, Some(_)) => "a write was interrupted",
            (Tail::Good, None) if !self.open.is_empty() => "the gateway was interrupted",
            (Tail::Good, None) => return None,
        };
        let sequence = match last.broken_at {
            0 => self.position.sequence,
            broken => broken,
        };
        let segment = segments::file_name(&last.path);
        let unknown = self.open.len() as u64;
        tracing::warn!(
            cause,
            segment,
            sequence,
            unknown,
            "the audit log was repaired"
        );
        let event = Event::Recovered {
            cause,
            segment,
            sequence,
            torn_bytes: torn.map_or(0, |torn| torn.bytes),
            torn_sha256: torn.map(|torn| torn.sha256.as_str()),
            kept_as: torn.map(|torn| torn.kept_as.as_str()),
            unknown,
            unrecorded: 0,
        };
        Draft::event(clock::now(), &event).ok()
    }
}

impl Last {
    fn damaged(&mut self, sequence: u64) {
        self.state = Tail::Damaged;
        if self.broken_at == 0 {
            self.broken_at = sequence;
        }
    }

    /// Copies what follows the last good record to a file of its own and cuts it off.
    fn cut(&self, dir: &Path) -> io::Result<Option<Torn>> {
        if self.state == Tail::Damaged || self.length <= self.good {
            return Ok(None);
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(self.good))?;
        let mut bytes = Vec::new();
        file.by_ref().read_to_end(&mut bytes)?;
        let kept_as = format!(
            "torn-{:020}-{}.bin",
            self.broken_at,
            clock::now().unix_timestamp()
        );
        keep(&dir.join(&kept_as), &bytes)?;
        file.set_len(self.good)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Some(Torn {
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
            kept_as,
        }))
    }

    fn segment(&self) -> io::Result<Segment> {
        Ok(Segment {
            file: OpenOptions::new().write(true).open(&self.path)?,
            path: self.path.clone(),
            length: self.good,
            created: self.created.date(),
            state: State::Good,
        })
    }
}

#[derive(Deserialize)]
struct About {
    id: String,
}

#[derive(Deserialize)]
struct Carried {
    open: Vec<String>,
}

fn follow(frame: &Frame<'_>, open: &mut BTreeSet<RequestId>) {
    match frame.kind {
        Kind::Carried => {
            let carried = serde_json::from_slice::<Carried>(frame.payload);
            let ids = carried.map(|carried| carried.open).unwrap_or_default();
            open.extend(ids.iter().filter_map(|id| id.parse::<RequestId>().ok()));
        }
        Kind::Intent => open.extend(call(frame)),
        Kind::Outcome => {
            call(frame).map(|id| open.remove(&id));
        }
        Kind::Event | Kind::Head | Kind::Refused => {}
    }
}

fn call(frame: &Frame<'_>) -> Option<RequestId> {
    let about: About = serde_json::from_slice(frame.payload).ok()?;
    about.id.parse().ok()
}

fn here(walk: &Walk) -> Position {
    Position {
        sequence: walk.expected(),
        chain: walk.chain(),
    }
}

fn created(walk: &Walk) -> OffsetDateTime {
    let millis = walk.header().map_or(0, |header| header.created_ms);
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| OpenError::Io {
            doing: "open",
            path: path.display().to_string(),
            source,
        })?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OpenError::Locked(dir.display().to_string()))?;
    Ok(file)
}

fn random_origin() -> io::Result<[u8; 16]> {
    let mut origin = [0; 16];
    getrandom::fill(&mut origin).map_err(io::Error::other)?;
    Ok(origin)
}
