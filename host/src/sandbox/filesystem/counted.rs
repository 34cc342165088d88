//! Guest directories with a [`Quota`]: operations that allocate or free space in `/tmp` are
//! counted, and refused with `insufficient-space` beyond the limit.
//!
//! A guest makes one call at a time, and file operations never suspend, because directories are
//! opened for blocking I/O on the calling thread. So nothing changes between the checks before and
//! after an operation. Operations on an access point run in the same way on a thread of the access point, where a
//! mutex excludes those of other guests.

use std::fs::File;
use std::sync::Arc;

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::access_point::mounted::Mounted;
use super::access_point::operation::Operation;
use super::quota::{Full, Identity, Quota};
use crate::sandbox::descriptors::{Exhausted, Held};

/// Marker type for the linker.
pub(in crate::sandbox) struct CountedFilesystem;

impl HasData for CountedFilesystem {
    type Data<'a> = Counted<'a>;
}

/// Directories and files of a guest.
pub(in crate::sandbox) struct Counted<'a> {
    pub(in crate::sandbox) wasi: WasiFilesystemCtxView<'a>,
    pub(in crate::sandbox) quota: &'a Arc<Quota>,
    pub(in crate::sandbox) descriptors: &'a mut Held,
    /// Access point of the guest. None on the threads of an access point, where its operations are plain ones.
    pub(in crate::sandbox) mounted: Option<&'a mut Mounted>,
}

/// Metadata of a path.
pub(super) struct Seen {
    pub(super) identity: Identity,
    links: u64,
    pub(super) bytes: u64,
    is_directory: bool,
}

impl From<Full> for FsError {
    fn from(_: Full) -> Self {
        ErrorCode::InsufficientSpace.into()
    }
}

/// `wasi:filesystem` has no code for `EMFILE`; programs treat this one as transient.
impl From<Exhausted> for FsError {
    fn from(_: Exhausted) -> Self {
        ErrorCode::InsufficientMemory.into()
    }
}

/// Second handle of the same descriptor, because calls take it by value.
pub(super) fn same(fd: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(fd.rep())
}

/// Parent directory of a path.
fn parent(path: &str) -> &str {
    let mut path = path;
    while let Some(shorter) = path.strip_suffix('/').or_else(|| path.strip_suffix("/.")) {
        path = shorter;
    }
    path.rfind('/').map_or("", |at| &path[..at])
}

