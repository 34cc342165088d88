//! Connection slots: limits in total and per address, and eviction for new connections. A
//! connection with a request in progress is never evicted; of the others, the one idle for longest
//! goes first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::pulse::Pulse;

/// Open connections.
#[derive(Debug)]
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    per_address_max: usize,
    /// Bytes of all unread responses, those of closed connections included until they are freed.
    untaken_bytes: AtomicU64,
    untaken_bytes_max: u64,
    /// std mutex, held during a scan of all connections.
    register: Mutex<Register>,
}

#[derive(Debug, Default)]
struct Register {
    numbered: u64,
    open: HashMap<u64, Open>,
    /// Connections per address, without those being evicted.
    counts: HashMap<IpAddr, usize>,
}

/// Registration of an open connection.
#[derive(Debug)]
struct Open {
    /// Client address; `None` for trusted proxies, which have no limit.
    peer: Option<IpAddr>,
    pulse: Arc<Pulse>,
    evicted: CancellationToken,
}

/// Slot of an open connection, released on drop.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    number: u64,
    connections: Arc<Connections>,
    pub(super) pulse: Arc<Pulse>,
    /// Cancelled when the connection is evicted.
    pub(super) evicted: CancellationToken,
    /// True for a trusted proxy.
    pub(super) is_proxy: bool,
    _permit: OwnedSemaphorePermit,
}

/// Unread responses of one connection; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Untaken {
    connections: Arc<Connections>,
    pulse: Arc<Pulse>,
}

impl Connections {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(config.connections_max)),
            per_address_max: config.per_address_max.max(1),
            untaken_bytes: AtomicU64::new(0),
            untaken_bytes_max: config.untaken_bytes_max,
            register: Mutex::default(),
        }
    }

    /// Slot for a new connection; `None` if all connections of its address have requests in
    /// progress. Waits while all slots are taken.
    pub(super) async fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        config: &Config,
    ) -> Option<ConnectionSlot> {
        let peer = peer.to_canonical();
        let is_trusted = config.trusted_proxies.iter().any(|it| it.has(peer));
        let peer = (!is_trusted).then_some(peer);
        if let Some(peer) = peer {
            let mut register = self.lock();
            if register.count(peer) >= self.per_address_max && !register.evict(Some(peer)) {
                return None;
            }
        }
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.lock().evict(None);
                let permit = Arc::clone(&self.permits).acquire_owned().await;
                permit.expect("the semaphore is never closed")
            }
        };
        let (pulse, evicted) = (Arc::new(Pulse::new(config)), CancellationToken::new());
        let number = self.lock().add(Open {
            peer,
            pulse: Arc::clone(&pulse),
            evicted: evicted.clone(),
        });
        Some(ConnectionSlot {
            number,
            connections: Arc::clone(self),
            pulse,
            evicted,
            is_proxy: is_trusted,
            _permit: permit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// Counter of this connection's unread responses.
    pub(super) fn untaken(&self) -> Untaken {
        Untaken {
            connections: Arc::clone(&self.connections),
            pulse: Arc::clone(&self.pulse),
        }
    }
}

impl Untaken {
    /// Counts a response of this length as unread, and numbers it. Over the limit, the connection without progress
    /// for the longest is closed, which may be this one.
    pub(super) fn hold(&self, bytes: usize) -> u64 {
        let number = self.pulse.hold(bytes);
        let Connections {
            untaken_bytes,
            untaken_bytes_max,
            ..
        } = &*self.connections;
        let others = untaken_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if others + bytes as u64 > *untaken_bytes_max {
            self.connections.lock().evict_slow(*untaken_bytes_max);
        }
        number
    }

    /// Marks a response of this length as read or dropped.
    pub(super) fn taken(&self, number: u64, bytes: usize) {
        self.pulse.taken(number, bytes);
        let counter = &self.connections.untaken_bytes;
        counter.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl Register {
    fn add(&mut self, open: Open) -> u64 {
        if let Some(peer) = open.peer {
            *self.counts.entry(peer).or_default() += 1;
        }
        self.numbered += 1;
        self.open.insert(self.numbered, open);
        self.numbered
    }

    fn count(&self, peer: IpAddr) -> usize {
        self.counts.get(&peer).copied().unwrap_or_default()
    }

    fn discount(&mut self, peer: Option<IpAddr>) {
        let Some(peer) = peer else { return };
        if let Some(count) = self.counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer);
            }
        }
    }

    /// Evicts the least active connection, of one address or of all. False if all have requests in
    /// progress.
    fn evict(&mut self, peer: Option<IpAddr>) -> bool {
        let is_it = |it: &Open| peer.is_none() || it.peer == peer;
        let live = self.open.values().filter(|it| !it.evicted.is_cancelled());
        let idle = live
            .filter(|it| is_it(it))
            .filter_map(|it| Some((it.pulse.idle_since()?, it)));
        let least = idle.min_by_key(|(since, _)| *since);
        let Some(peer) = least.map(|(_, open)| {
            open.evicted.cancel();
            open.peer
        }) else {
            return false;
        };
        self.discount(peer);
        true
    }

    /// Closes connections, longest without progress first, until the unread responses of the others are within the
    /// limit.
    fn evict_slow(&mut self, bytes_max: u64) {
        let live = self.open.values().filter(|it| !it.evicted.is_cancelled());
        let mut slow: Vec<_> = live
            .filter_map(|it| it.pulse.untaken().map(|(bytes, since)| (since, bytes, it)))
            .collect();
        slow.sort_unstable_by_key(|(since, ..)| *since);
        let mut left: u64 = slow.iter().map(|(_, bytes, _)| bytes).sum();
        let mut peers = Vec::new();
        for (_, bytes, open) in slow {
            if left <= bytes_max {
                break;
            }
            open.evicted.cancel();
            peers.push(open.peer);
            left -= bytes;
        }
        for peer in peers {
            self.discount(peer);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut register = self.connections.lock();
        if let Some(open) = register.open.remove(&self.number)
            && !open.evicted.is_cancelled()
        {
            register.discount(open.peer);
        }
    }
}
