//! Metrics of a function under one qualifier, in AWS's terms: what CloudWatch shows for `Resource`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Counter, Histogram};

/// Pairs of function and qualifier with their own series; all others share one.
pub(super) const QUALIFIED_MAX: usize = 256;

/// Function and qualifier.
pub(super) type Name = (Arc<str>, Arc<str>);

/// Metrics of a function under one qualifier.
#[derive(Debug, Default)]
pub struct QualifiedMetrics {
    /// `ConcurrentExecutions`.
    pub(super) concurrent: AtomicU64,
    /// `Duration`; their count is `Invocations`.
    pub(super) durations: Histogram,
    /// `InitDuration`.
    pub(super) inits: Histogram,
    /// `Errors`.
    pub(super) errors: Counter,
    /// `Throttles`.
    pub(super) throttles: Counter,
    /// `ProvisionedConcurrencyInvocations`.
    pub(super) provisioned: Counter,
    /// `ProvisionedConcurrencySpilloverInvocations`.
    pub(super) spillover: Counter,
}

/// An invocation that counts in `ConcurrentExecutions` until it is dropped.
#[derive(Debug)]
pub struct Counted(Arc<QualifiedMetrics>);

/// End of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Time from the event to the response.
    pub duration: Duration,
    /// Time of the initialization, if there was one.
    pub init: Option<Duration>,
    /// True for a failure of the function.
    pub is_error: bool,
    /// Use of provisioned concurrency; `None` if the version has none.
    pub is_provisioned: Option<bool>,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct AllQualified {
    // std mutex: locked on the first use of a qualifier and when the page is rendered.
    named: Mutex<HashMap<Name, Arc<QualifiedMetrics>>>,
    /// Pairs beyond the limit, and the totals of those displaced.
    pub(super) others: Arc<QualifiedMetrics>,
}

impl QualifiedMetrics {
    /// Counts a throttled invocation.
    pub fn throttled(&self) {
        self.throttles.add(1);
    }

    fn absorb(&self, other: &Self) {
        self.durations.absorb(&other.durations);
        self.inits.absorb(&other.inits);
        let counters = |it: &Self| {
            [
                it.errors.get(),
                it.throttles.get(),
                it.provisioned.get(),
                it.spillover.get(),
            ]
        };
        let own = [
            &self.errors,
            &self.throttles,
            &self.provisioned,
            &self.spillover,
        ];
        for (own, others) in own.into_iter().zip(counters(other)) {
            own.add(others);
        }
    }
}

impl Counted {
    /// Begins an invocation.
    pub fn begin(metrics: &Arc<QualifiedMetrics>) -> Self {
        metrics.concurrent.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(metrics))
    }

    /// Metrics that it counts in.
    pub fn metrics(&self) -> &QualifiedMetrics {
        &self.0
    }

    /// Records its end.
    pub fn ended(&self, end: Ended) {
        let metrics = &self.0;
        metrics.durations.observe(end.duration);
        if let Some(init) = end.init {
            metrics.inits.observe(init);
        }
        if end.is_error {
            metrics.errors.add(1);
        }
        match end.is_provisioned {
            Some(true) => metrics.provisioned.add(1),
            Some(false) => metrics.spillover.add(1),
            None => {}
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.concurrent.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AllQualified {
    /// Metrics of a pair, which the caller keeps.
    pub(super) fn of(&self, function: &str, qualifier: &str) -> Arc<QualifiedMetrics> {
        let mut named = self.lock();
        let name: Name = (function.into(), qualifier.into());
        if let Some(found) = named.get(&name) {
            return Arc::clone(found);
        }
        if named.len() >= QUALIFIED_MAX && !self.displace_one(&mut named) {
            return Arc::clone(&self.others);
        }
        let made = Arc::default();
        named.insert(name, Arc::clone(&made));
        made
    }

    /// Merges a pair that nothing uses into the others, so that totals never shrink.
    fn displace_one(&self, named: &mut HashMap<Name, Arc<QualifiedMetrics>>) -> bool {
        let unused = named.iter().filter(|(_, it)| Arc::strong_count(it) == 1);
        let least = unused.min_by_key(|(_, it)| it.durations.count());
        let Some(name) = least.map(|(name, _)| name.clone()) else {
            return false;
        };
        if let Some(displaced) = named.remove(&name) {
            self.others.absorb(&displaced);
        }
        true
    }

    /// All pairs in the order of their names.
    pub(super) fn sorted(&self) -> Vec<(Name, Arc<QualifiedMetrics>)> {
        let named = self.lock();
        let named = named
            .iter()
            .map(|(name, it)| (name.clone(), Arc::clone(it)));
        let mut all: Vec<_> = named.collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<QualifiedMetrics>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
