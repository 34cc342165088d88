//! Slots for environments: how many may live at once on this host, busy or idle. When all are taken, the
//! environment that has been idle longest, of whatever function, is evicted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Deployment, Live};

/// The slots of the host.
#[derive(Debug)]
pub(super) struct Slots(Arc<Semaphore>);

/// One environment's slot; free again when dropped.
#[derive(Debug)]
pub(in crate::invoke) struct Slot(
    #[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit,
);

impl Slots {
    pub(super) fn new(environments: u32) -> Self {
        let slots = usize::try_from(environments).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))))
    }
}

impl Live {
    /// A slot, freed by an eviction if need be. `None` where every environment is busy or provisioned.
    pub(in crate::invoke) fn slot(&self) -> Option<Slot> {
        loop {
            if let Ok(permit) = Arc::clone(&self.0.slots.0).try_acquire_owned() {
                return Some(Slot(permit));
            }
            drop(self.least_recently_used()?.pool.evict_oldest());
        }
    }

    /// Evicts environments that have been idle for `age`.
    pub(in crate::invoke) fn reclaim(&self, age: Duration) {
        let now = self.0.clock.instant();
        for deployment in self.all() {
            while let Some(environment) = deployment.pool.evict_older(now, age) {
                drop(environment);
            }
        }
    }

    fn least_recently_used(&self) -> Option<Arc<Deployment>> {
        let idle = self.all().into_iter();
        let idle = idle.filter_map(|it| Some((it.pool.oldest()?, it)));
        idle.min_by_key(|(since, _)| *since).map(|(_, it)| it)
    }
}
