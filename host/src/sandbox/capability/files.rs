//! `wasi:filesystem`, with writes to `/tmp` counted against the quota, and the access point at `/mnt`.

use wasmtime::component::Linker;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::filesystem;

use crate::sandbox::filesystem::{Counted, CountedFilesystem};
use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let counted = Guest::counted_filesystem;
    filesystem::preopens::add_to_linker::<_, CountedFilesystem>(linker, counted)?;
    filesystem::types::add_to_linker::<_, CountedFilesystem>(linker, counted)
}

impl Guest {
    fn counted_filesystem(&mut self) -> Counted<'_> {
        if self.mounted.is_some() {
            // Operations on an access point suspend the guest.
            self.limits.note_stack();
        }
        Counted {
            wasi: WasiFilesystemCtxView {
                ctx: self.wasi.filesystem(),
                table: &mut self.table,
            },
            quota: &self.quota,
            descriptors: &mut self.descriptors,
            mounted: self.mounted.as_deref_mut(),
        }
    }
}
