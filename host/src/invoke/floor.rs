//! Room for environments: how many may live at once on this host, busy or idle. When there is no
//! room, the environment that has been idle longest, of whatever function, makes room.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::Pool;
use crate::clock::Clock;

/// Room for environments.
#[derive(Debug)]
pub(super) struct Floor {
    places: Arc<Semaphore>,
    // Only pools that have had an environment; entries of dropped versions are swept.
    pools: Mutex<Vec<Weak<Pool>>>,
    clock: Clock,
}

/// Room for one environment, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Floor {
    pub(super) fn new(places: u32, clock: Clock) -> Self {
        let places = Arc::new(Semaphore::new(
            usize::try_from(places).unwrap_or(usize::MAX),
        ));
        Self {
            places,
            pools: Mutex::default(),
            clock,
        }
    }

    /// A place for an environment of `pool`, made free if need be.
    pub(super) fn place(&self, pool: &Arc<Pool>) -> Option<Place> {
        self.remember(pool);
        loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                return Some(Place(permit));
            }
            drop(self.oldest()?.evict_oldest());
        }
    }

    /// Gives up environments that have been idle for `age`.
    pub(super) fn reclaim(&self, age: Duration) {
        let now = self.clock.instant();
        for pool in self.live() {
            // One by one: how many of what is provisioned are too many, each that goes changes.
            while let Some(tenant) = pool.evict_older(now, age) {
                drop(tenant);
            }
        }
    }

    fn oldest(&self) -> Option<Arc<Pool>> {
        let aged = self
            .live()
            .into_iter()
            .filter_map(|pool| Some((pool.oldest()?, pool)));
        aged.min_by_key(|(since, _)| *since).map(|(_, pool)| pool)
    }

    fn live(&self) -> Vec<Arc<Pool>> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    fn remember(&self, pool: &Arc<Pool>) {
        if pool.remember() {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.push(Arc::downgrade(pool));
        }
    }
}
