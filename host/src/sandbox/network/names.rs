//! Name look-ups: by an asynchronous resolver, so that a silent DNS server holds up tasks and no
//! threads; bounded for a guest, a program and the host; ended after a time; answered within the
//! egress policy.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::sandbox::egress::Reach;

pub(super) mod interface;

/// Look-ups under way at once, of all guests. Each has some sockets: the host keeps descriptors for
/// them aside.
const HOST_MAX: usize = 128;
/// Of them, those of one program: functions whose DNS servers are silent leave some to others.
const PROGRAM_MAX: usize = 32;
/// Of them, those of one guest.
const GUEST_MAX: usize = 8;
/// Look-ups of one guest that are under way or wait for it. More are refused at once.
const GUEST_ASKED_MAX: usize = 64;
/// From the question to the answer, the wait for others included. The C library gives up after as long
/// with one silent server.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How long one server may take, as in `resolv.conf` where it says nothing.
const SERVER_TIME_MAX: Duration = Duration::from_secs(4);
/// Answers kept for their time to live; the longest have 64 KiB.
const CACHED_MAX: u64 = 256;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failed {
    /// It is no name.
    Malformed,
    /// There is no such name, or it has no addresses.
    Unknown,
    /// It has addresses, and the guest may reach none of them.
    Denied,
    /// Too many look-ups, or no answer in time.
    Later,
}

/// The resolver of a host.
#[derive(Debug)]
pub(in crate::sandbox) struct Names {
    reach: Reach,
    clock: Clock,
    permits: Semaphore,
    // A std mutex: held while two small files are read, and only where they have changed.
    resolver: Mutex<Option<(SystemTime, TokioResolver)>>,
}

/// Look-ups of one program: the bound on all its guests.
#[derive(Debug)]
pub(in crate::sandbox) struct ProgramLookups(Semaphore);

/// Look-ups of one guest.
#[derive(Debug)]
pub(in crate::sandbox) struct Lookups(Arc<Own>);

#[derive(Debug)]
struct Own {
    names: Arc<Names>,
    program: Arc<ProgramLookups>,
    permits: Semaphore,
    asked: AtomicUsize,
}

/// A look-up that may be made.
#[derive(Debug)]
struct Asked(Arc<Own>);

impl ProgramLookups {
    pub(in crate::sandbox) fn new() -> Self {
        Self(Semaphore::new(PROGRAM_MAX))
    }
}

impl Lookups {
    pub(in crate::sandbox) fn new(names: &Arc<Names>, program: &Arc<ProgramLookups>) -> Self {
        Self(Arc::new(Own {
            names: Arc::clone(names),
            program: Arc::clone(program),
            permits: Semaphore::new(GUEST_MAX),
            asked: AtomicUsize::new(0),
        }))
    }

    /// None where too many are under way or wait.
    fn ask(&self) -> Option<Asked> {
        let more = |asked: usize| (asked < GUEST_ASKED_MAX).then_some(asked + 1);
        let asked = &self.0.asked;
        asked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Asked(Arc::clone(&self.0)))
    }
}

impl Asked {
    async fn resolve(self, name: String) -> Result<Vec<IpAddr>, Failed> {
        let own = &self.0;
        own.names.resolve(&name, &own.program, &own.permits).await
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Names {
    pub(in crate::sandbox) fn new(reach: Reach, clock: Clock) -> Self {
        Self {
            reach,
            clock,
            permits: Semaphore::new(HOST_MAX),
            resolver: Mutex::default(),
        }
    }

    /// The addresses of a name that a guest may reach.
    async fn resolve(
        &self,
        name: &str,
        program: &ProgramLookups,
        guest: &Semaphore,
    ) -> Result<Vec<IpAddr>, Failed> {
        let found = match name.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let looked_up = self.look_up(name, program, guest);
                let in_time = self.clock.timeout(TIME_MAX, looked_up).await;
                in_time.unwrap_or(Err(Failed::Later))?
            }
        };
        let reached: Vec<IpAddr> = found
            .into_iter()
            .filter(|it| self.reach.includes(*it))
            .collect();
        if reached.is_empty() {
            return Err(Failed::Denied);
        }
        Ok(reached)
    }

    async fn look_up(
        &self,
        name: &str,
        program: &ProgramLookups,
        guest: &Semaphore,
    ) -> Result<Vec<IpAddr>, Failed> {
        let name = Name::from_utf8(name).map_err(|_| Failed::Malformed)?;
        if name.num_labels() == 0 {
            return Err(Failed::Malformed);
        }
        // In this order: who waits for the host holds nothing that others wait for but his own.
        let _guest = guest.acquire().await;
        let _program = program.0.acquire().await;
        let _host = self.permits.acquire().await;
        let resolver = self.resolver()?;
        let found = resolver.lookup_ip(name).await.map_err(Failed::from)?;
        let mut addresses: Vec<IpAddr> = found.iter().map(|it| it.to_canonical()).collect();
        // Where the machine has no route for IPv6, a client that tries them in order waits less.
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses.dedup();
        Ok(addresses)
    }

    /// The resolver of the machine's configuration as it is now.
    fn resolver(&self) -> Result<TokioResolver, Failed> {
        let changed = std::fs::metadata(RESOLV_CONF).and_then(|it| it.modified());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut kept = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, resolver)) = &*kept
            && *since == changed
        {
            return Ok(resolver.clone());
        }
        let made = TokioResolver::builder_tokio().and_then(|mut builder| {
            configure(builder.options_mut());
            builder.build()
        });
        let resolver = made.map_err(|error| {
            tracing::warn!(%error, "{RESOLV_CONF} cannot be used: functions look up no names");
            Failed::Later
        })?;
        *kept = Some((changed, resolver.clone()));
        Ok(resolver)
    }
}

fn configure(options: &mut ResolverOpts) {
    options.cache_size = CACHED_MAX;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    options.timeout = options.timeout.min(SERVER_TIME_MAX);
}

impl From<NetError> for Failed {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => Self::Unknown,
            _ => Self::Later,
        }
    }
}

#[cfg(test)]
mod tests;
