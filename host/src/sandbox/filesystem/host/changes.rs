//! Operations that allocate and free space, counted: on this thread for `/tmp`, on one of its own for an access point.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{HostDescriptor, PathFlags};

use crate::sandbox::filesystem::counted::{Counted, same};
use crate::sandbox::filesystem::quota::blocks;

impl Counted<'_> {
    pub(super) async fn write_counted(
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

    pub(super) async fn resize_counted(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: u64,
    ) -> FsResult<()> {
        match self.counted_file(&fd)? {
            Some(file) => Ok(self.quota.resize(&file, bytes)?),
            None => self.wasi.set_size(fd, bytes).await,
        }
    }

    pub(super) async fn create_directory_counted(
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

    pub(super) async fn symlink_counted(
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

    pub(super) async fn link_counted(
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

    pub(super) async fn unlink_file_counted(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let seen = self.look(&fd, &path).await;
        self.wasi.unlink_file_at(same(&fd), path.clone()).await?;
        self.count_lost(seen, &fd, &path).await;
        self.count_parent(&fd, &path).await;
        Ok(())
    }

    pub(super) async fn remove_directory_counted(
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

    pub(super) async fn rename_counted(
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
}
