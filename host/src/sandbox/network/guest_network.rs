//! Network of one guest: its egress policy, its look-ups and its requests, with denials in its log.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Semaphore;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

use super::host_network::{FunctionConnections, HostNetwork};
use super::names::{Failed, GUEST_MAX, ProgramLookups};
use crate::sandbox::FunctionFacts;
use crate::sandbox::egress::{Denied, Reach};
use crate::telemetry::log::EnvironmentLog;

/// Running and queued look-ups of one guest. More are refused.
pub(super) const GUEST_ASKED_MAX: usize = 64;
/// Requests of one guest under way, until their response bodies are read. More wait.
const REQUESTS_MAX: usize = 128;
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
    log: Arc<EnvironmentLog>,
    lookups: Semaphore,
    asked: AtomicUsize,
    requests: OnceLock<Arc<Semaphore>>,
    connections: OnceLock<Arc<FunctionConnections>>,
    // std mutex: the sections touch a short list, and nothing awaits inside.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Addresses with names that rules depend on, oldest first.
    named: VecDeque<(IpAddr, String)>,
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
        function: &Arc<FunctionFacts>,
        log: &Arc<EnvironmentLog>,
    ) -> Self {
        Self(Arc::new(Own {
            reach: host.reach.of(&function.name),
            host: Arc::clone(host),
            program: Arc::clone(program),
            function: Arc::clone(function),
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

    /// True if the guest left so many requests open that few more fit.
    pub(in crate::sandbox) fn is_spent(&self) -> bool {
        let requests = self.0.requests.get();
        requests.is_some_and(|permits| permits.available_permits() < REQUESTS_MAX / 2)
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
        self.0.resolve(&name, None).await
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
        host: &str,
        port: Option<u16>,
    ) -> Result<Vec<IpAddr>, Failed> {
        let (found, name) = match host.parse() {
            Ok(address) => (vec![address], None),
            Err(_) => {
                self.reach
                    .check_name(host)
                    .map_err(|denied| self.deny(&denied))?;
                let resolving = self.host.names.resolve(host, &self.program, &self.lookups);
                (resolving.await?, Some(host))
            }
        };
        let mut reached = Vec::new();
        let mut denied = None;
        for address in found {
            match self.reach.check(address, port, name) {
                Ok(()) => reached.push(address),
                Err(error) => denied = denied.or(Some(error)),
            }
        }
        match denied {
            Some(denied) if reached.is_empty() => Err(self.deny(&denied)),
            _ => {
                self.remember(name, &reached);
                Ok(reached)
            }
        }
    }

    /// Connections of the guest's function.
    pub(super) fn connections(&self) -> &FunctionConnections {
        let connections = || self.host.connections(&self.function.name);
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
        let names = self.names_of(address.ip());
        match self.reach.check_socket(address, purpose, &names) {
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

    /// Remembers the name of addresses, if a rule depends on it: sockets show addresses only.
    fn remember(&self, name: Option<&str>, addresses: &[IpAddr]) {
        let Some(name) = name.filter(|name| self.reach.has_name(name)) else {
            return;
        };
        let mut state = self.lock();
        for address in addresses {
            let named = (address.to_canonical(), name.to_owned());
            state.named.retain(|it| *it != named);
            state.named.push_back(named);
        }
        let excess = state.named.len().saturating_sub(NAMED_MAX);
        state.named.drain(..excess);
    }

    fn names_of(&self, address: IpAddr) -> Vec<String> {
        let address = address.to_canonical();
        let state = self.lock();
        let named = state.named.iter().filter(|(it, _)| *it == address);
        named.map(|(_, name)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
