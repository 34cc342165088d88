//! Host interfaces for guests to import. Each has a file that links it and defines its
//! per-environment state.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::guest::Guest;
use super::network;

pub(super) mod files;
pub(super) mod http;
mod http_error;
mod lifecycle;
mod log;
pub(super) mod response;
pub(super) mod runtime;
pub(super) mod system;
mod tls;
mod variables;

/// Linker with all imports of this host.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    system::link(&mut linker)?;
    http::link(&mut linker)?;
    // The following shadow parts of these interfaces.
    linker.allow_shadowing(true);
    variables::link(&mut linker)?;
    files::link(&mut linker)?;
    network::add_to_linker(&mut linker)?;
    http_error::link(&mut linker)?;
    linker.allow_shadowing(false);
    runtime::link(&mut linker)?;
    response::link(&mut linker)?;
    log::link(&mut linker)?;
    lifecycle::link(&mut linker)?;
    tls::link(&mut linker)?;
    Ok(linker)
}

/// Packages of the imports offered.
const PACKAGES: [&str; 9] = [
    "lambda:function/",
    "lambda:managed/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Imports of a component from unknown packages.
pub(super) fn strange_imports(component: &Component) -> Vec<String> {
    let shape = component.component_type();
    let names = shape.imports(component.engine()).map(|(name, _)| name);
    let strange = names.filter(|name| !PACKAGES.iter().any(|known| name.starts_with(known)));
    strange.map(str::to_owned).collect()
}
