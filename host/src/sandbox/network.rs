//! Network of guests: `wasi:sockets` with limits, DNS with an asynchronous resolver, and requests of `wasi:http`, all
//! under the egress policy. The sockets themselves are wasmtime's.

use wasmtime::component::Linker;

use super::guest::Guest;

mod exchange;
mod guest_network;
mod host_network;
mod names;
mod requests;
mod response_body;
mod sockets;

pub(super) use guest_network::GuestNetwork;
pub(super) use host_network::HostNetwork;
pub(super) use names::ProgramLookups;

/// Replaces the functions of `wasi:sockets` that consume host resources.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    sockets::add_to_linker(linker)?;
    names::interface::add_to_linker(linker)
}
