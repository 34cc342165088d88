//! How much of its `/tmp` an environment uses, and may use: in blocks, as a disk would count, and in
//! names. It counts what it is told and what it writes; what a path leads to, it does not know.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

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
    pub(super) fn new(size: Mib) -> Self {
        Self {
            // And one for the directory itself, so that a file may be as large as all of it.
            blocks_max: blocks(size.bytes()) + 1,
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
        fits(&used).then_some(()).ok_or(Full)
    }

    /// Counts a new name, and the blocks of what it names.
    pub(super) fn named(&self, blocks: u64) {
        let mut used = self.lock();
        used.was_named = true;
        used.names += 1;
        used.blocks += blocks;
    }

    /// Counts a directory as it is now.
    pub(super) fn directory(&self, identity: Identity, bytes: u64) {
        let mut used = self.lock();
        let now = blocks(bytes);
        let before = used.directories.insert(identity, now).unwrap_or_default();
        used.change(before, now);
    }

    /// Gives back a name of what has others.
    pub(super) fn unnamed(&self) {
        let mut used = self.lock();
        used.names = used.names.saturating_sub(1);
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
    }

    /// Counts a file whose content was thrown away.
    pub(super) fn truncated(&self, bytes: u64) {
        self.lock().change(blocks(bytes), 0);
    }

    /// Remembers that a file or directory is open, for as long as it is.
    pub(super) fn opened(&self, file: &Arc<File>, identity: Identity) -> io::Result<()> {
        let has_name = file.metadata()?.nlink() > 0;
        let mut used = self.lock();
        // What has a name is not what lost its last one: that is closed, and its inode used again.
        if has_name && let Some(blocks) = used.orphans.remove(&identity) {
            used.give_back(blocks);
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
        let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        if fitting == 0 && !bytes.is_empty() {
            return Err(Full.into());
        }
        let written = file.write_at(&bytes[..fitting], at)?;
        if written > 0 {
            let end = at.saturating_add(written as u64);
            used.resized(file, &before, end.max(before.len()));
        }
        Ok(written)
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
        Ok(())
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
        file.set_len(bytes)?;
        used.resized(file, &before, bytes);
        Ok(())
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
