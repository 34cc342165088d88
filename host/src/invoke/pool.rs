//! The idle environments of one version, last used first, so that the warmest is taken and the
//! rest grow old and are reclaimed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::floor::Place;
use crate::sandbox::Environment;
use crate::telemetry::log::EnvironmentLog;

/// An environment with all that lives and dies with it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) environment: Environment,
    pub(super) log: Arc<EnvironmentLog>,
    pub(super) log_stream: Arc<str>,
    /// Its place on the [`Floor`](super::floor::Floor), given back when it goes.
    pub(super) _place: Place,
}

/// The idle environments of one version.
#[derive(Debug, Default)]
pub struct Pool {
    // A std mutex: the sections are a push or a pop, and nothing awaits inside.
    idle: Mutex<Vec<(Instant, Tenant)>>,
    remembered: AtomicBool,
}

impl Pool {
    /// The environment that was used last.
    pub(super) fn take(&self) -> Option<Tenant> {
        self.lock().pop().map(|(_, tenant)| tenant)
    }

    /// Keeps an environment for the next invocation.
    pub(super) fn give_back(&self, tenant: Tenant, now: Instant) {
        self.lock().push((now, tenant));
    }

    /// When the environment that has been idle longest was last used.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lock().first().map(|(since, _)| *since)
    }

    /// Gives up the environment that has been idle longest.
    pub(super) fn evict_oldest(&self) -> Option<Tenant> {
        let mut idle = self.lock();
        (!idle.is_empty()).then(|| idle.remove(0).1)
    }

    /// Gives up the environments that have been idle for `age` or longer.
    pub(super) fn evict_older(&self, now: Instant, age: Duration) -> Vec<Tenant> {
        let mut idle = self.lock();
        let old = idle.partition_point(|(since, _)| now.saturating_duration_since(*since) >= age);
        idle.drain(..old).map(|(_, tenant)| tenant).collect()
    }

    /// Whether this is the first time anyone asks: the floor keeps each pool once.
    pub(super) fn remember(&self) -> bool {
        !self.remembered.swap(true, Ordering::AcqRel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Tenant)>> {
        // A panic while the lock was held cannot leave a push or a pop half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
