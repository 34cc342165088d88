//! Use of a `/tmp` or of an access point, and its bounds: in blocks, as a disk would count, and in names. All `/tmp`s
//! together have a budget of the host besides. A quota knows blocks and inodes; `tree` counts the files of a directory.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

use crate::sandbox::budget::{Grant, Resource};
use crate::units::Mib;

mod tree;

/// Names in one `/tmp`: of files, directories and links. Each costs the host a directory entry and usually an
/// inode, however short the file is.
const NAMES_MAX: u64 = 65_536;
/// Unit that a file's length is rounded up to.
const BLOCK_BYTES: u64 = 4_096;
/// Open files in the table before closed ones are first looked for.
const OPENED_MIN: usize = 64;

/// Inode, by a hash. The disk may use its number again after it is freed.
pub(super) type Identity = u64;

/// Blocks of this many bytes, holes included: a hole can be filled at any time.
pub(super) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES)
}

/// Bound and use of one `/tmp`, or of one access point.
pub(in crate::sandbox) struct Quota {
    blocks_max: u64,
    names_max: u64,
    /// False for an access point without a quota.
    is_counting: bool,
    /// False for an access point, whose directories are there before the host starts.
    counts_directories: bool,
    /// Its part of the host's scratch space. An access point has a budget of its own, without a bound.
    grant: Grant,
    // A std mutex: a guest makes one call at a time, and only the threads of an access point wait for its mutex.
    // Nothing awaits inside.
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    blocks: u64,
    names: u64,
    /// True once anything has had a name here.
    was_named: bool,
    /// Blocks counted for each directory.
    directories: HashMap<Identity, u64>,
    /// Open files by the address of their handle.
    opened: HashMap<usize, (Identity, Weak<File>)>,
    /// Length of `opened` at which closed files are removed from it.
    opened_max: usize,
    /// Blocks of open files without a name, which the disk keeps until they are closed.
    orphans: HashMap<Identity, u64>,
}

/// Error of a `/tmp` that is full.
#[derive(Debug)]
pub(super) struct Full;

impl From<Full> for io::Error {
    fn from(_: Full) -> Self {
        Errno::NOSPC.into()
    }
}

impl Quota {
    pub(super) fn new(size: Mib, grant: Grant) -> Self {
        Self {
            // One more for the directory itself, so that a single file may have the whole size.
            blocks_max: blocks(size.bytes()) + 1,
            names_max: NAMES_MAX,
            is_counting: true,
            counts_directories: true,
            grant,
            used: Mutex::default(),
        }
    }

    /// Quota of an access point, in bytes and in files.
    pub(super) fn of_access_point(bytes: Option<u64>, files: Option<u64>) -> Self {
        Self {
            blocks_max: bytes.unwrap_or(u64::MAX) / BLOCK_BYTES,
            names_max: files.unwrap_or(u64::MAX >> 1),
            is_counting: bytes.is_some() || files.is_some(),
            counts_directories: false,
            grant: Grant::of(Resource::Scratch, u64::MAX),
            used: Mutex::default(),
        }
    }

    /// False if there is nothing to count against.
    pub(super) fn is_counting(&self) -> bool {
        self.is_counting
    }

    /// Checks that so many names and blocks more fit.
    pub(super) fn room(&self, names: u64, blocks: u64) -> Result<(), Full> {
        if !self.is_counting {
            return Ok(());
        }
        let mut used = self.lock();
        let fits = |used: &Used| {
            used.names + names <= self.names_max && used.blocks + blocks <= self.blocks_max
        };
        if !fits(&used) {
            used.forget_closed();
        }
        let fits = fits(&used) && self.covers(&used, names + blocks);
        fits.then_some(()).ok_or(Full)
    }

    /// True if the host has scratch space for so many blocks more, after evicting idle environments if need be.
    fn covers(&self, used: &Used, blocks: u64) -> bool {
        self.grant.cover(used.host_bytes() + blocks * BLOCK_BYTES)
    }

    /// End that a write at an offset may reach within the host's scratch space.
    fn covered_end(&self, used: &Used, file: &Metadata, at: u64, bytes: u64) -> u64 {
        let has = blocks(file.len());
        // An empty write makes no file longer, whatever its offset.
        let end = if bytes == 0 {
            0
        } else {
            at.saturating_add(bytes)
        };
        let wanted = blocks(end).saturating_sub(has);
        if self.covers(used, wanted) {
            return (has + wanted) * BLOCK_BYTES;
        }
        let left = wanted.min(self.grant.left() / BLOCK_BYTES);
        let more = if self.covers(used, left) { left } else { 0 };
        (has + more) * BLOCK_BYTES
    }

