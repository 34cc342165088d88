//! `lambda:managed/lifecycle`: managed runtimes end their environments.

use wasmtime::component::Linker;

use crate::sandbox::guest::Guest;

/// Name of the interface in `wit/managed`. It has one function, for which bindings would be longer.
const LIFECYCLE: &str = "lambda:managed/lifecycle@1.0.0";

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker
        .instance(LIFECYCLE)?
        .func_wrap("end", |mut store, ()| {
            store.data_mut().is_ended = true;
            Ok(())
        })
}
