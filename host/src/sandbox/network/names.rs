//! DNS look-ups of guests with an asynchronous resolver, so that a silent server blocks tasks and
//! no threads. Limited per guest, program and host, with a timeout.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::outbound::host_name::HostName;

pub(super) mod interface;

/// Concurrent look-ups of the host. Each uses a few sockets, for which descriptors are reserved.
const HOST_MAX: usize = 128;
/// Concurrent look-ups of one program, so that functions with silent DNS servers leave some to
/// others.
const PROGRAM_MAX: usize = 32;
/// Concurrent look-ups of one guest.
pub(super) const GUEST_MAX: usize = 8;
/// Timeout including the queue; as long as the C library waits for one silent server.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Timeout per server, the default of `resolv.conf`.
const SERVER_TIME_MAX: Duration = Duration::from_secs(4);
/// Cached responses, kept for their TTL; the largest have 64 KiB.
const CACHED_MAX: u64 = 256;
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Failure of a look-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Failed {
    /// Malformed name.
    Malformed,
    /// Unknown name, or one without addresses.
    Unknown,
    /// Addresses exist, but egress policy blocks all.
    Denied,
    /// Too many look-ups, or timeout.
    Later,
}

/// Addresses of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// Name that has the addresses: with a domain of the search list, if the name asked for has none.
    pub(super) name: HostName,
    /// IPv4 first.
    pub(super) addresses: Vec<IpAddr>,
}

/// Resolver of a host.
#[derive(Debug)]
pub(super) struct Names {
    clock: Clock,
    permits: Semaphore,
    // std mutex: held during reads of two small files, and only after they changed.
    resolver: Mutex<Option<(SystemTime, TokioResolver)>>,
}

/// Limit of one program's look-ups.
#[derive(Debug)]
pub(in crate::sandbox) struct ProgramLookups(Semaphore);

impl ProgramLookups {
    pub(in crate::sandbox) fn new() -> Self {
        Self(Semaphore::new(PROGRAM_MAX))
    }
}

impl Names {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            permits: Semaphore::new(HOST_MAX),
            resolver: Mutex::default(),
        }
    }

    /// Addresses of a name. `guest` bounds the look-ups of its guest.
    pub(super) async fn resolve(
        &self,
        name: &HostName,
        program: &ProgramLookups,
        guest: &Semaphore,
    ) -> Result<Found, Failed> {
        let looked_up = self.look_up(name, program, guest);
        let in_time = self.clock.timeout(TIME_MAX, looked_up).await;
        in_time.unwrap_or(Err(Failed::Later))
    }

    async fn look_up(
        &self,
        name: &HostName,
        program: &ProgramLookups,
        guest: &Semaphore,
    ) -> Result<Found, Failed> {
        let mut asked = Name::from_ascii(name.as_str()).map_err(|_| Failed::Malformed)?;
        asked.set_fqdn(name.is_complete());
        // Lock order: a task waiting for the host's permit holds only permits of its own guest and
        // program.
        let _guest = guest.acquire().await;
        let _program = program.0.acquire().await;
        let _host = self.permits.acquire().await;
        let resolver = self.resolver()?;
        let found = resolver.lookup_ip(asked).await.map_err(Failed::from)?;
        let mut addresses: Vec<IpAddr> = found.iter().map(|it| it.to_canonical()).collect();
        // IPv4 first: on a machine without IPv6 route, clients that try addresses in order wait
        // less.
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses.dedup();
        // A domain of the search list that is no host name could hide a name from the rules.
        let answered = found.query().name().to_ascii();
        let name = answered.parse().map_err(|_| Failed::Malformed)?;
        Ok(Found { name, addresses })
    }

    /// Resolver for the current `resolv.conf`.
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
            tracing::warn!(%error, "{RESOLV_CONF} cannot be used: DNS of functions fails");
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