    /// Brings the host's count of this `/tmp` in line with its own.
    fn count(&self, used: &Used) {
        let bytes = used.host_bytes();
        // Covered already, but for a block by which a directory may have grown; if that is refused, it is counted
        // at the next growth.
        self.grant.cover(bytes);
        self.grant.fit(bytes);
    }

    /// Ends the time in which the environment counts with what it was admitted with.
    pub(in crate::sandbox) fn opened_environment(&self) {
        let used = self.lock();
        self.grant.opened(used.host_bytes());
    }

    /// Bytes that count in the host's scratch space.
    pub(in crate::sandbox) fn host_bytes(&self) -> u64 {
        self.lock().host_bytes()
    }

    /// Its part of the host's scratch space.
    pub(in crate::sandbox) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Counts a new name and the blocks behind it.
    pub(super) fn named(&self, blocks: u64) {
        if !self.is_counting {
            return;
        }
        let mut used = self.lock();
        used.was_named = true;
        used.names += 1;
        used.blocks += blocks;
        self.count(&used);
    }

    /// Counts a directory as it is now.
    pub(super) fn directory(&self, identity: Identity, bytes: u64) {
        if !self.counts_directories {
            return;
        }
        let mut used = self.lock();
        let now = blocks(bytes);
        let before = used.directories.insert(identity, now).unwrap_or_default();
        used.change(before, now);
        self.count(&used);
    }

    /// Gives back a name of a file that has others.
    pub(super) fn unnamed(&self) {
        if !self.is_counting {
            return;
        }
        let mut used = self.lock();
        used.names = used.names.saturating_sub(1);
        self.count(&used);
    }

    /// Gives back the last name of a file with its blocks, which count until it is closed if it is open.
    pub(super) fn gone(&self, identity: Identity, bytes: u64) {
        if !self.is_counting {
            return;
        }
        let mut used = self.lock();
        let blocks = match used.directories.remove(&identity) {
            Some(counted) => counted,
            None => blocks(bytes),
        };
        if used.is_open(identity) {
            used.orphans.insert(identity, blocks);
        } else {
            used.give_back(blocks);
        }
        self.count(&used);
    }

    /// Counts a file that was truncated to nothing.
    pub(super) fn truncated(&self, bytes: u64) {
        if !self.is_counting {
            return;
        }
        let mut used = self.lock();
        used.change(blocks(bytes), 0);
        self.count(&used);
    }

    /// Records that a file or directory is open.
    pub(super) fn opened(&self, file: &Arc<File>, identity: Identity) -> io::Result<()> {
        if !self.is_counting {
            return Ok(());
        }
        let has_name = file.metadata()?.nlink() > 0;
        let mut used = self.lock();
        // An inode with a name is no orphan: the orphan was closed, and the disk has used its number again.
        if has_name && let Some(blocks) = used.orphans.remove(&identity) {
            used.give_back(blocks);
            self.count(&used);
        }
        if used.opened.len() >= used.opened_max {
            used.opened.retain(|_, (_, file)| file.strong_count() > 0);
            used.opened_max = OPENED_MIN.max(2 * used.opened.len());
        }
        used.opened
            .insert(address(file), (identity, Arc::downgrade(file)));
        Ok(())
    }

    /// Writes as many bytes as fit, at an offset or at the end.
    ///
    /// # Errors
    /// Errors of the disk, and `ENOSPC` if no byte fits.
    pub(super) fn write(
        &self,
        file: &Arc<File>,
        bytes: &[u8],
        offset: Option<u64>,
    ) -> io::Result<usize> {
        let mut used = self.lock();
        let before = file.metadata()?;
        let at = offset.unwrap_or(before.len());
        let mut room = self.end_max(&used, &before).saturating_sub(at);
        if room < bytes.len() as u64 {
            used.forget_closed();
            room = self.end_max(&used, &before).saturating_sub(at);
        }
        let fitting = room.min(bytes.len() as u64);
        let end = self.covered_end(&used, &before, at, fitting);
        let fitting = fitting.min(end.saturating_sub(at));
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        if fitting == 0 && !bytes.is_empty() {
            return Err(Full.into());
        }
        let written = file.write_at(&bytes[..fitting], at);
        if let Ok(written @ 1..) = written {
            let end = at.saturating_add(written as u64);
            used.resized(file, &before, end.max(before.len()));
        }
        self.count(&used);
        written
    }

