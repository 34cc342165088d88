//! `wasi:sockets` with limits: sockets count as descriptors, and DNS uses an asynchronous resolver.
//! The rest is wasmtime's own.

use wasmtime::component::Linker;

use super::guest::Guest;

mod names;
mod sockets;

pub(super) use names::{Lookups, Names, ProgramLookups};

/// Replaces the functions of `wasi:sockets` that consume host resources.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    sockets::add_to_linker(linker)?;
    names::interface::add_to_linker(linker)
}
