//! The segment being written: numbers, chains, stores and syncs records, and knows which calls are
//! open. After an error it is exactly where the last durable commit left it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_core::record::frame::{self, Chain, Kind, Place};
use portcullis_core::record::segment::{HEADER_BYTES, Header};
use portcullis_core::record::{Draft, RequestId};
use time::{Date, OffsetDateTime};

use super::reserve::Reserve;
use super::segments::{self, Walk};
use crate::clock;

/// A buffer that grew beyond this for one commit is not kept.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    /// Held as long as the journal lives: one writer for each directory.
    _lock: File,
    reserve: Reserve,
    origin: [u8; 16],
    segment: Segment,
    position: Position,
    open: BTreeSet<RequestId>,
    buffer: Vec<u8>,
    segment_bytes: u64,
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) sequence: u64,
    pub(super) chain: Chain,
}

/// The file that is written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Durable bytes.
    pub(super) length: u64,
    pub(super) created: Date,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// A write or sync failed: what the file holds beyond `length` is not known.
    Dead,
    Good,
}

/// Why a commit failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing can be relied on but what was durable before.
    #[error("the audit log failed: {0}")]
    Failed(io::Error),
    /// The log is as it was before; it only lacks space.
    #[error("no space for the audit log: {0}")]
    Full(io::Error),
}

impl Fault {
    fn of(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(source),
            _ => Self::Failed(source),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Full(_) => "full",
        }
    }

    pub(super) fn into_source(self) -> io::Error {
        match self {
            Self::Failed(source) | Self::Full(source) => source,
        }
    }
}

/// What recovery found and a journal goes on from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dir: PathBuf,
    pub(super) lock: File,
    pub(super) origin: [u8; 16],
    pub(super) position: Position,
    pub(super) open: BTreeSet<RequestId>,
    pub(super) segment_bytes: u64,
}

impl Journal {
    /// Goes on in `segment`, or in a new one.
    pub(super) fn resume(found: Found, segment: Option<Segment>) -> Result<Self, Fault> {
        let reserve = Reserve::new(&found.dir);
        reserve.hold().map_err(Fault::of)?;
        let (segment, position) = match segment {
            Some(segment) => (segment, found.position),
            None => create(&found.dir, found.origin, found.position, &found.open)?,
        };
        Ok(Self {
            dir: found.dir,
            _lock: found.lock,
            reserve,
            origin: found.origin,
            segment,
            position,
            open: found.open,
            buffer: Vec::new(),
            segment_bytes: found.segment_bytes,
        })
    }