    /// Checks that one byte more fits, at an offset or at the end. The C library of guests reports every failure of a
    /// stream as an I/O error, and "no space" only when the stream is opened.
    pub(super) fn room_at(&self, file: &File, offset: Option<u64>) -> io::Result<()> {
        let mut used = self.lock();
        let before = file.metadata()?;
        let at = offset.unwrap_or(before.len());
        if at >= self.end_max(&used, &before) {
            used.forget_closed();
            if at >= self.end_max(&used, &before) {
                return Err(Full.into());
            }
        }
        let end = at.saturating_add(1).max(before.len());
        let covers = self.covers(&used, blocks(end) - blocks(before.len()));
        covers.then_some(()).ok_or_else(|| Full.into())
    }

    /// Gives a file another length.
    ///
    /// # Errors
    /// Errors of the disk, and `ENOSPC` if the length does not fit.
    pub(super) fn resize(&self, file: &Arc<File>, bytes: u64) -> io::Result<()> {
        let mut used = self.lock();
        let before = file.metadata()?;
        if bytes > before.len() && bytes > self.end_max(&used, &before) {
            used.forget_closed();
            if bytes > self.end_max(&used, &before) {
                return Err(Full.into());
            }
        }
        if !self.covers(&used, blocks(bytes).saturating_sub(blocks(before.len()))) {
            return Err(Full.into());
        }
        let resized = file.set_len(bytes);
        if resized.is_ok() {
            used.resized(file, &before, bytes);
        }
        self.count(&used);
        resized
    }

    /// True if nothing ever had a name here.
    pub(super) fn is_untouched(&self) -> bool {
        !self.lock().was_named
    }

    /// True if no name is left and the directory has not grown.
    pub(super) fn is_as_new(&self) -> bool {
        let used = self.lock();
        used.blocks <= 1 && used.names == 0
    }

    /// Current counts of names and blocks.
    #[cfg(test)]
    pub(super) fn used(&self) -> (u64, u64) {
        let mut used = self.lock();
        used.forget_closed();
        (used.names, used.blocks)
    }

    /// Largest length that a file may get.
    fn end_max(&self, used: &Used, file: &Metadata) -> u64 {
        let free = self.blocks_max.saturating_sub(used.blocks);
        (blocks(file.len()) + free).saturating_mul(BLOCK_BYTES)
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Bytes in the host's budget. A name counts as a block, since a file system has a bounded number of inodes.
    fn host_bytes(&self) -> u64 {
        (self.blocks + self.names).saturating_mul(BLOCK_BYTES)
    }

    fn change(&mut self, before: u64, now: u64) {
        self.blocks = (self.blocks + now).saturating_sub(before);
    }

    fn resized(&mut self, file: &Arc<File>, before: &Metadata, bytes: u64) {
        let (before_blocks, now) = (blocks(before.len()), blocks(bytes));
        self.change(before_blocks, now);
        if before.nlink() == 0
            && let Some((identity, _)) = self.opened.get(&address(file))
            && let Some(counted) = self.orphans.get_mut(identity)
        {
            *counted = (*counted + now).saturating_sub(before_blocks);
        }
    }

    fn give_back(&mut self, blocks: u64) {
        self.names = self.names.saturating_sub(1);
        self.blocks = self.blocks.saturating_sub(blocks);
    }

    fn is_open(&self, identity: Identity) -> bool {
        let mut opened = self.opened.values();
        opened.any(|(open, file)| *open == identity && file.strong_count() > 0)
    }

    /// Gives back orphans that were closed.
    fn forget_closed(&mut self) {
        self.opened.retain(|_, (_, file)| file.strong_count() > 0);
        let open: std::collections::HashSet<Identity> = self
            .opened
            .values()
            .map(|(identity, _)| *identity)
            .collect();
        let closed: Vec<u64> = self
            .orphans
            .extract_if(|identity, _| !open.contains(identity))
            .map(|(_, blocks)| blocks)
            .collect();
        closed.into_iter().for_each(|blocks| self.give_back(blocks));
    }
}

fn address(file: &Arc<File>) -> usize {
    Arc::as_ptr(file).addr()
}

#[cfg(test)]
mod tests;
