//! `wasi:cli/environment`: environment variables, assembled on request, because few guests ask.

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::cli::environment;

use crate::sandbox::Variables;
use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    environment::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Variables {
    /// All variables of an environment.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let Self { shared, own, .. } = self;
        let is_shared = |(name, _): &&(String, String)| own.iter().all(|(other, _)| name != other);
        shared
            .iter()
            .filter(is_shared)
            .chain(own)
            .cloned()
            .collect()
    }
}

impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.setup.variables.all())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.setup.variables.arguments())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.setup.variables.directory())
    }
}
