//! Bytes that one environment counts for, and the demand of a deployment, learned from its environments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Budget, Resource, UNKNOWN_SHARE};

/// An environment besides its memories and tables: its store, its log, the stack pages that it keeps.
const ENVIRONMENT_BYTES: u64 = 256 << 10;
/// Demand of a deployment of which no environment has run yet.
const UNKNOWN: u64 = u64::MAX;

/// Demand of a deployment.
#[derive(Debug, Default)]
pub struct Demand {
    memory: Learned,
    scratch: Learned,
}

/// Demand of a deployment for one resource.
#[derive(Debug)]
struct Learned {
    /// The most that one of its environments has taken lately.
    each: AtomicU64,
    /// Bytes that all of them count for.
    held: AtomicU64,
}

/// Bytes that an environment counts for; given back when dropped.
#[derive(Debug)]
pub struct Grant {
    budget: Arc<Budget>,
    demand: Arc<Demand>,
    // One guest at a time changes these; others only look.
    bytes: AtomicU64,
    /// Least bytes it counts for until its first call has shown what it takes.
    floor: AtomicU64,
    is_refused: AtomicBool,
    /// True if it counts for provisioned concurrency.
    is_provisioned: AtomicBool,
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            each: AtomicU64::new(UNKNOWN),
            held: AtomicU64::new(0),
        }
    }
}

impl Learned {
    fn expected(&self, resource: Resource, configured: u64, bytes_max: u64) -> u64 {
        match self.each.load(Ordering::Relaxed) {
            UNKNOWN => match resource {
                Resource::Memory => configured.min(bytes_max / UNKNOWN_SHARE),
                // Most functions write nothing, and those that do can be told that there is no space.
                Resource::Scratch => 0,
            },
            // No more than half, however much one took: else no other of them is ever admitted.
            learned => learned.min(configured).min(bytes_max / 2),
        }
    }

