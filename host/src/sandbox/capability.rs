//! The host interfaces that a guest may import. Each has a file, which links it and has the state that an
//! environment keeps of it.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::guest::Guest;
use super::network;

pub(super) mod files;
pub(super) mod http;
pub(super) mod response;
pub(super) mod runtime;
pub(super) mod system;
mod variables;

/// Every import this host offers.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    system::link(&mut linker)?;
    // These take the place of parts of the system's.
    linker.allow_shadowing(true);
    variables::link(&mut linker)?;
    files::link(&mut linker)?;
    network::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    http::link(&mut linker)?;
    runtime::link(&mut linker)?;
    response::link(&mut linker)?;
    Ok(linker)
}

/// The packages of what this host offers.
const PACKAGES: [&str; 8] = [
    "lambda:function/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Imports of a component from packages that this host has nothing of.
pub(super) fn strange_imports(component: &Component) -> Vec<String> {
    let shape = component.component_type();
    let names = shape.imports(component.engine()).map(|(name, _)| name);
    let strange = names.filter(|name| !PACKAGES.iter().any(|known| name.starts_with(known)));
    strange.map(str::to_owned).collect()
}
