//! `wasi:filesystem` over [`Counted`] directories: wasmtime's implementation with quota accounting around it.
//! Operations on an access point go to its threads, and come back here as operations without a mount.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::access_point::operation::now;
use super::access_point::stream::MountInput;
use super::counted::Counted;
use super::stream::FileStream;

mod changes;
mod mounted;

impl preopens::Host for Counted<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = self.wasi.get_directories()?;
        if let Some(mounted) = &mut self.mounted {
            directories.extend(mounted.preopen(self.wasi.table)?);
        }
        Ok(directories)
    }
}

impl types::Host for Counted<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.filesystem_error_code(error)
    }
}

impl HostDirectoryEntryStream for Counted<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        self.wasi.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.wasi, stream)
    }
}

impl HostDescriptor for Counted<'_> {
    // Operations that change file sizes.

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: u64,
    ) -> FsResult<u64> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.write_counted(fd, bytes, offset));
            return mounted.change(work).await;
        }
        self.write_counted(fd, bytes, offset).await
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, bytes: u64) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.resize_counted(fd, bytes));
            return mounted.change(work).await;
        }
        self.resize_counted(fd, bytes).await
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
        if self.is_mounted(&fd) {
            return self.write_mounted(&fd, Some(offset));
        }
        let Some(file) = self.counted_file(&fd)? else {
            return self.wasi.write_via_stream(fd, offset);
        };
        self.quota.room_at(&file, Some(offset))?;
        let stream = FileStream::new(file, Arc::clone(self.quota), Some(offset));
        Ok(self.wasi.table.push(Box::new(stream) as DynOutputStream)?)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        if self.is_mounted(&fd) {
            return self.write_mounted(&fd, None);
        }
        let Some(file) = self.counted_file(&fd)? else {
            return self.wasi.append_via_stream(fd);
        };
        self.quota.room_at(&file, None)?;
        let stream = FileStream::new(file, Arc::clone(self.quota), None);
        Ok(self.wasi.table.push(Box::new(stream) as DynOutputStream)?)
    }

    // Operations that create and delete names.

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        self.descriptors.take()?;
        if self.is_mounted(&fd) {
            let opened = self.open_mounted(fd, path_flags, path, open_flags, flags);
            return opened.await.inspect_err(|_| self.descriptors.give_back());
        }
        let opened = self.open_within_quota(fd, path_flags, path, open_flags, flags);
        let opened = opened.await.inspect_err(|_| self.descriptors.give_back())?;
        let file = Arc::clone(self.file(&opened)?);
        self.descriptors.opened(&file);
        Ok(opened)
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work =
                move |here: &mut Counted<'_>, fd| now(here.create_directory_counted(fd, path));
            return mounted.change(work).await;
        }
        self.create_directory_counted(fd, path).await
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work =
                move |here: &mut Counted<'_>, fd| now(here.symlink_counted(fd, target, path));
            return mounted.change(work).await;
        }
        self.symlink_counted(fd, target, path).await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        if let Some((mounted, to)) = self.both_mounted(&fd, &new_fd)? {
            let work = move |here: &mut Counted<'_>, fd| {
                let to = here.wasi.table.push(to)?;
                now(here.link_counted(fd, flags, path, to, new_path))
            };
            return mounted.change(work).await;
        }
        self.link_counted(fd, flags, path, new_fd, new_path).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.unlink_file_counted(fd, path));
            return mounted.change(work).await;
        }
        self.unlink_file_counted(fd, path).await
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work =
                move |here: &mut Counted<'_>, fd| now(here.remove_directory_counted(fd, path));
            return mounted.change(work).await;
        }
        self.remove_directory_counted(fd, path).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        if let Some((mounted, to)) = self.both_mounted(&fd, &new_fd)? {
            let work = move |here: &mut Counted<'_>, fd| {
                let to = here.wasi.table.push(to)?;
                now(here.rename_counted(fd, path, to, new_path))
            };
            return mounted.change(work).await;
        }
        self.rename_counted(fd, path, new_fd, new_path).await
    }

    // Operations that only read.

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
        bytes: u64,
        advice: types::Advice,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work =
                move |here: &mut Counted<'_>, fd| now(here.wasi.advise(fd, offset, bytes, advice));
            return mounted.read(work).await;
        }
        self.wasi.advise(fd, offset, bytes, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.sync_data(fd));
            return mounted.read(work).await;
        }
        self.wasi.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.sync(fd));
            return mounted.read(work).await;
        }
        self.wasi.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.get_flags(fd));
            return mounted.read(work).await;
        }
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.get_type(fd));
            return mounted.read(work).await;
        }
        self.wasi.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| {
                now(here.wasi.set_times(fd, access, modification))
            };
            return mounted.read(work).await;
        }
        self.wasi.set_times(fd, access, modification).await
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> FsResult<()> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| {
                now(here
                    .wasi
                    .set_times_at(fd, flags, path, access, modification))
            };
            return mounted.read(work).await;
        }
        let set = self
            .wasi
            .set_times_at(fd, flags, path, access, modification);
        set.await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: u64,
        offset: u64,
    ) -> FsResult<(Vec<u8>, bool)> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.read(fd, bytes, offset));
            return mounted.read(work).await;
        }
        self.wasi.read(fd, bytes, offset).await
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        if let Some(mounted) = self.mounted.as_ref().filter(|it| it.has(&fd)) {
            let Some(Descriptor::File(file)) = mounted.get(&fd) else {
                return Err(ErrorCode::IsDirectory.into());
            };
            let point = Arc::clone(mounted.point());
            let stream = MountInput::new(Arc::clone(&file.file), point, offset);
            return Ok(self.wasi.table.push(Box::new(stream) as DynInputStream)?);
        }
        self.wasi.read_via_stream(fd, offset)
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<types::DirectoryEntryStream>> {
        if let Some(mounted) = self.mounted(&fd) {
            let read = mounted.read(|here, fd| {
                let entries = now(here.wasi.read_directory(fd))?;
                Ok(here.wasi.table.delete(entries)?)
            });
            return Ok(self.wasi.table.push(read.await?)?);
        }
        self.wasi.read_directory(fd).await
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.readlink_at(fd, path));
            return mounted.read(work).await;
        }
        self.wasi.readlink_at(fd, path).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.stat(fd));
            return mounted.read(work).await;
        }
        self.wasi.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.stat_at(fd, flags, path));
            return mounted.read(work).await;
        }
        self.wasi.stat_at(fd, flags, path).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let Ok(both) = self.both_mounted(&one, &other) else {
            return Ok(false);
        };
        let Some((mounted, other)) = both else {
            return self.wasi.is_same_object(one, other).await;
        };
        let work = move |here: &mut Counted<'_>, one| {
            let other = here.wasi.table.push(other)?;
            now(here.wasi.is_same_object(one, other)).map_err(FsError::trap)
        };
        let is_same = mounted.read(work).await;
        is_same.or_else(|error| error.downcast().map(|_| false))
    }

    async fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::MetadataHashValue> {
        if let Some(mounted) = self.mounted(&fd) {
            let work = move |here: &mut Counted<'_>, fd| now(here.wasi.metadata_hash(fd));
            return mounted.read(work).await;
        }
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        if let Some(mounted) = self.mounted(&fd) {
            let work =
                move |here: &mut Counted<'_>, fd| now(here.wasi.metadata_hash_at(fd, flags, path));
            return mounted.read(work).await;
        }
        self.wasi.metadata_hash_at(fd, flags, path).await
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        if let Some(mounted) = self.mounted.as_mut().filter(|it| it.has(&fd)) {
            // Its descriptor is released when more are needed, because the file closes later.
            return mounted.close(self.wasi.table, fd);
        }
        let file = self.file(&fd).map(Arc::downgrade);
        HostDescriptor::drop(&mut self.wasi, fd)?;
        if let Ok(file) = file {
            self.descriptors.dropped(&file);
        }
        Ok(())
    }
}
