//! Data directory of a host that keeps nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::disk;
use crate::names::hex;

/// A directory that is deleted on drop.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    pub(super) fn new(clock: &Clock) -> io::Result<Self> {
        let name = format!("lamina-{}", hex(&clock.random::<16>()));
        let path = std::env::temp_dir().join(name);
        disk::create_data_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    /// Blocks: the process may end right after its host.
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, dir = %self.0.display(), "temporary data was not deleted");
        }
    }
}
