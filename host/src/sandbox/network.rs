//! `wasi:sockets` with bounds: sockets count as descriptors of their guest, and names are looked up
//! by an asynchronous resolver. The rest of the interfaces is wasmtime's own.

use wasmtime::component::Linker;

use super::guest::Guest;

mod names;
mod sockets;

pub(super) use names::{Lookups, Names, ProgramLookups};

/// Replaces those functions of `wasi:sockets` that take something of the host.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    sockets::add_to_linker(linker)?;
    names::interface::add_to_linker(linker)
}