impl Counted<'_> {
    /// An operation on a descriptor of the access point, which must not block this thread.
    pub(super) fn mounted(&self, fd: &Resource<Descriptor>) -> Option<Operation> {
        self.mounted.as_ref()?.operation(fd)
    }

    /// True for `/tmp`, the only writable directory.
    pub(super) fn is_counted(&self, fd: &Resource<Descriptor>) -> FsResult<bool> {
        let permissions = match self.wasi.table.get(fd)? {
            Descriptor::File(file) => file.perms,
            Descriptor::Dir(dir) => dir.perms,
        };
        Ok(permissions == FsPerms::ReadWrite)
    }

    /// File or directory of a descriptor.
    pub(super) fn file(&self, fd: &Resource<Descriptor>) -> FsResult<&Arc<File>> {
        Ok(match self.wasi.table.get(fd)? {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(dir) => &dir.dir,
        })
    }

    /// File of a descriptor, if it is in `/tmp`.
    pub(super) fn counted_file(&self, fd: &Resource<Descriptor>) -> FsResult<Option<Arc<File>>> {
        Ok(match self.wasi.table.get(fd)? {
            Descriptor::File(file)
                if file.perms == FsPerms::ReadWrite && self.quota.is_counting() =>
            {
                Some(Arc::clone(&file.file))
            }
            Descriptor::File(_) | Descriptor::Dir(_) => None,
        })
    }

    /// Checks the quota. Outside `/tmp` the operation itself is refused.
    pub(super) fn room(&self, fd: &Resource<Descriptor>, names: u64, blocks: u64) -> FsResult<()> {
        if self.is_counted(fd)? {
            self.quota.room(names, blocks)?;
        }
        Ok(())
    }

    /// Opens a file or directory, counted if in `/tmp`.
    pub(super) async fn open_within_quota(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        if !self.is_counted(&fd)? {
            let opened = self.wasi.open_at(fd, path_flags, path, open_flags, flags);
            return opened.await;
        }
        let creates = open_flags.contains(OpenFlags::CREATE);
        let before = match creates || open_flags.contains(OpenFlags::TRUNCATE) {
            true => self.bytes_of(&fd, path_flags, &path).await,
            false => None,
        };
        let is_new = creates && before.is_none();
        if is_new {
            self.quota.room(1, 0)?;
        }
        let opened = self
            .wasi
            .open_at(same(&fd), path_flags, path.clone(), open_flags, flags)
            .await?;
        self.count_open(&opened).await?;
        if is_new {
            self.quota.named(0);
            self.count_parent(&fd, &path).await;
        } else if open_flags.contains(OpenFlags::TRUNCATE) {
            self.quota.truncated(before.unwrap_or_default());
        }
        Ok(opened)
    }

    /// Metadata of a path. Errors are ignored, because the operation itself reports them.
    pub(super) async fn look(&mut self, fd: &Resource<Descriptor>, path: &str) -> Option<Seen> {
        let (wasi, flags) = (&mut self.wasi, PathFlags::empty());
        let stat = wasi.stat_at(same(fd), flags, path.to_owned()).await.ok()?;
        let hash = wasi.metadata_hash_at(same(fd), flags, path.to_owned());
        Some(Seen {
            identity: hash.await.ok()?.lower,
            links: stat.link_count,
            bytes: stat.size,
            is_directory: stat.type_ == DescriptorType::Directory,
        })
    }

    /// Length of the file at a path.
    pub(super) async fn bytes_of(
        &mut self,
        fd: &Resource<Descriptor>,
        flags: PathFlags,
        path: &str,
    ) -> Option<u64> {
        let stat = self.wasi.stat_at(same(fd), flags, path.to_owned()).await;
        stat.ok().map(|stat| stat.size)
    }

    /// Recounts the parent directory of a path after its entries have changed.
    pub(super) async fn count_parent(&mut self, fd: &Resource<Descriptor>, path: &str) {
        let (wasi, parent) = (&mut self.wasi, parent(path));
        let (stat, hash) = if parent.is_empty() {
            (
                wasi.stat(same(fd)).await,
                wasi.metadata_hash(same(fd)).await,
            )
        } else {
            let flags = PathFlags::SYMLINK_FOLLOW;
            let stat = wasi.stat_at(same(fd), flags, parent.to_owned()).await;
            let hash = wasi.metadata_hash_at(same(fd), flags, parent.to_owned());
            (stat, hash.await)
        };
        if let (Ok(stat), Ok(hash)) = (stat, hash) {
            self.quota.directory(hash.lower, stat.size);
        }
    }

    /// Releases the space of a file that a path no longer leads to.
    pub(super) async fn count_lost(
        &mut self,
        seen: Option<Seen>,
        fd: &Resource<Descriptor>,
        path: &str,
    ) {
        let Some(seen) = seen else { return };
        let now = self.look(fd, path).await;
        if now.is_some_and(|now| now.identity == seen.identity) {
            return;
        }
        match seen.is_directory {
            // The quota knows the blocks of directories that it counts.
            true => self.quota.gone(seen.identity, 0),
            false if seen.links > 1 => self.quota.unnamed(),
            false => self.quota.gone(seen.identity, seen.bytes),
        }
    }

    /// Marks a file or directory as open: it counts until closed.
    pub(super) async fn count_open(&mut self, fd: &Resource<Descriptor>) -> FsResult<()> {
        let hash = self.wasi.metadata_hash(same(fd)).await?;
        Ok(self.quota.opened(self.file(fd)?, hash.lower)?)
    }
}

#[cfg(test)]
mod tests;
