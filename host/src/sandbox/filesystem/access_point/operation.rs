//! One operation of a guest on its mounted access point, run on a thread of the access point.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::AccessPoint;
use crate::sandbox::descriptors::Held;
use crate::sandbox::filesystem::Counted;

/// An operation that is about to run.
pub(in crate::sandbox::filesystem) struct Operation {
    point: Arc<AccessPoint>,
    context: WasiFilesystemCtx,
    descriptor: Descriptor,
}

impl Operation {
    pub(super) fn new(
        point: Arc<AccessPoint>,
        context: WasiFilesystemCtx,
        descriptor: Descriptor,
    ) -> Self {
        Self {
            point,
            context,
            descriptor,
        }
    }

    /// Runs an operation that allocates and frees no space.
    pub(in crate::sandbox::filesystem) async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Counted<'_>, Resource<Descriptor>) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        self.run(false, work).await
    }

    /// Runs an operation that may allocate or free space, apart from others.
    pub(in crate::sandbox::filesystem) async fn change<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Counted<'_>, Resource<Descriptor>) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        self.run(true, work).await
    }

    async fn run<T: Send + 'static>(
        self,
        is_change: bool,
        work: impl FnOnce(&mut Counted<'_>, Resource<Descriptor>) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let point = Arc::clone(&self.point);
        let done = point.workers.run(move || self.perform(is_change, work));
        // Without a result, the thread failed.
        done.await.unwrap_or_else(|| Err(ErrorCode::Io.into()))
    }

    /// Gives the operation a table of its own: that of the guest stays with the guest, which may end meanwhile.
    fn perform<T>(
        mut self,
        is_change: bool,
        work: impl FnOnce(&mut Counted<'_>, Resource<Descriptor>) -> FsResult<T>,
    ) -> FsResult<T> {
        let _apart = if is_change {
            self.point.changing()
        } else {
            None
        };
        let mut table = ResourceTable::new();
        let fd = table.push(self.descriptor)?;
        let mut descriptors = Held::new(Arc::clone(&self.point.descriptors));
        let mut here = Counted {
            wasi: WasiFilesystemCtxView {
                ctx: &mut self.context,
                table: &mut table,
            },
            quota: &self.point.quota,
            descriptors: &mut descriptors,
            mounted: None,
        };
        work(&mut here, fd)
    }
}

/// Result of an operation in a context that blocks, which never suspends.
pub(in crate::sandbox::filesystem) fn now<T>(operation: impl Future<Output = T>) -> T {
    let done = operation.now_or_never();
    done.expect("an operation that blocks its thread does not suspend")
}