    /// Makes the records durable, all or none. Outcomes of calls that are not open are left out:
    /// their intents never became part of the log.
    pub(super) fn append<'a>(
        &mut self,
        drafts: impl Iterator<Item = &'a Draft>,
    ) -> Result<(), Fault> {
        if self.is_dead() {
            return Err(Fault::Failed(io::Error::other("the segment is dead")));
        }
        self.rotate_if_due()?;
        let before = self.position;
        let mut changes = Vec::new();
        self.buffer.clear();
        for draft in drafts {
            self.encode(draft, &mut changes);
        }
        let stored = self.store();
        if stored.is_err() {
            self.position = before;
            self.undo(changes);
        }
        self.buffer.shrink_to(BUFFER_BYTES);
        stored
    }

    /// Closes a segment whose last write failed and goes on in a new one. What the old one holds
    /// is read back from the disk first; what never became durable is cut off.
    pub(super) fn replace_segment(&mut self) -> Result<(), Fault> {
        self.verify_segment().map_err(Fault::Failed)?;
        let (segment, position) = create(&self.dir, self.origin, self.position, &self.open)?;
        self.segment = segment;
        self.position = position;
        Ok(())
    }

    pub(super) fn hold_reserve(&self) -> Result<(), Fault> {
        self.reserve.hold().map_err(Fault::of)
    }

    pub(super) fn release_reserve(&self) -> bool {
        self.reserve.release()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.segment.state == State::Dead
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn segment_name(&self) -> &str {
        segments::file_name(&self.segment.path)
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.position.sequence
    }

    fn encode(&mut self, draft: &Draft, changes: &mut Vec<(RequestId, Kind)>) {
        if let Some(call) = draft.call() {
            let relevant = match draft.kind() {
                Kind::Intent => self.open.insert(call),
                Kind::Outcome => self.open.remove(&call),
                Kind::Head => self.open.contains(&call),
                Kind::Carried | Kind::Event | Kind::Refused => true,
            };
            if !relevant {
                return;
            }
            changes.push((call, draft.kind()));
        }
        let place = if self.buffer.is_empty() {
            Place::Opens
        } else {
            Place::Within
        };
        let Position { sequence, chain } = self.position;
        self.position = Position {
            sequence: sequence + 1,
            chain: frame::encode(draft, sequence, place, &chain, &mut self.buffer),
        };
    }

    fn undo(&mut self, changes: Vec<(RequestId, Kind)>) {
        for (call, kind) in changes.into_iter().rev() {
            match kind {
                Kind::Intent => {
                    self.open.remove(&call);
                }
                Kind::Outcome => {
                    self.open.insert(call);
                }
                Kind::Carried | Kind::Event | Kind::Head | Kind::Refused => {}
            }
        }
    }

    fn store(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let stored = self.segment.store(&self.buffer);
        if matches!(stored, Err(Fault::Failed(_))) {
            self.segment.state = State::Dead;
        }
        stored
    }

    fn rotate_if_due(&mut self) -> Result<(), Fault> {
        if self.segment.length < self.segment_bytes && self.segment.created == clock::now().date() {
            return Ok(());
        }
        let (segment, position) = create(&self.dir, self.origin, self.position, &self.open)?;
        self.segment = segment;
        self.position = position;
        Ok(())
    }

    fn verify_segment(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.segment.path)?;
        // After a failed sync the page cache may hold what the disk does not.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let end = Walk::open(&self.segment.path)?.chain_at(self.segment.length)?;
        if end != self.position.chain {
            return Err(io::Error::other(
                "the segment on disk is not what was written; start the gateway anew to have it examined",
            ));
        }
        file.set_len(self.segment.length)?;
        file.sync_all()
    }
}

impl Segment {
    fn store(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Err(error) = self.file.write_all_at(bytes, self.length) {
            let fault = Fault::of(error);
            return match self.file.set_len(self.length) {
                Ok(()) => Err(fault),
                Err(error) => Err(Fault::Failed(error)),
            };
        }
        // Whatever a sync reports, the kernel may have dropped the pages: never the same file again.
        rustix::fs::fdatasync(&self.file).map_err(|errno| Fault::Failed(errno.into()))?;
        let linked = rustix::fs::fstat(&self.file).map_err(|errno| Fault::Failed(errno.into()))?;
        if linked.st_nlink == 0 {
            return Err(Fault::Failed(io::Error::other(
                "the segment file was removed",
            )));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Makes a segment that goes on from `position`. It gets its name only once it is whole.
fn create(
    dir: &Path,
    origin: [u8; 16],
    position: Position,
    open: &BTreeSet<RequestId>,
) -> Result<(Segment, Position), Fault> {
    let created = clock::now();
    let header = Header {
        origin,
        first_sequence: position.sequence,
        previous: position.chain,
        created_ms: millis(created),
    };
    let mut bytes = header.encode();
    let open: Vec<RequestId> = open.iter().copied().collect();
    let carried = Draft::carried(&open).map_err(|error| Fault::Failed(io::Error::other(error)))?;
    let chain = frame::encode(
        &carried,
        position.sequence,
        Place::Opens,
        &header.chain(),
        &mut bytes,
    );
    let path = segments::path(dir, position.sequence);
    let file = store_new(dir, &path, &bytes).map_err(Fault::of)?;
    let segment = Segment {
        file,
        path,
        length: bytes.len() as u64,
        created: created.date(),
        state: State::Good,
    };
    let next = Position {
        sequence: position.sequence + 1,
        chain,
    };
    Ok((segment, next))
}

fn store_new(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<File> {
    debug_assert!(bytes.len() > HEADER_BYTES, "a segment has a first record");
    let unfinished = dir.join("segment.new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, path))
        .and_then(|()| File::open(dir)?.sync_all());
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            // It may or may not exist; a left-over is overwritten by the next attempt.
            drop(std::fs::remove_file(&unfinished));
            Err(error)
        }
    }
}

fn millis(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
