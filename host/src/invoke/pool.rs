//! The idle environments of one version, last used first, so that the warmest is taken and the
//! rest grow old and are reclaimed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::floor::Place;
use super::provision::Counted;
use crate::sandbox::Environment;
use crate::telemetry::log::EnvironmentLog;

/// An environment with all that lives and dies with it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) environment: Environment,
    pub(super) log: Arc<EnvironmentLog>,
    pub(super) log_stream: Arc<str>,
    /// Its place on the [`Floor`](super::floor::Floor), given back when it goes.
    pub(super) place: Place,
    /// The tenant it belongs to, where tenants do not share environments.
    pub(super) tenant_id: Option<String>,
    /// Its part in provisioned concurrency. Such an environment is not given up for being idle.
    pub(super) provisioned: Option<Counted>,
}

impl Tenant {
    fn is_kept(&self) -> bool {
        self.provisioned.as_ref().is_some_and(Counted::is_wanted)
    }

    /// Whether it was provisioned and is no longer asked for. It knows itself as provisioned for all its
    /// life, so nobody else can have it.
    fn is_left_over(&self) -> bool {
        self.provisioned.as_ref().is_some_and(|it| !it.is_wanted())
    }
}

/// The idle environments of one version.
#[derive(Debug, Default)]
pub struct Pool {
    // A std mutex: the sections are a push or a pop, and nothing awaits inside.
    idle: Mutex<Vec<(Instant, Tenant)>>,
    remembered: AtomicBool,
}

impl Pool {
    /// The environment that this tenant used last.
    pub(super) fn take(&self, tenant_id: Option<&str>) -> Option<Tenant> {
        self.take_where(tenant_id, |tenant| tenant.environment.is_alive())
    }

    /// The same of those that are provisioned.
    pub(super) fn take_provisioned(&self, tenant_id: Option<&str>) -> Option<Tenant> {
        self.take_where(tenant_id, |tenant| {
            tenant.provisioned.is_some() && tenant.environment.is_alive()
        })
    }

    /// The environment of this tenant whose guest ended last. Its `/tmp` waits for the next one.
    pub(super) fn take_ended(&self, tenant_id: Option<&str>) -> Option<Tenant> {
        self.take_where(tenant_id, |tenant| !tenant.environment.is_alive())
    }

    fn take_where(
        &self,
        tenant_id: Option<&str>,
        is_wanted: impl Fn(&Tenant) -> bool,
    ) -> Option<Tenant> {
        let fits = |(_, tenant): &(_, Tenant)| {
            tenant.tenant_id.as_deref() == tenant_id && is_wanted(tenant)
        };
        loop {
            let mut idle = self.lock();
            let at = idle.iter().rposition(fits)?;
            let (_, tenant) = idle.remove(at);
            drop(idle);
            if !tenant.is_left_over() {
                return Some(tenant);
            }
        }
    }

    /// Keeps an environment for the next invocation.
    pub(super) fn give_back(&self, tenant: Tenant, now: Instant) {
        self.lock().push((now, tenant));
    }

    /// When the environment that has been idle longest, of those that may go, was last used.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let idle = self.lock();
        let mut may_go = idle.iter().filter(|(_, tenant)| !tenant.is_kept());
        may_go.next().map(|(since, _)| *since)
    }

    /// Gives up the environment that has been idle longest, of those that may go.
    pub(super) fn evict_oldest(&self) -> Option<Tenant> {
        self.evict(|_| true)
    }

    /// The same of those that have been idle for `age` or longer.
    pub(super) fn evict_older(&self, now: Instant, age: Duration) -> Option<Tenant> {
        self.evict(|since| now.saturating_duration_since(since) >= age)
    }

    fn evict(&self, is_due: impl Fn(Instant) -> bool) -> Option<Tenant> {
        let may_go = |(since, tenant): &(Instant, Tenant)| is_due(*since) && !tenant.is_kept();
        let mut idle = self.lock();
        let at = idle.iter().position(may_go)?;
        Some(idle.remove(at).1)
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
