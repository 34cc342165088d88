//! Network of one guest: its egress policy, its look-ups and its requests, with denials in its log.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Semaphore;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

use super::host_network::{Connections, HostNetwork};
use super::names::{Failed, GUEST_MAX, ProgramLookups};
use crate::outbound::host_name::{Host, HostName};
use crate::sandbox::egress::{Denied, Reach};
use crate::sandbox::{FunctionFacts, Setup};
use crate::telemetry::log::EnvironmentLog;

/// Running and queued look-ups of one guest. More are refused.
pub(super) const GUEST_ASKED_MAX: usize = 64;
/// Requests of one guest under way, until their response bodies are read. More wait.
const REQUESTS_MAX: usize = 128;
/// Requests that a guest may leave open after a call, such as a stream of events that it goes on reading. An environment
/// with more is replaced: each holds memory and a connection of the host while the environment is idle.
const LEFT_OPEN_MAX: usize = 8;
/// Addresses remembered with the names that led to them, for rules on names. Older ones are forgotten.
const NAMED_MAX: usize = 256;
/// Lines on denials in a minute. More would flood the log.
const LINES_PER_MINUTE_MAX: u32 = 60;

/// Network of one guest; cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct GuestNetwork(pub(super) Arc<Own>);

#[derive(Debug)]
pub(super) struct Own {
    pub(super) host: Arc<HostNetwork>,
    pub(super) reach: Reach,
    program: Arc<ProgramLookups>,
    function: Arc<FunctionFacts>,
    tenant_id: Option<String>,
    log: Arc<EnvironmentLog>,
    lookups: Semaphore,
    asked: AtomicUsize,
    requests: OnceLock<Arc<Semaphore>>,
    connections: OnceLock<Connections>,
    // std mutex: the sections touch a short list, and nothing awaits inside.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Addresses with the names that led to them and that rules depend on, oldest first.
    named: VecDeque<(IpAddr, Arc<[HostName]>)>,
    minute: u64,
    lines: u32,
}

/// An admitted look-up.
#[derive(Debug)]
pub(super) struct Asked(Arc<Own>);

impl GuestNetwork {
    pub(in crate::sandbox) fn new(
        host: &Arc<HostNetwork>,
        program: &Arc<ProgramLookups>,
        setup: &Setup,
        log: &Arc<EnvironmentLog>,
    ) -> Self {
        let function = &setup.function;
        Self(Arc::new(Own {
            reach: host.reach.of(&function.name),
            host: Arc::clone(host),
            program: Arc::clone(program),
            function: Arc::clone(function),
            tenant_id: setup.tenant_id.clone(),
            log: Arc::clone(log),
            lookups: Semaphore::new(GUEST_MAX),
            asked: AtomicUsize::new(0),
            requests: OnceLock::new(),
            connections: OnceLock::new(),
            state: Mutex::default(),
        }))
    }

    /// Puts the guest's sockets under the egress policy.
    pub(in crate::sandbox) fn apply(&self, wasi: &mut WasiCtxBuilder) {
        // Denied by the check below, which has a line for the log.
        wasi.allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(true);
        let own = Arc::clone(&self.0);
        wasi.socket_addr_check(move |address, purpose| {
            let allowed = own.allows(address, purpose);
            Box::pin(async move { allowed })
        });
    }

    /// True if the guest left more requests open than it may after a call.
    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        let requests = self.0.requests.get();
        requests.is_some_and(|permits| permits.available_permits() < REQUESTS_MAX - LEFT_OPEN_MAX)
    }

    /// Admits a look-up; `None` if too many are running or queued.
    pub(super) fn ask(&self) -> Option<Asked> {
        let more = |asked: usize| (asked < GUEST_ASKED_MAX).then_some(asked + 1);
        let asked = &self.0.asked;
        asked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Asked(Arc::clone(&self.0)))
    }
}

