//! The access point that one guest has mounted, and the descriptors that the guest has open there.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;

use super::AccessPoint;
use super::operation::Operation;

/// An access point with its root opened for one environment.
#[derive(Clone)]
pub(in crate::sandbox) struct OpenedMount {
    pub(super) point: Arc<AccessPoint>,
    context: WasiFilesystemCtx,
}

/// The mounted access point of a guest.
pub(in crate::sandbox) struct Mounted {
    mount: OpenedMount,
    /// Open descriptors by their handle. They are shared with the guest's table, so that dropping the table closes
    /// no file: closing one may wait for the mount.
    opened: HashMap<u32, Descriptor>,
}

impl OpenedMount {
    pub(super) fn new(point: Arc<AccessPoint>, context: WasiFilesystemCtx) -> Self {
        Self { point, context }
    }
}

impl Mounted {
    pub(in crate::sandbox) fn new(mount: OpenedMount) -> Self {
        Self {
            mount,
            opened: HashMap::new(),
        }
    }

    pub(in crate::sandbox::filesystem) fn point(&self) -> &Arc<AccessPoint> {
        &self.mount.point
    }

    /// Opens the mount's root for the guest.
    pub(in crate::sandbox::filesystem) fn preopen(
        &mut self,
        table: &mut ResourceTable,
    ) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let context = &mut self.mount.context;
        let directories = WasiFilesystemCtxView {
            ctx: context,
            table,
        }
        .get_directories()?;
        for (fd, _) in &directories {
            let descriptor = table.get(fd)?.clone();
            self.opened.insert(fd.rep(), descriptor);
        }
        Ok(directories)
    }

    /// True for a descriptor of this mount.
    pub(in crate::sandbox::filesystem) fn has(&self, fd: &Resource<Descriptor>) -> bool {
        self.opened.contains_key(&fd.rep())
    }

    /// The descriptor of a handle, if it is of this mount.
    pub(in crate::sandbox::filesystem) fn get(
        &self,
        fd: &Resource<Descriptor>,
    ) -> Option<&Descriptor> {
        self.opened.get(&fd.rep())
    }

    /// An operation on a descriptor of this mount.
    pub(in crate::sandbox::filesystem) fn operation(
        &self,
        fd: &Resource<Descriptor>,
    ) -> Option<Operation> {
        let descriptor = self.get(fd)?.clone();
        let context = self.mount.context.clone();
        Some(Operation::new(
            Arc::clone(&self.mount.point),
            context,
            descriptor,
        ))
    }

    /// Gives the guest a handle of a descriptor that an operation has opened.
    pub(in crate::sandbox::filesystem) fn push(
        &mut self,
        table: &mut ResourceTable,
        descriptor: Descriptor,
    ) -> FsResult<Resource<Descriptor>> {
        let fd = table.push(descriptor.clone())?;
        self.opened.insert(fd.rep(), descriptor);
        Ok(fd)
    }

    /// Closes a handle, and its file on a thread of the access point.
    pub(in crate::sandbox::filesystem) fn close(
        &mut self,
        table: &mut ResourceTable,
        fd: Resource<Descriptor>,
    ) -> wasmtime::Result<()> {
        let kept = self.opened.remove(&fd.rep());
        // The guest's own reference goes first, so that the last one is dropped over there.
        drop(table.delete(fd)?);
        self.mount.point.workers.post(Box::new(move || drop(kept)));
        Ok(())
    }
}

impl Drop for OpenedMount {
    fn drop(&mut self) {
        let context = std::mem::take(&mut self.context);
        self.point.workers.post(Box::new(move || drop(context)));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.opened.is_empty() {
            let opened = std::mem::take(&mut self.opened);
            let workers = &self.mount.point.workers;
            workers.post(Box::new(move || drop(opened)));
        }
    }
}
