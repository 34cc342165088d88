//! Admission of environments to the host: a slot of a bounded number, and a part of the budgets of memory and
//! scratch space. Where one of them is used up, the environment that has been idle longest of those that hold some
//! of it is evicted, of whatever function. Provisioned environments are not: they are promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Deployment, Live, State};
use crate::invoke::pool::WarmEnvironment;
use crate::invoke::slot::Slot;
use crate::invoke::snapshot::Settings;
use crate::sandbox::{Admission, Evict, Grant, Resource, Shortage};

/// An environment that holds as much is dropped on a thread of its own: to free a gigabyte takes a tenth of a
/// second.
const LARGE_BYTES: u64 = 8 << 20;

/// The limit of the host that keeps an environment from being opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lack {
    /// All slots are taken by environments that are busy or provisioned.
    #[error("all its environments are busy or provisioned")]
    Environments,
    /// The budget of memory is used up.
    #[error("its memory for functions is in use")]
    Memory,
    /// The budget of scratch space is used up.
    #[error("its scratch space for functions is in use")]
    Scratch,
    /// Provisioned environments hold all that they may of a budget.
    #[error(
        "its provisioned environments hold three quarters of its memory or scratch space for functions"
    )]
    Provisioned,
    /// The machine has no more file descriptors or memory, or the engine no more slots.
    #[error("its machine has no more descriptors or memory")]
    Machine,
    /// The function adds environments faster than `limits.burst_environments` allows.
    #[error("the function started limits.burst_environments environments within ten seconds")]
    Burst,
}

/// Counts of evictions by reason.
#[derive(Debug, Default)]
pub(super) struct Evictions([AtomicU64; 4]);

/// Count of evictions under way: their environments are in no pool any more, but still hold slots, memory and
/// scratch space. An admission that finds nothing to evict waits for them; else it would be refused although the
/// host is about to have what it needs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::invoke) struct Departures(Arc<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    evictions: AtomicUsize,
    ended: Notify,
}

/// One eviction under way; it ends with the drop. Begun before the environment leaves its pool, so that no
/// admission sees it neither here nor there.
#[derive(Debug)]
pub(in crate::invoke) struct Departure(Departures);

/// An evicted environment. Its drop frees what it holds, and only then ends the departure.
#[derive(Debug)]
struct Departing {
    environment: WarmEnvironment,
    #[expect(dead_code, reason = "held, not read")]
    departure: Departure,
}

/// Reason of an eviction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::invoke) enum Eviction {
    /// Another environment needed a slot.
    Environments,
    /// Memory was short.
    Memory,
    /// Scratch space was short.
    Scratch,
    /// It was idle for too long.
    Idle,
}

/// Times after which idle environments are evicted.
#[derive(Clone, Copy, Debug)]
pub(in crate::invoke) struct IdleTimes {
    /// Of any environment.
    pub(in crate::invoke) any: Duration,
    /// Of one that holds much memory or scratch space.
    pub(in crate::invoke) large: Duration,
    /// Bytes from which on an environment is large.
    pub(in crate::invoke) large_bytes: u64,
}

impl Eviction {
    pub(in crate::invoke) const ALL: [Self; 4] =
        [Self::Environments, Self::Memory, Self::Scratch, Self::Idle];

    /// Its name in metrics.
    pub(in crate::invoke) fn label(self) -> &'static str {
        match self {
            Self::Environments => "environments",
            Self::Memory => "memory",
            Self::Scratch => "scratch",
            Self::Idle => "idle",
        }
    }
}

impl From<Shortage> for Lack {
    fn from(shortage: Shortage) -> Self {
        match shortage {
            Shortage::Budget(resource) => resource.into(),
            Shortage::Provisioned => Self::Provisioned,
        }
    }
}

impl From<Resource> for Lack {
    fn from(resource: Resource) -> Self {
        match resource {
            Resource::Memory => Self::Memory,
            Resource::Scratch => Self::Scratch,
        }
    }
}

impl Live {
    /// A slot and parts of the budgets for a new environment. Idle ones are evicted if need be.
    ///
    /// # Errors
    /// The limit that is reached by environments that are busy or provisioned, or the function's burst.
    pub(in crate::invoke) async fn admit(
        &self,
        deployment: &Deployment,
    ) -> Result<(Slot, Admission), Lack> {
        let growth = deployment.gate.burst.take(self.0.clock.instant());
        let growth = growth.ok_or(Lack::Burst)?;
        let Settings { memory, tmp, .. } = deployment.version.settings;
        let budgets = &self.0.budgets;
        let admit = || -> Result<_, Lack> {
            Ok((
                self.slot()?,
                budgets.admit(&deployment.demand, memory, tmp)?,
            ))
        };
        let (slot, admission) = self.evicting(admit).await?;
        Ok((slot.with_growth(growth), admission))
    }

    /// The same for a provisioned environment. Provisioned environments are never evicted, and hold a part of the
    /// budgets only.
    ///
    /// # Errors
    /// As [`admit`](Self::admit), and [`Lack::Provisioned`].
    pub(in crate::invoke) async fn admit_provisioned(
        &self,
        deployment: &Deployment,
    ) -> Result<(Slot, Admission), Lack> {
        let Settings { memory, tmp, .. } = deployment.version.settings;
        let (budgets, demand) = (&self.0.budgets, &deployment.demand);
        let admit = || -> Result<_, Lack> {
            Ok((
                self.slot()?,
                budgets.admit_provisioned(demand, memory, tmp)?,
            ))
        };
        self.evicting(admit).await
    }

