//! What a guest's store holds, and everything a guest may import.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::cli::environment;
use wasmtime_wasi::p2::bindings::filesystem;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::adapter::custom_runtime::Mailbox;
use super::bindings;
use super::descriptors::Held;
use super::filesystem::{Counted, CountedFilesystem, Files, Quota};
use super::limits::{Limits, Usage};
use super::network::{self, Lookups};
use super::program::Loaded;
use super::stdio::{Captured, Input, Output};
use super::{Setup, Variables};
use crate::telemetry::log::{EnvironmentLog, Stream};

/// Handles that one environment may hold: files, sockets, streams, requests.
const RESOURCES_MAX: usize = 10_000;
/// What a guest may ask of the random source in one call; the host allocates it.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// The fields of one HTTP message.
const FIELDS_BYTES_MAX: usize = 32 << 10;

/// The data of a guest's store.
pub(super) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Hooks,
    /// What it uses of its `/tmp`.
    quota: Arc<Quota>,
    // After the table: they are given back when what they were taken for is closed.
    pub(super) descriptors: Held,
    pub(super) lookups: Lookups,
    setup: Arc<Setup>,
    pub(super) limits: Limits,
    pub(super) mailbox: Mailbox,
}

/// Where a guest's standard streams lead.
pub(super) enum Streams {
    /// Both to the log.
    Log,
    /// An event comes in, the result goes out, and the log gets the rest.
    Event { stdin: Input, stdout: Captured },
}

impl Guest {
    pub(super) fn new(
        loaded: &Loaded,
        setup: &Arc<Setup>,
        log: &Arc<EnvironmentLog>,
        streams: Streams,
        files: &Files,
        usage: Arc<Usage>,
        mailbox: Mailbox,
    ) -> Self {
        let resources = &loaded.shared.resources;
        let mut wasi = WasiCtxBuilder::new();
        wasi.max_random_size(RANDOM_BYTES_MAX);
        wasi.stderr(Output(Arc::clone(log), Stream::Error));
        match streams {
            Streams::Log => wasi.stdout(Output(Arc::clone(log), Stream::Out)),
            Streams::Event { stdin, stdout } => wasi.stdin(stdin).stdout(stdout),
        };
        resources.reach.apply(&mut wasi);
        let mut wasi = wasi.build();
        *wasi.filesystem() = files.context();
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        let limits = Limits::new(setup.memory, usage);
        Self {
            wasi,
            table,
            http,
            hooks: Hooks,
            quota: Arc::clone(files.quota()),
            descriptors: Held::new(Arc::clone(&resources.descriptors)),
            lookups: Lookups::new(&resources.names, &loaded.lookups),
            setup: Arc::clone(setup),
            limits,
            mailbox,
        }
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    fn counted_filesystem(&mut self) -> Counted<'_> {
        Counted {
            wasi: WasiFilesystemCtxView {
                ctx: self.wasi.filesystem(),
                table: &mut self.table,
            },
            quota: &self.quota,
            descriptors: &mut self.descriptors,
        }
    }
}

/// A guest's environment variables, put together when it asks for them, which few do.
impl environment::Host for Guest {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let Variables { shared, own } = &self.setup.variables;
        let is_shared = |(name, _): &&(String, String)| own.iter().all(|(other, _)| name != other);
        Ok(shared
            .iter()
            .filter(is_shared)
            .chain(own)
            .cloned()
            .collect())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Outgoing requests through `wasi:http` are refused: this host does not offer them yet. Guests
/// reach the network through sockets.
struct Hooks;

/// A response, and what becomes of its connection.
type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// Every import this host offers.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // In the place of files and sockets that are not counted, of look-ups on threads, and of variables that
    // are copied beforehand.
    linker.allow_shadowing(true);
    environment::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    filesystem::types::add_to_linker::<_, CountedFilesystem>(
        &mut linker,
        Guest::counted_filesystem,
    )?;
    network::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    bindings::runtime::lambda::function::runtime::add_to_linker::<_, HasSelf<Guest>>(
        &mut linker,
        |guest| guest,
    )?;
    bindings::streaming::lambda::function::response::add_to_linker::<_, HasSelf<Guest>>(
        &mut linker,
        |guest| guest,
    )?;
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

/// What a component imports of packages that this host has nothing of.
pub(super) fn strange_imports(component: &Component) -> Vec<String> {
    let shape = component.component_type();
    let names = shape.imports(component.engine()).map(|(name, _)| name);
    let strange = names.filter(|name| !PACKAGES.iter().any(|known| name.starts_with(known)));
    strange.map(str::to_owned).collect()
}
