//! Host interfaces for guests to import. Each has a file that links it and defines its
//! per-environment state.

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::engine_kind::{EngineKind, is_wasi_3};
use super::guest::Guest;
use super::network;

pub(super) mod extension;
pub(super) mod files;
pub(super) mod host_bodies;
pub(super) mod http;
mod http_error;
mod lifecycle;
mod log;
pub(super) mod response;
pub(super) mod runtime;
pub(super) mod system;
mod tls;
mod variables;
mod wasi3;

/// Linker with all imports of this host for components of an engine.
pub(super) fn linker(engine: &Engine, kind: EngineKind) -> wasmtime::Result<Linker<Guest>> {
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
    extension::link(&mut linker)?;
    response::link(&mut linker)?;
    log::link(&mut linker)?;
    lifecycle::link(&mut linker)?;
    tls::link(&mut linker)?;
    if kind == EngineKind::Concurrent {
        wasi3::link(&mut linker)?;
    }
    Ok(linker)
}

/// Packages of the imports offered.
const PACKAGES: [&str; 10] = [
    "lambda:extension/",
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

/// Packages of which only WASI 0.2 is offered.
const PACKAGES_OF_2: [&str; 2] = ["wasi:filesystem/", "wasi:sockets/"];

/// Imports of a component from unknown packages.
pub(super) fn strange_imports(component: &Component) -> Vec<String> {
    let is_strange = |name: &&str| !PACKAGES.iter().any(|known| name.starts_with(known));
    imports(component, is_strange).collect()
}

/// Import of WASI 0.3 from a package of which only WASI 0.2 is offered.
pub(super) fn unoffered_wasi_3(component: &Component) -> Option<String> {
    let is_unoffered =
        |name: &&str| is_wasi_3(name) && PACKAGES_OF_2.iter().any(|it| name.starts_with(it));
    imports(component, is_unoffered).next()
}

/// Names of imports that fulfil a condition.
fn imports(
    component: &Component,
    is_wanted: impl Fn(&&str) -> bool,
) -> impl Iterator<Item = String> {
    let shape = component.component_type();
    let names = shape.imports(component.engine()).map(|(name, _)| name);
    let names: Vec<String> = names.filter(is_wanted).map(str::to_owned).collect();
    names.into_iter()
}
