//! Open connections: how many there may be in all and of one address, and which of them is closed for a new
//! one. A connection that is answered on is never closed; of the others the one that has asked for nothing
//! the longest goes first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::pulse::Pulse;

/// All open connections.
#[derive(Debug)]
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    per_address_max: usize,
    /// Held for as long as it takes to look through them.
    register: Mutex<Register>,
}

#[derive(Debug, Default)]
struct Register {
    numbered: u64,
    open: HashMap<u64, Open>,
    /// Connections of each address that are not to be closed.
    counts: HashMap<IpAddr, usize>,
}

/// A connection as the others know it.
#[derive(Debug)]
struct Open {
    /// None of a trusted proxy, which may have any number.
    peer: Option<IpAddr>,
    pulse: Arc<Pulse>,
    evicted: CancellationToken,
}

/// An open connection, as long as this is kept.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    number: u64,
    connections: Arc<Connections>,
    pub(super) pulse: Arc<Pulse>,
    /// Ready when the connection must make room for another.
    pub(super) evicted: CancellationToken,
    /// Whether clients of many addresses come through it.
    pub(super) is_proxy: bool,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(config.connections_max)),
            per_address_max: config.per_address_max.max(1),
            register: Mutex::default(),
        }
    }

    /// A place for a new connection; None where its address has its share and is answered on all of it.
    /// Where all places are taken, it waits until one is free.
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

    /// Closes the least active connection, of one address or of all. False where all are answered on.
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
