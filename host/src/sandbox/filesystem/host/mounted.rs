//! Operations that involve the access point of a guest: on two descriptors, and such as give the guest a handle.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynOutputStream, FsResult};

use crate::sandbox::filesystem::access_point::operation::{Operation, now};
use crate::sandbox::filesystem::access_point::stream::MountOutput;
use crate::sandbox::filesystem::counted::Counted;

impl Counted<'_> {
    pub(super) fn is_mounted(&self, fd: &Resource<Descriptor>) -> bool {
        self.mounted.as_ref().is_some_and(|it| it.has(fd))
    }

    /// An operation on two descriptors of the access point. None if it concerns neither.
    pub(super) fn both_mounted(
        &self,
        fd: &Resource<Descriptor>,
        other: &Resource<Descriptor>,
    ) -> FsResult<Option<(Operation, Descriptor)>> {
        let Some(mounted) = &self.mounted else {
            return Ok(None);
        };
        match (mounted.operation(fd), mounted.get(other)) {
            (Some(operation), Some(other)) => Ok(Some((operation, other.clone()))),
            (None, None) => Ok(None),
            _ => Err(ErrorCode::CrossDevice.into()),
        }
    }

    pub(super) async fn open_mounted(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let Some(operation) = self.mounted(&fd) else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        let work = move |here: &mut Counted<'_>, fd| {
            let opened = now(here.open_within_quota(fd, path_flags, path, open_flags, flags))?;
            Ok(here.wasi.table.delete(opened)?)
        };
        let allocates = open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        let opened = match allocates {
            true => operation.change(work).await?,
            false => operation.read(work).await?,
        };
        let file = match &opened {
            Descriptor::File(file) => Arc::clone(&file.file),
            Descriptor::Dir(dir) => Arc::clone(&dir.dir),
        };
        let Some(mounted) = &mut self.mounted else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        let fd = mounted.push(self.wasi.table, opened)?;
        self.descriptors.opened(&file);
        Ok(fd)
    }

    pub(super) fn write_mounted(
        &mut self,
        fd: &Resource<Descriptor>,
        offset: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let Some(mounted) = &self.mounted else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        let Some(Descriptor::File(file)) = mounted.get(fd) else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        if file.perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let point = Arc::clone(mounted.point());
        let stream = MountOutput::new(Arc::clone(&file.file), point, offset);
        Ok(self.wasi.table.push(Box::new(stream) as DynOutputStream)?)
    }
}