    /// A part of the memory for a new guest in an environment that is there.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(in crate::invoke) async fn admit_again(
        &self,
        deployment: &Deployment,
    ) -> Result<Grant, Lack> {
        let (budgets, memory) = (&self.0.budgets, deployment.version.settings.memory);
        let admit = || budgets.admit_memory(&deployment.demand, memory);
        self.evicting(|| Ok(admit()?)).await
    }

    fn slot(&self) -> Result<Slot, Lack> {
        self.0.slots.take().ok_or(Lack::Environments)
    }

    async fn evicting<T>(&self, admit: impl Fn() -> Result<T, Lack>) -> Result<T, Lack> {
        loop {
            let lack = match admit() {
                Ok(admitted) => return Ok(admitted),
                Err(lack) => lack,
            };
            let (reason, resource) = match lack {
                Lack::Environments => (Eviction::Environments, None),
                Lack::Memory => (Eviction::Memory, Some(Resource::Memory)),
                Lack::Scratch => (Eviction::Scratch, Some(Resource::Scratch)),
                Lack::Provisioned | Lack::Machine | Lack::Burst => return Err(lack),
            };
            let departed = self.0.departures.0.ended.notified();
            let mut departed = std::pin::pin!(departed);
            departed.as_mut().enable();
            let Some(evicted) = self.0.evict_oldest(reason, resource) else {
                if self.0.departures.any() {
                    departed.await;
                    continue;
                }
                // The last departure may have ended between the failed admission and this check.
                return admit();
            };
            if size(&evicted.environment) < LARGE_BYTES {
                drop(evicted);
            } else {
                // Its end is awaited: only then is there what it held.
                let _ = tokio::task::spawn_blocking(move || drop(evicted)).await;
            }
        }
    }

    /// Evicts environments that have been idle for their time. It frees memory and takes as long as that does.
    pub(in crate::invoke) fn reclaim(&self, times: IdleTimes) {
        let now = self.0.clock.instant();
        let is_due = |since: Instant, it: &WarmEnvironment| {
            let age = now.saturating_duration_since(since);
            age >= times.any || (age >= times.large && size(it) >= times.large_bytes)
        };
        for deployment in self.all() {
            let _departure = self.0.departures.begin();
            while let Some(environment) = deployment.pool.evict_where(is_due) {
                self.0.evictions.count(Eviction::Idle);
                drop(environment);
            }
        }
        self.0.budgets.refresh(times.any);
    }

    /// Evictions since the host began.
    pub(in crate::invoke) fn evictions(&self, reason: Eviction) -> u64 {
        self.0.evictions.0[reason as usize].load(Ordering::Relaxed)
    }

    /// Slots that no environment has.
    #[cfg(test)]
    pub fn free_slots(&self) -> usize {
        self.0.slots.free()
    }
}

impl State {
    /// Takes out the environment that has been idle longest, of those that hold some of a resource.
    fn evict_oldest(&self, reason: Eviction, resource: Option<Resource>) -> Option<Departing> {
        let holds = |it: &WarmEnvironment| {
            resource.is_none_or(|resource| it.environment.holds(resource) > 0)
        };
        loop {
            let deployments = self.deployments.iter().map(|it| Arc::clone(&it));
            // Collected first: no pool is locked under a guard of the map.
            let deployments: Vec<_> = deployments.collect();
            let idle = deployments.into_iter();
            let idle = idle.filter_map(|it| Some((it.pool.oldest(holds)?, it)));
            // Ties go by name, so that a simulation repeats from its seed.
            let name = |it: &Arc<Deployment>| Arc::clone(&it.version.deployment);
            let oldest = idle.min_by(|(a, left), (b, right)| {
                a.cmp(b).then_with(|| name(left).cmp(&name(right)))
            });
            let (_, oldest) = oldest?;
            let departure = self.departures.begin();
            // Another task may have taken it meanwhile; then there may be others.
            if let Some(environment) = oldest.pool.evict_where(|_, it| holds(it)) {
                self.evictions.count(reason);
                if resource == Some(Resource::Scratch) {
                    environment.environment.delete_tmp_at_once();
                }
                return Some(Departing {
                    environment,
                    departure,
                });
            }
        }
    }
}

impl Departures {
    pub(in crate::invoke) fn begin(&self) -> Departure {
        self.0.evictions.fetch_add(1, Ordering::AcqRel);
        Departure(self.clone())
    }

    fn any(&self) -> bool {
        self.0.evictions.load(Ordering::Acquire) > 0
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let UnderWay { evictions, ended } = &*self.0.0;
        evictions.fetch_sub(1, Ordering::AcqRel);
        ended.notify_waiters();
    }
}

impl Evict for State {
    fn evict(&self, resource: Resource) -> bool {
        let reason = match resource {
            Resource::Memory => Eviction::Memory,
            Resource::Scratch => Eviction::Scratch,
        };
        self.evict_oldest(reason, Some(resource)).is_some()
    }
}

impl Evictions {
    fn count(&self, reason: Eviction) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Drops environments, large ones on a thread of their own, and then ends their departure.
pub(super) fn drop_apart(environments: Vec<WarmEnvironment>, departure: Departure) {
    let is_large = environments.iter().map(size).sum::<u64>() >= LARGE_BYTES;
    let drop_all = move || {
        drop(environments);
        drop(departure);
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if is_large => drop(runtime.spawn_blocking(drop_all)),
        // Without a runtime the process is shutting down.
        _ => drop_all(),
    }
}

fn size(environment: &WarmEnvironment) -> u64 {
    let environment = &environment.environment;
    environment.holds(Resource::Memory) + environment.holds(Resource::Scratch)
}