    /// An environment has grown. Before one is open, this is no demand yet but a part of it.
    fn grew(&self, bytes: u64) {
        let known = self.each.load(Ordering::Relaxed);
        if known < bytes {
            self.each.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    fn replace(&self, next: impl Fn(u64) -> u64) {
        let next = |each: u64| Some(next(each));
        let _ = self
            .each
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

impl Demand {
    fn of(&self, resource: Resource) -> &Learned {
        match resource {
            Resource::Memory => &self.memory,
            Resource::Scratch => &self.scratch,
        }
    }
}

impl Grant {
    pub(super) fn admit(
        budget: &Arc<Budget>,
        demand: &Arc<Demand>,
        configured: u64,
    ) -> Result<Self, Resource> {
        let learned = demand.of(budget.resource);
        let held = learned.held.load(Ordering::Relaxed);
        let expected = learned.expected(budget.resource, configured, budget.bytes_max());
        let bytes = expected + overhead(budget.resource);
        if !budget.try_take(bytes, budget.admission_max(bytes, held)) {
            return Err(budget.resource);
        }
        learned.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(Self {
            budget: Arc::clone(budget),
            demand: Arc::clone(demand),
            bytes: AtomicU64::new(bytes),
            floor: AtomicU64::new(bytes),
            is_refused: AtomicBool::new(false),
            is_provisioned: AtomicBool::new(false),
        })
    }

    /// Counts it for provisioned concurrency; false where provisioned environments hold all that they may.
    pub(super) fn provision(&self) -> bool {
        let is_counted = self.budget.try_provision(self.bytes());
        self.is_provisioned.store(is_counted, Ordering::Relaxed);
        is_counted
    }

    /// A grant of the same budget for another guest of the same environment. Its demand is not learned.
    pub(in crate::sandbox) fn beside(&self) -> Self {
        Self {
            budget: Arc::clone(&self.budget),
            demand: Arc::default(),
            bytes: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
            is_provisioned: AtomicBool::new(false),
        }
    }

    /// Counts it as on demand from now on.
    pub(in crate::sandbox) fn leave_provisioned(&self) {
        if self.is_provisioned.swap(false, Ordering::Relaxed) {
            let provisioned = &self.budget.provisioned;
            provisioned.fetch_sub(self.bytes(), Ordering::AcqRel);
        }
    }

    /// True if it is provisioned, and provisioned environments have grown beyond all that they may hold.
    pub(in crate::sandbox) fn is_above_provisioned(&self) -> bool {
        let provisioned = self.budget.provisioned.load(Ordering::Relaxed);
        self.is_provisioned.load(Ordering::Relaxed) && provisioned > self.budget.provisioned_max()
    }

    /// Bytes that count for it.
    pub(in crate::sandbox) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Makes it count for what an environment is about to use, and evicts idle environments for that; false where
    /// the budget has no more.
    pub(in crate::sandbox) fn cover(&self, used: u64) -> bool {
        let used = used.saturating_add(overhead(self.budget.resource));
        let now = self.bytes();
        if used <= now {
            return true;
        }
        let learned = self.learned();
        // Refused growth is demand too: it throttles the next environment, which would fail as this one does.
        learned.grew(used - overhead(self.budget.resource));
        let bytes_max = self
            .budget
            .growth_max(used, learned.held.load(Ordering::Relaxed));
        if !self.budget.take(now, used, bytes_max) {
            self.is_refused.store(true, Ordering::Relaxed);
            return false;
        }
        learned.held.fetch_add(used - now, Ordering::Relaxed);
        if self.is_provisioned.load(Ordering::Relaxed) {
            let provisioned = &self.budget.provisioned;
            provisioned.fetch_add(used - now, Ordering::AcqRel);
        }
        self.bytes.store(used, Ordering::Relaxed);
        true
    }

    /// Bytes that it could have without an eviction. Others may take them at any time.
    pub(in crate::sandbox) fn left(&self) -> u64 {
        let held = self.learned().held.load(Ordering::Relaxed);
        let taken = self.budget.taken.load(Ordering::Relaxed);
        // As for one that is not small: no more is promised.
        let bytes_max = self.budget.growth_max(u64::MAX, held);
        bytes_max.saturating_sub(taken)
    }

    /// Gives back what is neither used nor expected to be.
    pub(in crate::sandbox) fn fit(&self, used: u64) {
        let used = used.saturating_add(overhead(self.budget.resource));
        self.shrink(used.max(self.floor.load(Ordering::Relaxed)));
    }

    /// Its environment is open: the first one tells what the next are admitted with.
    pub(in crate::sandbox) fn opened(&self, used: u64) {
        self.learned().replace(|each| match each {
            UNKNOWN => used,
            each => each.max(used),
        });
        let expected = self.learned().each.load(Ordering::Relaxed);
        let expected = expected.saturating_add(overhead(self.budget.resource));
        self.floor.fetch_min(expected, Ordering::Relaxed);
        self.fit(used);
    }

    /// Its environment has served its first call, and counts with what it uses from now on. What others took
    /// before is forgotten by halves: one large event is not what all events need.
    pub(in crate::sandbox) fn settle(&self, used: u64) {
        self.learned().replace(|each| match each {
            UNKNOWN => used,
            each => used.max(each / 2),
        });
        self.floor.store(0, Ordering::Relaxed);
        self.fit(used);
    }

    /// Gives all back: its guest has ended.
    pub(in crate::sandbox) fn release(&self) {
        self.floor.store(0, Ordering::Relaxed);
        self.shrink(0);
    }

    /// True if growth was refused since [`forget_refusal`](Self::forget_refusal).
    pub(in crate::sandbox) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Begins another call.
    pub(in crate::sandbox) fn forget_refusal(&self) {
        self.is_refused.store(false, Ordering::Relaxed);
    }

    fn shrink(&self, bytes: u64) {
        let now = self.bytes();
        if bytes < now {
            self.bytes.store(bytes, Ordering::Relaxed);
            self.give_back(now - bytes);
        }
    }

    fn give_back(&self, bytes: u64) {
        self.learned().held.fetch_sub(bytes, Ordering::Relaxed);
        if self.is_provisioned.load(Ordering::Relaxed) {
            self.budget.provisioned.fetch_sub(bytes, Ordering::AcqRel);
        }
        self.budget.give_back(bytes);
    }

    fn learned(&self) -> &Learned {
        self.demand.of(self.budget.resource)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.give_back(self.bytes());
    }
}

fn overhead(resource: Resource) -> u64 {
    match resource {
        Resource::Memory => ENVIRONMENT_BYTES,
        Resource::Scratch => 0,
    }
}

impl Grant {
    /// A grant of a budget of its own.
    pub(in crate::sandbox) fn of(resource: Resource, bytes_max: u64) -> Self {
        let budget = Arc::new(Budget::new(resource, bytes_max));
        Self::admit(&budget, &Arc::default(), 0).expect("a budget without grants has space")
    }
}
