//! Store data of a guest: per-environment state of each capability, and limits.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

use super::Setup;
use super::capability::http::Http;
use super::capability::runtime::Mailbox;
use super::capability::system::{self, Streams};
use super::descriptors::Held;
use super::extension::telemetry::Post;
use super::filesystem::{Files, Mounted, Quota};
use super::limits::{Limits, MemoryUsage};
use super::network::GuestNetwork;
use super::program::Loaded;
use super::tls::Sessions;
use crate::telemetry::log::EnvironmentLog;

/// Resource handles of one environment: files, sockets, streams, requests.
const RESOURCES_MAX: usize = 10_000;

/// Store data of a guest.
pub(super) struct Guest {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) http: Http,
    /// Usage of `/tmp`.
    pub(super) quota: Arc<Quota>,
    /// Access point at `/mnt`.
    pub(super) mounted: Option<Box<Mounted>>,
    // Declared after the table: descriptors are released once their resources are closed.
    pub(super) descriptors: Held,
    pub(super) network: GuestNetwork,
    pub(super) setup: Arc<Setup>,
    pub(super) limits: Limits,
    pub(super) mailbox: Mailbox,
    /// Set for an extension.
    pub(super) extension: Option<Box<Post>>,
    pub(super) log: Arc<EnvironmentLog>,
    pub(super) tls: Sessions,
    /// True if its runtime has asked for the end of the environment.
    pub(super) is_ended: bool,
}

impl Guest {
    pub(super) fn new(
        loaded: &Loaded,
        setup: &Arc<Setup>,
        log: &Arc<EnvironmentLog>,
        streams: Streams,
        files: &Files,
        usage: Arc<MemoryUsage>,
        mailbox: Mailbox,
    ) -> Self {
        let resources = &loaded.shared.resources;
        let network = GuestNetwork::new(&resources.network, &loaded.lookups, setup, log);
        let mut wasi = system::context(&network, log, streams);
        *wasi.filesystem() = files.context();
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let guest = Self {
            wasi,
            table,
            http: Http::new(network.clone(), loaded.shared.kind),
            quota: Arc::clone(files.quota()),
            mounted: files.mounted(),
            descriptors: Held::new(Arc::clone(&resources.descriptors)),
            network,
            setup: Arc::clone(setup),
            limits: Limits::new(setup.memory, usage),
            mailbox,
            extension: None,
            log: Arc::clone(log),
            tls: Sessions::new(&resources.config.trust),
            is_ended: false,
        };
        // Part of what the environment was admitted with, so there is room for it.
        let _counted = guest.count_http(0);
        guest
    }

    /// The guest, for a host function that may suspend it.
    pub(super) fn noted(&mut self) -> &mut Self {
        self.limits.note_stack();
        self
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}
