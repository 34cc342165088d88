//! `wasi:filesystem/types` over [`Counted`] directories: wasmtime's implementation with quota
//! accounting around it.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::counted::{Counted, same};
use super::quota::blocks;
use super::stream::FileStream;

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
        match self.counted_file(&fd)? {
            Some(file) => Ok(self.quota.write(&file, &bytes, Some(offset))? as u64),
            None => self.wasi.write(fd, bytes, offset).await,
        }
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, bytes: u64) -> FsResult<()> {
        match self.counted_file(&fd)? {
            Some(file) => Ok(self.quota.resize(&file, bytes)?),
            None => self.wasi.set_size(fd, bytes).await,
        }
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynOutputStream>> {
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
        self.room(&fd, 1, 1)?;
        self.wasi
            .create_directory_at(same(&fd), path.clone())
            .await?;
        self.quota.named(0);
        if let Some(made) = self.look(&fd, &path).await {
            self.quota.directory(made.identity, made.bytes);
        }
        self.count_parent(&fd, &path).await;
        Ok(())
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        self.room(&fd, 1, 1)?;
        let bytes = target.len() as u64;
        self.wasi
            .symlink_at(same(&fd), target, path.clone())
            .await?;
        self.quota.named(blocks(bytes));
        self.count_parent(&fd, &path).await;
        Ok(())
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        self.room(&new_fd, 1, 0)?;
        let linked = self
            .wasi
            .link_at(fd, flags, path, same(&new_fd), new_path.clone());
        linked.await?;
        self.quota.named(0);
        self.count_parent(&new_fd, &new_path).await;
        Ok(())
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let seen = self.look(&fd, &path).await;
        self.wasi.unlink_file_at(same(&fd), path.clone()).await?;
        self.count_lost(seen, &fd, &path).await;
        self.count_parent(&fd, &path).await;
        Ok(())
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let seen = self.look(&fd, &path).await;
        self.wasi
            .remove_directory_at(same(&fd), path.clone())
            .await?;
        self.count_lost(seen, &fd, &path).await;
        self.count_parent(&fd, &path).await;
        Ok(())
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        // A rename adds no name, but may grow the directory.
        self.room(&new_fd, 0, 0)?;
        let replaced = self.look(&new_fd, &new_path).await;
        let (from, to) = (same(&fd), same(&new_fd));
        self.wasi
            .rename_at(from, path.clone(), to, new_path.clone())
            .await?;
        self.count_lost(replaced, &new_fd, &new_path).await;
        self.count_parent(&fd, &path).await;
        self.count_parent(&new_fd, &new_path).await;
        Ok(())
    }

    // Operations that only read.

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
        bytes: u64,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.wasi.advise(fd, offset, bytes, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> FsResult<()> {
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
        self.wasi.read(fd, bytes, offset).await
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> FsResult<Resource<DynInputStream>> {
        self.wasi.read_via_stream(fd, offset)
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<types::DirectoryEntryStream>> {
        self.wasi.read_directory(fd).await
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, path).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.wasi.stat_at(fd, flags, path).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, other).await
    }

    async fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<types::MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        self.wasi.metadata_hash_at(fd, flags, path).await
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        let file = self.file(&fd).map(Arc::downgrade);
        HostDescriptor::drop(&mut self.wasi, fd)?;
        if let Ok(file) = file {
            self.descriptors.dropped(&file);
        }
        Ok(())
    }
}
