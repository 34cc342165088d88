//! `wasi:filesystem`, with writes to `/tmp` counted against the quota.

use wasmtime::component::Linker;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::filesystem;

use crate::sandbox::filesystem::{Counted, CountedFilesystem};
use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    filesystem::types::add_to_linker::<_, CountedFilesystem>(linker, Guest::counted_filesystem)
}

impl Guest {
    fn counted_filesystem(&mut self) -> Counted<'_> {
        Counted {
            wasi: WasiFilesystemCtxView {
                ctx: self.wasi.filesystem(),
                table: &mut self.table,
            },
            quota: &self.quota,
            descriptors: &mut self.descriptors,
        }
    }
}
