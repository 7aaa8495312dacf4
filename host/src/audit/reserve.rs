//! Disk space set aside, so that calls already under way when the disk fills up can still be ended
//! in the log. That it can be set aside again is also how the log knows that there is space again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

const RESERVE_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            path: dir.join("reserve"),
        }
    }

    /// Sets the space aside; an error leaves nothing behind.
    pub(super) fn hold(&self) -> io::Result<()> {
        let held = self.allocate();
        if held.is_err() {
            self.release();
        }
        held
    }

    /// Gives the space back; says whether there was any.
    pub(super) fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
            Err(rustix::io::Errno::OPNOTSUPP) => fill(&file),
            other => Ok(other?),
        }
    }
}

/// For file systems that cannot promise space otherwise.
fn fill(mut file: &File) -> io::Result<()> {
    io::copy(
        &mut io::Read::take(io::repeat(0x55), RESERVE_BYTES),
        &mut file,
    )?;
    file.sync_data()
}
