//! Reads segment files frame by frame with little memory, checks each frame's place in the chain,
//! and finds its footing again behind damage.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use portcullis_core::record::frame::{self, Chain, Decoded, Frame, OVERHEAD, PREFIX, Place};
use portcullis_core::record::segment::{HEADER_BYTES, Header};

const READ_BYTES: usize = 64 * 1024;

/// The file of the segment that begins with that record.
pub(super) fn path(dir: &Path, first_sequence: u64) -> PathBuf {
    dir.join(format!("segment-{first_sequence:020}.log"))
}

/// All segments of a log, oldest first, with the number their names give.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(first) = first_sequence(&path) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The last part of a path, for people.
pub(super) fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("?")
}

fn first_sequence(path: &Path) -> Option<u64> {
    let digits = path
        .file_name()?
        .to_str()?
        .strip_prefix("segment-")?
        .strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A record that follows the one before it.
    Record(Frame<'a>),
    /// A whole record that is not the one that was here: it was changed, moved, or its
    /// predecessors were removed.
    Foreign(Frame<'a>),
    /// Bytes that are no record; [`Walk::find_footing`] goes on behind them.
    Unreadable,
    /// The end of the file.
    End,
}

/// A way through one segment.
#[derive(Debug)]
pub(super) struct Walk {
    path: PathBuf,
    file: File,
    at_end: bool,
    buffer: Vec<u8>,
    at: usize,
    offset: u64,
    passed: usize,
    header: Option<Header>,
    expected: u64,
    chain: Chain,
}

impl Walk {
    /// Opens a segment and reads its header. With a damaged one, every record is foreign at first.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut walk = Self {
            path: path.to_owned(),
            file: File::open(path)?,
            at_end: false,
            buffer: Vec::with_capacity(READ_BYTES),
            at: 0,
            offset: 0,
            passed: 0,
            header: None,
            expected: first_sequence(path).unwrap_or(1),
            chain: [0; 32],
        };
        walk.fill(HEADER_BYTES)?;
        walk.header = Header::decode(walk.window().get(..HEADER_BYTES).unwrap_or_default());
        walk.advance(HEADER_BYTES.min(walk.window().len()));
        if let Some(header) = walk.header {
            walk.expected = header.first_sequence;
            walk.chain = header.chain();
        }
        Ok(walk)
    }

    pub(super) fn file_name(&self) -> &str {
        file_name(&self.path)
    }

    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The number the next record should have.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    /// The chain value of the last record passed.
    pub(super) fn chain(&self) -> Chain {
        self.chain
    }

    /// Bytes up to the end of the last record passed.
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.passed as u64
    }

    /// Goes to the next record.
    pub(super) fn step(&mut self) -> io::Result<Step<'_>> {
        self.advance(self.passed);
        self.passed = 0;
        self.fill(PREFIX)?;
        if let Decoded::Incomplete(needed) = frame::decode(self.prefix()) {
            self.fill(needed)?;
        }
        let window = self.buffer.get(self.at..).unwrap_or_default();
        if window.is_empty() {
            return Ok(Step::End);
        }
        let Decoded::Whole(frame) = frame::decode(window) else {
            return Ok(Step::Unreadable);
        };
        let follows = frame.sequence == self.expected && frame.follows(&self.chain);
        self.passed = frame.length;
        self.expected = frame.sequence.saturating_add(1);
        self.chain = frame.chain;
        Ok(if follows {
            Step::Record(frame)
        } else {
            Step::Foreign(frame)
        })
    }

    /// After [`Step::Unreadable`]: the same place once more, to see whether it has become readable.
    pub(super) fn again(&self) -> io::Result<Self> {
        let mut again = Self {
            path: self.path.clone(),
            file: File::open(&self.path)?,
            at_end: false,
            buffer: Vec::new(),
            at: 0,
            passed: 0,
            ..*self
        };
        again.file.seek(SeekFrom::Start(self.offset))?;
        Ok(again)
    }

    /// After [`Step::Unreadable`]: whether a commit was begun behind it. That happens only once
    /// everything before is durable, so the bytes were changed later; otherwise they may be the
    /// rest of a write that was cut off, or one that is under way.
    pub(super) fn was_durable(&self) -> io::Result<bool> {
        let mut ahead = self.again()?;
        while let Some(place) = ahead.find_footing()? {
            if place == Place::Opens {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// After [`Step::Unreadable`]: skips to the next whole record of a later number, which the next
    /// [`Self::step`] then returns. `None` if there is none.
    pub(super) fn find_footing(&mut self) -> io::Result<Option<Place>> {
        loop {
            self.advance(1);
            self.fill(OVERHEAD)?;
            if self.window().len() < OVERHEAD {
                return Ok(None);
            }
            // The announced length is believed only for reading ahead: 4 MiB at most.
            if let Decoded::Incomplete(needed) = frame::decode(self.prefix()) {
                self.fill(needed)?;
            }
            if let Decoded::Whole(frame) = frame::decode(self.window())
                && frame.sequence >= self.expected
            {
                return Ok(Some(frame.place));
            }
        }
    }

    /// The chain value at `end`, if records lead there without a break.
    pub(super) fn chain_at(mut self, end: u64) -> io::Result<Chain> {
        while self.offset() < end {
            let Step::Record(_) = self.step()? else {
                return Err(io::Error::other(format!(
                    "record {} is damaged",
                    self.expected
                )));
            };
        }
        Ok(self.chain)
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn prefix(&self) -> &[u8] {
        let window = self.window();
        window.get(..PREFIX).unwrap_or(window)
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Reads until the window has `needed` bytes or the file ends.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.at_end || self.window().len() >= needed {
            return Ok(());
        }
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        let more = needed.max(READ_BYTES) - self.buffer.len();
        let read = (&self.file)
            .take(more as u64)
            .read_to_end(&mut self.buffer)?;
        self.at_end = read < more;
        Ok(())
    }
}
