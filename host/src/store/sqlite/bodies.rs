//! Files with large bodies of the queue. A file is deleted with its item, or by the sweep if the process that wrote it
//! is gone; the files of running writes stay.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{BODIES, Error, of_sqlite};
use crate::clock::Clock;
use crate::store::blob::{Blobs, Digest};
use crate::store::directory;

#[cfg(test)]
mod tests;

/// Random bytes before each body in a file: equal bodies are different files, so that the end of one item does not
/// delete the body of another.
const NONCE_BYTES: usize = 16;

/// Files with large bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) blobs: Blobs,
    clock: Clock,
    // std mutex: no await inside.
    unstored: Mutex<Unstored>,
}

/// Files whose items may not be stored yet.
#[derive(Debug, Default)]
struct Unstored {
    digests: HashSet<Digest>,
    /// True once the database is closed: another process may own the files.
    is_closed: bool,
}

/// File of a new item. It is deleted on drop, unless the item may be stored: the caller may leave, or the commit fail.
#[derive(Debug)]
pub(super) struct NewFile {
    bodies: Arc<Bodies>,
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    is_kept: AtomicBool,
}

impl NewFile {
    /// Keeps the file.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A short system call, on an async worker only if the caller left between the write and the commit.
        if !self.is_kept.load(Ordering::Relaxed) {
            self.bodies.remove(&[self.digest]);
        }
        self.bodies.unstored().digests.remove(&self.digest);
    }
}

impl Bodies {
    /// Opens the directory. It is not read: many large events may be queued.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            blobs: Blobs::open(&dir.join(BODIES))?,
            clock: Clock::system(),
            unstored: Mutex::default(),
        })
    }

    fn unstored(&self) -> MutexGuard<'_, Unstored> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets [`sweep`](Self::sweep) delete nothing more.
    pub(super) fn close(&self) {
        self.unstored().is_closed = true;
    }

    /// Deletes files that no item has: a crash leaves them between the write of a file and the commit of its item,
    /// and between the end of an item and the deletion.
    pub(super) fn sweep(
        &self,
        has_item: impl Fn(&Digest) -> rusqlite::Result<bool>,
    ) -> Result<(), Error> {
        let of_dead = |path: &std::path::PathBuf| !directory::is_of_this_process(path);
        for path in self.blobs.leftovers()?.into_iter().filter(of_dead) {
            fs::remove_file(path)?;
        }
        for digest in self.blobs.digests()? {
            let digest = digest?;
            // A file that is no longer new has had its item committed: the row is looked for second.
            let is_new = self.unstored().digests.contains(&digest);
            if is_new || has_item(&digest).map_err(of_sqlite)? {
                continue;
            }
            let unstored = self.unstored();
            if unstored.is_closed {
                return Ok(());
            }
            self.blobs.remove(&digest)?;
            drop(unstored);
        }
        Ok(())
    }

    pub(super) fn write(self: &Arc<Self>, body: &[u8]) -> io::Result<NewFile> {
        let mut staged = self.blobs.stage()?;
        staged.write_all(&self.clock.random::<NONCE_BYTES>())?;
        staged.write_all(body)?;
        let digest = staged.digest();
        self.unstored().digests.insert(digest);
        let file = NewFile {
            bodies: Arc::clone(self),
            digest,
            size_bytes: u64::try_from(body.len()).expect("a length fits in 64 bits"),
            is_kept: AtomicBool::new(false),
        };
        staged.finish()?;
        Ok(file)
    }

    pub(super) fn read(&self, digest: &Digest) -> io::Result<Bytes> {
        let path = self.blobs.find(digest).ok_or(io::ErrorKind::NotFound)?;
        let bytes = Bytes::from(fs::read(path)?);
        if bytes.len() < NONCE_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.slice(NONCE_BYTES..))
    }

    pub(super) fn remove(&self, digests: &[Digest]) {
        for digest in digests {
            if let Err(error) = self.blobs.remove(digest) {
                tracing::warn!(%error, %digest, "the body of an event that has ended could not be deleted");
            }
        }
    }
}
