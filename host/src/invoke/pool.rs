//! Idle environments of one deployment, last used first, so that the warmest is taken and the rest grow
//! old and are evicted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::provision::Counted;
use super::slot::Slot;
use crate::sandbox::Environment;
use crate::telemetry::log::EnvironmentLog;

/// A warm environment with its log stream, its slot in the host and its provisioned count.
#[derive(Debug)]
pub(super) struct WarmEnvironment {
    pub(super) environment: Environment,
    pub(super) log: Arc<EnvironmentLog>,
    pub(super) log_stream: Arc<str>,
    /// Free again when the environment goes.
    pub(super) slot: Slot,
    /// The tenant it belongs to, where tenants do not share environments.
    pub(super) tenant_id: Option<String>,
    /// Its part in provisioned concurrency. Such an environment is not evicted for being idle.
    pub(super) provisioned: Option<Counted>,
}

impl WarmEnvironment {
    fn is_provisioned(&self) -> bool {
        self.provisioned.is_some()
    }

    /// True if it is provisioned and cannot stay so, because provisioned environments have grown too large together.
    fn is_above_provisioned(&self) -> bool {
        self.is_provisioned() && self.environment.is_above_provisioned()
    }

    /// Gives up its part in provisioned concurrency, if that has one environment too many. A guest reads
    /// in its variables that it is provisioned, for all its life, so it cannot serve on demand instead.
    fn is_surplus(&mut self) -> bool {
        self.provisioned.as_mut().is_some_and(Counted::give_up)
    }
}

/// The idle environments of one deployment.
#[derive(Debug, Default)]
pub(super) struct Pool {
    // A std mutex: the sections are a push or a pop, and nothing awaits inside.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<(Instant, WarmEnvironment)>,
    /// True once the deployment has gone: environments that return are dropped.
    is_closed: bool,
}

impl Pool {
    /// The environment that this tenant used last.
    pub(super) fn take(&self, tenant_id: Option<&str>) -> Option<WarmEnvironment> {
        self.take_where(tenant_id, |it| it.environment.is_alive())
    }

    /// The same of those that are provisioned.
    pub(super) fn take_provisioned(&self, tenant_id: Option<&str>) -> Option<WarmEnvironment> {
        self.take_where(tenant_id, |it| {
            it.is_provisioned() && it.environment.is_alive()
        })
    }

    /// The environment of this tenant whose guest ended last. Its `/tmp` waits for the next guest.
    pub(super) fn take_ended(&self, tenant_id: Option<&str>) -> Option<WarmEnvironment> {
        self.take_where(tenant_id, |it| !it.environment.is_alive())
    }

    fn take_where(
        &self,
        tenant_id: Option<&str>,
        is_wanted: impl Fn(&WarmEnvironment) -> bool,
    ) -> Option<WarmEnvironment> {
        let fits =
            |(_, it): &(_, WarmEnvironment)| it.tenant_id.as_deref() == tenant_id && is_wanted(it);
        loop {
            let mut state = self.lock();
            let at = state.idle.iter().rposition(fits)?;
            let (_, mut environment) = state.idle.remove(at);
            drop(state);
            if !environment.is_surplus() {
                return Some(environment);
            }
        }
    }

    /// Keeps an environment for the next invocation, unless it is of no use any more.
    pub(super) fn give_back(&self, mut environment: WarmEnvironment, now: Instant) {
        if environment.is_surplus() || environment.is_above_provisioned() {
            return;
        }
        let mut state = self.lock();
        if state.is_closed {
            // Dropped outside the lock: to free a memory takes a while.
            drop(state);
            drop(environment);
        } else {
            state.idle.push((now, environment));
        }
    }

    /// Number of idle environments.
    pub(super) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    /// Ends the pool, and hands out what is idle for the caller to drop.
    pub(super) fn close(&self) -> Vec<WarmEnvironment> {
        let mut state = self.lock();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        idle.into_iter()
            .map(|(_, environment)| environment)
            .collect()
    }

    /// Last use of the environment that has been idle longest, of those that may be evicted and fit.
    pub(super) fn oldest(&self, fits: impl Fn(&WarmEnvironment) -> bool) -> Option<Instant> {
        let state = self.lock();
        let mut idle = state.idle.iter();
        idle.find(|(_, it)| !it.is_provisioned() && fits(it))
            .map(|(since, _)| *since)
    }

    /// Takes out the environment that has been idle longest, of those that may be evicted and fit.
    pub(super) fn evict_where(
        &self,
        fits: impl Fn(Instant, &WarmEnvironment) -> bool,
    ) -> Option<WarmEnvironment> {
        self.evict(|since, it| !it.is_provisioned() && fits(since, it))
    }

    /// Takes out a provisioned environment that is one too many.
    pub(super) fn evict_surplus(&self) -> Option<WarmEnvironment> {
        self.evict(|_, it| it.is_surplus())
    }

    fn evict(
        &self,
        may_go: impl Fn(Instant, &mut WarmEnvironment) -> bool,
    ) -> Option<WarmEnvironment> {
        let mut state = self.lock();
        let idle = &mut state.idle;
        let at = idle.iter_mut().position(|(since, it)| may_go(*since, it))?;
        Some(idle.remove(at).1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave a push or a pop half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
