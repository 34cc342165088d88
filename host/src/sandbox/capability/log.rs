//! `lambda:managed/log`: log events of managed runtimes, line breaks included.

use wasmtime::component::Linker;

use crate::sandbox::guest::Guest;

/// Name of the interface in `wit/managed`. It has one function, for which bindings would be longer.
const LOG: &str = "lambda:managed/log@1.0.0";

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker
        .instance(LOG)?
        .func_wrap("write", |store, (event,): (String,)| {
            store.data().log.record(&event);
            Ok(())
        })
}
