//! Slots of the host: a bounded number of environments.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::burst::Growth;

/// The slots of the host.
#[derive(Debug)]
pub(super) struct Slots(Arc<Semaphore>);

/// One environment's slot; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    #[expect(dead_code, reason = "held, not read")]
    permit: OwnedSemaphorePermit,
    /// Share of its function's burst; `None` for a provisioned environment.
    #[expect(dead_code, reason = "held, not read")]
    growth: Option<Growth>,
}

impl Slots {
    pub(super) fn new(environments: u32) -> Self {
        let slots = usize::try_from(environments).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))))
    }

    /// A free slot, if there is one.
    pub(super) fn take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Slot {
            permit,
            growth: None,
        })
    }

    /// Number of free slots.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

impl Slot {
    /// Counts the environment in the burst of its function for as long as it lives.
    pub(super) fn with_growth(self, growth: Growth) -> Self {
        Self {
            growth: Some(growth),
            ..self
        }
    }
}
