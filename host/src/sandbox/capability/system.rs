//! WASI clocks, random, standard streams and sockets, from wasmtime-wasi.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::sandbox::guest::Guest;
use crate::sandbox::network::GuestNetwork;
use crate::sandbox::stdio::{Captured, Input, Output};
use crate::telemetry::log::{EnvironmentLog, Stream};

/// Limit of one random request, because the host allocates the bytes.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Targets of a guest's standard streams.
pub(in crate::sandbox) enum Streams {
    /// Both to the log.
    Log,
    /// Event on stdin, response on stdout, stderr to the log.
    Event { stdin: Input, stdout: Captured },
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// WASI context of a guest, without directories.
pub(in crate::sandbox) fn context(
    network: &GuestNetwork,
    log: &Arc<EnvironmentLog>,
    streams: Streams,
) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.max_random_size(RANDOM_BYTES_MAX);
    wasi.stderr(Output(Arc::clone(log), Stream::Error));
    match streams {
        Streams::Log => wasi.stdout(Output(Arc::clone(log), Stream::Out)),
        Streams::Event { stdin, stdout } => wasi.stdin(stdin).stdout(stdout),
    };
    network.apply(&mut wasi);
    wasi.build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.limits.note_stack();
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