impl Asked {
    /// Addresses of a name, or the address itself, that the guest may reach.
    pub(super) async fn resolve(self, name: String) -> Result<Vec<IpAddr>, Failed> {
        let host = name.parse().map_err(|_| Failed::Malformed)?;
        self.0.resolve(&host, None).await
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Own {
    /// Addresses of a host that may be reached on this port. The only look-up of a connection: its addresses are
    /// checked and then connected to, so that a name server cannot answer the check and the connection differently.
    pub(super) async fn resolve(
        &self,
        host: &Host,
        port: Option<u16>,
    ) -> Result<Vec<IpAddr>, Failed> {
        let (found, names) = match host {
            Host::Address(address) => (vec![*address], Vec::new()),
            Host::Name(name) => self.look_up(name).await?,
        };
        let mut reached = Vec::new();
        let mut denied = None;
        for address in found {
            match self.reach.check(address, port, &names) {
                Ok(()) => reached.push(address),
                Err(error) => denied = denied.or(Some(error)),
            }
        }
        match denied {
            Some(denied) if reached.is_empty() => Err(self.deny(&denied)),
            _ => {
                self.remember(&names, &reached);
                Ok(reached)
            }
        }
    }

    /// Addresses of a name, with the name and the answered one if it differs.
    async fn look_up(&self, name: &HostName) -> Result<(Vec<IpAddr>, Vec<HostName>), Failed> {
        self.reach
            .check_name(name)
            .map_err(|denied| self.deny(&denied))?;
        let resolving = self.host.names.resolve(name, &self.program, &self.lookups);
        let found = resolving.await?;
        let mut names = vec![name.clone()];
        if !found.name.is(name) {
            names.push(found.name);
        }
        Ok((found.addresses, names))
    }

    /// Connections of the guest's function and tenant.
    pub(super) fn connections(&self) -> &Connections {
        let tenant_id = self.tenant_id.as_deref();
        let connections = || self.host.connections(&self.function.name, tenant_id);
        self.connections.get_or_init(connections)
    }

    /// Permits for the guest's requests under way.
    pub(super) fn requests(&self) -> &Arc<Semaphore> {
        let permits = || Arc::new(Semaphore::new(REQUESTS_MAX));
        self.requests.get_or_init(permits)
    }

    /// Writes a line into the function's log.
    pub(super) fn note(&self, line: &str) {
        let minute = self.host.clock.now().secs() / 60;
        let mut state = self.lock();
        if state.minute != minute {
            (state.minute, state.lines) = (minute, 0);
        }
        state.lines += 1;
        let is_due = state.lines <= LINES_PER_MINUTE_MAX;
        drop(state);
        if is_due {
            self.log.failure(line);
        }
    }

    fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let lookups = self.lookups_of(address.ip());
        match self.reach.check_socket(address, purpose, &lookups) {
            Ok(()) => true,
            Err(denied) => {
                if matches!(purpose, SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend) {
                    self.deny(&denied);
                }
                false
            }
        }
    }

    fn deny(&self, denied: &Denied) -> Failed {
        self.note(&denied.to_string());
        Failed::Denied
    }

    /// Remembers the names of addresses, if a rule depends on them: sockets show addresses only.
    fn remember(&self, names: &[HostName], addresses: &[IpAddr]) {
        if !self.reach.has_name(names) {
            return;
        }
        let names: Arc<[HostName]> = names.into();
        let mut state = self.lock();
        for address in addresses {
            let named = (address.to_canonical(), Arc::clone(&names));
            state.named.retain(|it| *it != named);
            state.named.push_back(named);
        }
        let excess = state.named.len().saturating_sub(NAMED_MAX);
        state.named.drain(..excess);
    }

    fn lookups_of(&self, address: IpAddr) -> Vec<Arc<[HostName]>> {
        let address = address.to_canonical();
        let state = self.lock();
        let named = state.named.iter().filter(|(it, _)| *it == address);
        named.map(|(_, names)| Arc::clone(names)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
