//! Metrics of a host, as atomics: updating a held counter takes no lock. The page shows a bounded
//! number of functions.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod environment;
#[cfg(feature = "metrics")]
mod facade;
mod function;
mod histogram;
mod page;
mod qualified;
#[cfg(test)]
mod tests;

pub use environment::EnvironmentMetrics;
#[cfg(feature = "metrics")]
pub use facade::Facade;
pub use function::{AsyncMetrics, FunctionMetrics};
pub use histogram::Histogram;
pub use page::{Budget, Gauges, ProvisionedGauge, Queue};
pub use qualified::{Counted, Ended, QualifiedMetrics};

/// Functions with their own series; all others share one.
const FUNCTIONS_MAX: usize = 256;

/// Monotonic counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Limit that throttled an invocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Throttle {
    /// Reserved concurrency of the function.
    Reserved,
    /// Concurrency of the account.
    Account,
    /// Environments of the host.
    Environments,
    /// The memory of all functions together.
    Memory,
    /// The scratch space of all functions together.
    Scratch,
    /// File descriptors or memory of the machine.
    Machine,
    /// Growth of the function.
    Burst,
}

/// Blame for an invocation that did not reach its function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Caller: the function does not exist or is not invokable now.
    Caller,
    /// Function: this host cannot run it.
    Function,
    /// Host.
    Host,
}

/// Metrics of a host; cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Default)]
struct Counters {
    // std mutex: locked when an environment opens and when the page is rendered.
    functions: Mutex<HashMap<Arc<str>, Arc<FunctionMetrics>>>,
    /// Functions beyond the limit, and the totals of those displaced.
    others: Arc<FunctionMetrics>,
    qualified: qualified::AllQualified,
    throttles: [Counter; 7],
    faults: [Counter; 3],
    environments: Arc<environment::Environments>,
    store_commits: Arc<Histogram>,
}

impl Throttle {
    const ALL: [Self; 7] = [
        Self::Reserved,
        Self::Account,
        Self::Environments,
        Self::Memory,
        Self::Scratch,
        Self::Machine,
        Self::Burst,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Account => "account",
            Self::Environments => "environments",
            Self::Memory => "memory",
            Self::Scratch => "scratch",
            Self::Machine => "machine",
            Self::Burst => "burst",
        }
    }
}

impl Fault {
    const ALL: [Self; 3] = [Self::Caller, Self::Function, Self::Host];

    fn label(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Function => "function",
            Self::Host => "host",
        }
    }
}

impl Metrics {
    /// Metrics with the store's commit histogram.
    pub fn new(store_commits: Arc<Histogram>) -> Self {
        Self(Arc::new(Counters {
            store_commits,
            ..Counters::default()
        }))
    }

    /// Counters of a new environment. It counts as open until dropped.
    pub fn environment(&self, function: &str) -> Arc<EnvironmentMetrics> {
        let function = self.function(function);
        let all = Arc::clone(&self.0.environments);
        Arc::new(EnvironmentMetrics::new(function, all))
    }

    /// Counters of a function's asynchronous invocations.
    pub fn asynchronous(&self, function: &str) -> impl Deref<Target = AsyncMetrics> + use<> {
        struct Of(Arc<FunctionMetrics>);
        impl Deref for Of {
            type Target = AsyncMetrics;

            fn deref(&self) -> &AsyncMetrics {
                &self.0.asynchronous
            }
        }
        Of(self.function(function))
    }

    /// Metrics of a function under one qualifier. The caller keeps them: this locks.
    pub fn qualified(&self, function: &str, qualifier: &str) -> Arc<QualifiedMetrics> {
        self.0.qualified.of(function, qualifier)
    }

    fn function(&self, name: &str) -> Arc<FunctionMetrics> {
        let mut functions = self.functions();
        if let Some(function) = functions.get(name) {
            return Arc::clone(function);
        }
        if functions.len() >= FUNCTIONS_MAX && !self.displace_one(&mut functions) {
            return Arc::clone(&self.0.others);
        }
        let function = Arc::default();
        functions.insert(name.into(), Arc::clone(&function));
        function
    }

    /// Merges a function without environments into `others`, so that totals never shrink.
    fn displace_one(&self, functions: &mut HashMap<Arc<str>, Arc<FunctionMetrics>>) -> bool {
        let mut unused = functions
            .iter()
            .filter(|(_, it)| Arc::strong_count(it) == 1);
        let least = unused.by_ref().min_by_key(|(_, it)| it.invocations());
        let Some(name) = least.map(|(name, _)| Arc::clone(name)) else {
            return false;
        };
        if let Some(function) = functions.remove(&name) {
            self.0.others.absorb(&function);
        }
        true
    }

    /// Counts a throttled invocation.
    pub fn throttled(&self, throttle: Throttle) {
        self.0.throttles[throttle as usize].add(1);
    }

    /// Counts an invocation that failed before it reached its function.
    pub fn failed(&self, fault: Fault) {
        self.0.faults[fault as usize].add(1);
    }

    fn functions(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<FunctionMetrics>>> {
        self.0
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
