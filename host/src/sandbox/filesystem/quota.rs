//! Use of a `/tmp` by its environment, and its bounds: in blocks, as a disk would count, and in names. All
//! environments together have a budget of the host besides. A quota counts what it is told and what it writes; it
//! knows no paths.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

use crate::sandbox::budget::Grant;
use crate::units::Mib;

/// The names in one `/tmp`: of files, directories and links. Each costs the host an entry, and mostly
/// an inode, however short the file is.
const NAMES_MAX: u64 = 65_536;
/// What a file's length is rounded up to.
const BLOCK_BYTES: u64 = 4_096;
/// Files that are remembered as open before the first look at which of them still are.
const OPENED_MIN: usize = 64;

/// Names an inode as long as it lives. The disk may use it again afterwards.
pub(super) type Identity = u64;

/// The blocks that this many bytes take, holes included: a hole can be filled at any time.
pub(super) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES)
}

/// What one environment may keep in its `/tmp`.
pub(in crate::sandbox) struct Quota {
    blocks_max: u64,
    /// Its part of the host's scratch space.
    grant: Grant,
    // A std mutex, never waited for: a guest makes one call at a time. Nothing awaits inside.
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    blocks: u64,
    names: u64,
    /// Whether anything ever got a name here.
    was_named: bool,
    /// What each directory counts with.
    directories: HashMap<Identity, u64>,
    /// The open files, by where they are in memory.
    opened: HashMap<usize, (Identity, Weak<File>)>,
    /// How many may be remembered before those that were closed are forgotten.
    opened_max: usize,
    /// What has no name any more and is open: its blocks are the disk's until it is closed.
    orphans: HashMap<Identity, u64>,
}

/// There is no room for it.
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
            // And one for the directory itself, so that a file may be as large as all of it.
            blocks_max: blocks(size.bytes()) + 1,
            grant,
            used: Mutex::default(),
        }
    }

    /// Whether there is room for this much more.
    pub(super) fn room(&self, names: u64, blocks: u64) -> Result<(), Full> {
        let mut used = self.lock();
        let fits = |used: &Used| {
            used.names + names <= NAMES_MAX && used.blocks + blocks <= self.blocks_max
        };
        if !fits(&used) {
            used.forget_closed();
        }
        let fits = fits(&used) && self.covers(&used, names + blocks);
        fits.then_some(()).ok_or(Full)
    }

    /// Whether the host has scratch space for so many blocks more; idle environments make way.
    fn covers(&self, used: &Used, blocks: u64) -> bool {
        self.grant.cover(used.host_bytes() + blocks * BLOCK_BYTES)
    }

    /// End of a file that is written to at an offset, as far as the host has scratch space for it.
    fn covered_end(&self, used: &Used, file: &Metadata, at: u64, bytes: u64) -> u64 {
        let has = blocks(file.len());
        // An empty write makes no file longer, wherever it is.
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

    /// Counts what is used now in the host's scratch space too.
    fn count(&self, used: &Used) {
        let bytes = used.host_bytes();
        // What was looked at before is covered. A directory may grow by another block, which counts from the next
        // look on where there is none.
        self.grant.cover(bytes);
        self.grant.fit(bytes);
    }

    /// Its environment is open.
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

    /// Counts a new name, and the blocks of what it names.
    pub(super) fn named(&self, blocks: u64) {
        let mut used = self.lock();
        used.was_named = true;
        used.names += 1;
        used.blocks += blocks;
        self.count(&used);
    }

    /// Counts a directory as it is now.
    pub(super) fn directory(&self, identity: Identity, bytes: u64) {
        let mut used = self.lock();
        let now = blocks(bytes);
        let before = used.directories.insert(identity, now).unwrap_or_default();
        used.change(before, now);
        self.count(&used);
    }

    /// Gives back a name of what has others.
    pub(super) fn unnamed(&self) {
        let mut used = self.lock();
        used.names = used.names.saturating_sub(1);
        self.count(&used);
    }

    /// Gives back the last name of something with its blocks; or lets it count until it is closed.
    pub(super) fn gone(&self, identity: Identity, bytes: u64) {
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

    /// Counts a file whose content was thrown away.
    pub(super) fn truncated(&self, bytes: u64) {
        let mut used = self.lock();
        used.change(blocks(bytes), 0);
        self.count(&used);
    }

    /// Remembers that a file or directory is open, for as long as it is.
    pub(super) fn opened(&self, file: &Arc<File>, identity: Identity) -> io::Result<()> {
        let has_name = file.metadata()?.nlink() > 0;
        let mut used = self.lock();
        // What has a name is not what lost its last one: that is closed, and its inode used again.
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

    /// Writes what there is room for, at an offset or at the end.
    ///
    /// # Errors
    /// What the disk says, and that there is no room for a single byte.
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

    /// Whether there is room for one byte more, at an offset or at the end. The C library of guests
    /// has one error for all that goes wrong in a stream, and tells "no space" only before.
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
    /// What the disk says, and that there is no room.
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

    /// Whether nothing was ever put here.
    pub(super) fn is_untouched(&self) -> bool {
        !self.lock().was_named
    }

    /// Whether nothing was ever put here, or all was taken away and its directory has not grown.
    pub(super) fn is_as_new(&self) -> bool {
        let used = self.lock();
        used.blocks <= 1 && used.names == 0
    }

    /// Names and blocks that count now.
    #[cfg(test)]
    pub(super) fn used(&self) -> (u64, u64) {
        let mut used = self.lock();
        used.forget_closed();
        (used.names, used.blocks)
    }

    /// How long a file may become.
    fn end_max(&self, used: &Used, file: &Metadata) -> u64 {
        let free = self.blocks_max.saturating_sub(used.blocks);
        (blocks(file.len()) + free).saturating_mul(BLOCK_BYTES)
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Bytes that the host counts. A name costs it an inode, of which a file system has a bounded number.
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

    /// Gives back what had lost its name and was closed since.
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
