//! Room on the disk that is kept aside for deletions: without it nothing could be deleted on a full disk, and so
//! no room be made. It is a file that is given up when a commit finds no room, and made again afterwards.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use crate::disk;

/// Bytes kept aside. SQLite begins its log anew after 1,000 pages of 4 KiB; twice that is enough for a log that
/// grows to its full length and for what the database grows by meanwhile.
pub(super) const RESERVE_BYTES: u64 = 8 << 20;
/// Bytes that are kept aside at a time, so that a nearly full disk yields what it has.
const STEP_BYTES: u64 = 256 << 10;
const FILE: &str = "reserve";

/// The file of the reserve.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of a data directory, filled as far as there is room.
    pub(super) fn open(dir: &Path) -> Self {
        let path = dir.join(FILE);
        let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
        let mut reserve = Self { path, bytes };
        reserve.fill();
        if reserve.bytes < RESERVE_BYTES {
            tracing::warn!(
                bytes = reserve.bytes,
                "the disk is nearly full: less room than wanted is kept aside for deletions"
            );
        }
        reserve
    }

    /// Gives the room back to the disk.
    pub(super) fn release(&mut self) {
        match std::fs::remove_file(&self.path) {
            Ok(()) => self.bytes = 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.bytes = 0,
            Err(error) => tracing::warn!(%error, "the reserve could not be given up"),
        }
    }

    /// Takes as much of what is missing as the disk has. Nothing to do where nothing is missing.
    pub(super) fn fill(&mut self) {
        if self.bytes >= RESERVE_BYTES {
            return;
        }
        if let Err(error) = self.try_fill()
            && error.kind() != io::ErrorKind::StorageFull
        {
            tracing::warn!(%error, "no room could be kept aside for deletions");
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
                // A step may have been taken in part.
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
