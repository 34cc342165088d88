//! Counters of a host. They are plain atomics: whoever counts holds the counter and takes no lock. The page that shows
//! them names a bounded number of functions.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod environment;
mod function;
mod histogram;
mod page;
#[cfg(test)]
mod tests;

pub use environment::EnvironmentMetrics;
pub use function::FunctionMetrics;
pub use histogram::Histogram;
pub use page::{Budget, Gauges};

/// Functions with counters of their own. All others are counted together.
const FUNCTIONS_MAX: usize = 256;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The limit that turned an invocation away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Throttle {
    /// The function's reserved concurrency.
    Reserved,
    /// The concurrency of the account.
    Account,
    /// The environments of the host.
    Environments,
    /// The memory of all functions together.
    Memory,
    /// The scratch space of all functions together.
    Scratch,
    /// File descriptors or memory of the machine.
    Machine,
}

/// Whose fault it is that an invocation did not reach the function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The caller's: there is no such function, or it cannot be invoked now.
    Caller,
    /// The function's: this host cannot run it.
    Function,
    /// The host's.
    Host,
}

/// The counters of a host; cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Default)]
struct Counters {
    // A std mutex: it is locked when an environment opens and when the page is written.
    functions: Mutex<HashMap<Arc<str>, Arc<FunctionMetrics>>>,
    /// Functions beyond the bound, and the past of those that made way.
    others: Arc<FunctionMetrics>,
    throttles: [Counter; 6],
    faults: [Counter; 3],
    environments: Arc<environment::Environments>,
    store_commits: Arc<Histogram>,
}

impl Throttle {
    const ALL: [Self; 6] = [
        Self::Reserved,
        Self::Account,
        Self::Environments,
        Self::Memory,
        Self::Scratch,
        Self::Machine,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Account => "account",
            Self::Environments => "environments",
            Self::Memory => "memory",
            Self::Scratch => "scratch",
            Self::Machine => "machine",
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
    /// Counters with this histogram of commits to the store.
    pub fn new(store_commits: Arc<Histogram>) -> Self {
        Self(Arc::new(Counters {
            store_commits,
            ..Counters::default()
        }))
    }

    /// The counters of an environment of a function. It counts itself until it is dropped.
    pub fn environment(&self, function: &str) -> Arc<EnvironmentMetrics> {
        let function = self.function(function);
        let all = Arc::clone(&self.0.environments);
        Arc::new(EnvironmentMetrics::new(function, all))
    }

    fn function(&self, name: &str) -> Arc<FunctionMetrics> {
        let mut functions = self.functions();
        if let Some(function) = functions.get(name) {
            return Arc::clone(function);
        }
        if functions.len() >= FUNCTIONS_MAX && !self.make_way(&mut functions) {
            return Arc::clone(&self.0.others);
        }
        let function = Arc::default();
        functions.insert(name.into(), Arc::clone(&function));
        function
    }

    /// Moves the counts of a function without environments to the others, so that sums over all functions never shrink.
    fn make_way(&self, functions: &mut HashMap<Arc<str>, Arc<FunctionMetrics>>) -> bool {
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

    /// Counts an invocation that a limit turned away.
    pub fn throttled(&self, throttle: Throttle) {
        self.0.throttles[throttle as usize].add(1);
    }

    /// Counts an invocation that did not reach the function for another reason.
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
