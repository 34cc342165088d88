//! Disk space reserved for deletions; without it, nothing could be deleted on a full disk to free
//! space. A file holds the space. It is removed when a commit finds the disk full, and recreated
//! later.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use crate::disk;

/// Reserved bytes. SQLite checkpoints its WAL after 1,000 pages of 4 KiB; twice that covers a full
/// WAL and the growth of the database meanwhile.
pub(super) const RESERVE_BYTES: u64 = 8 << 20;
/// Allocation step, so that a nearly full disk still yields a part.
const STEP_BYTES: u64 = 256 << 10;
const FILE: &str = "reserve";

/// The reserve file.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// Opens the reserve of a data directory and fills it as far as space allows.
    pub(super) fn open(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
        let mut reserve = Self { path, bytes };
        reserve.fill();
        if reserve.bytes < RESERVE_BYTES {
            tracing::warn!(
                bytes = reserve.bytes,
                "the disk is nearly full: less space than intended is reserved for deletions"
            );
        }
        reserve
    }

    /// Frees the reserved space.
    pub(super) fn release(&mut self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => self.bytes = 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.bytes = 0,
            Err(error) => tracing::warn!(%error, "the reserved disk space could not be freed"),
        }
    }

    /// Allocates missing space, as far as the disk has it.
    pub(super) fn fill(&mut self) {
        if self.bytes >= RESERVE_BYTES {
            return;
        }
        if let Err(error) = self.try_fill()
            && error.kind() != io::ErrorKind::StorageFull
        {
            tracing::warn!(%error, "disk space for deletions could not be reserved");
        }
    }

    fn try_fill(&mut self) -> io::Result<()> {
        let mut options = disk::options();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)?;
        self.bytes = file.metadata()?.len();
        while self.bytes < RESERVE_BYTES {
            if let Err(error) = fallocate(&file, FallocateFlags::empty(), self.bytes, STEP_BYTES) {
                // A step may have been allocated in part.
                self.cut(&file)?;
                return Err(error.into());
            }
            self.bytes += STEP_BYTES;
        }
        Ok(())
    }

    fn cut(&self, file: &File) -> io::Result<()> {
        file.set_len(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_is_filled_released_and_filled_again() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = || std::fs::metadata(dir.path().join(FILE)).map_or(0, |it| it.len());
        let mut reserve = Reserve::open(dir.path());
        assert_eq!(bytes(), RESERVE_BYTES);
        reserve.release();
        assert_eq!(bytes(), 0);
        reserve.release();
        reserve.fill();
        assert_eq!(bytes(), RESERVE_BYTES);
    }
}
