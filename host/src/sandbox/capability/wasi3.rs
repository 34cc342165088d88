//! WASI 0.3, in the engine for its components: command line, clocks, random numbers and HTTP. Files and sockets of 0.3
//! are absent, because they would count neither in the quota of `/tmp` nor as descriptors; those of 0.2, which the
//! standard library of Rust uses, work beside it.

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p3::bindings::cli::environment;
use wasmtime_wasi::p3::{cli, clocks, random};

use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    random::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    environment::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.setup.variables.all())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.setup.variables.arguments())
    }

    fn get_initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.setup.variables.directory())
    }
}
