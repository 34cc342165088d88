//! History of the store: every function as a pure function of its records, after each commit. The data
//! plane may show a state of this history that is as old as its bound allows, and no other.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::control::{function_records, publication};
use crate::invoke::snapshot::Function;
use crate::names::{FunctionName, Home};
use crate::store::Records;

/// A state of a function, from a moment on.
#[derive(Debug)]
struct Since {
    at: Timestamp,
    function: Option<Arc<Function>>,
}

/// The history of the functions of one world.
#[derive(Debug)]
pub(super) struct Truth {
    clock: Clock,
    home: Home,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    functions: BTreeMap<FunctionName, Vec<Since>>,
    trace: DefaultHasher,
    is_printed: bool,
}

impl Truth {
    pub(super) fn new(clock: &Clock, home: Home, is_printed: bool) -> Self {
        Self {
            clock: clock.clone(),
            home,
            state: Mutex::new(State {
                is_printed,
                ..State::default()
            }),
        }
    }

    /// Adds what happened to the trace of the history.
    pub(super) fn note(&self, what: &str) {
        let at = self.clock.now();
        let mut state = self.lock();
        (at.millis(), what).hash(&mut state.trace);
        if state.is_printed {
            eprintln!("{} {what}", at.iso8601());
        }
    }

    /// A number that differs where two traces do.
    pub(super) fn trace(&self) -> u64 {
        self.lock().trace.finish()
    }

    /// Takes down the state of functions that a commit has changed.
    pub(super) async fn committed(&self, records: &dyn Records, names: Vec<FunctionName>) {
        for name in names {
            let found = function_records::read(records, &name).await;
            let found = found.expect("memory does not fail");
            let function = found.map(|it| publication::function(&self.home, it));
            let function = function.transpose().expect("the records are sound");
            self.note(&format!("commit {name}"));
            let since = Since {
                at: self.clock.now(),
                function: function.map(Arc::new),
            };
            self.lock().functions.entry(name).or_default().push(since);
        }
    }

    /// Commits that have changed a function so far.
    pub(super) fn commits(&self, name: &FunctionName) -> usize {
        self.lock().functions.get(name).map_or(0, Vec::len)
    }

    /// The states of a function that were true at some moment of the last `span`, the newest last.
    pub(super) fn states(&self, name: &FunctionName, span: Duration) -> Vec<Option<Arc<Function>>> {
        self.states_until(name, self.clock.now(), span)
    }

    /// The same of the `span` that ended `at` a moment.
    pub(super) fn states_until(
        &self,
        name: &FunctionName,
        at: Timestamp,
        span: Duration,
    ) -> Vec<Option<Arc<Function>>> {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let from = at.millis().saturating_sub(span);
        let state = self.lock();
        let all = state.functions.get(name).map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|it| it.at.millis() < from);
        let last = all.partition_point(|it| it.at <= at);
        let within = all[first..last].iter();
        let mut states: Vec<_> = within.map(|it| it.function.clone()).collect();
        let before = first.checked_sub(1).map(|it| all[it].function.clone());
        states.insert(0, before.flatten());
        states
    }

    /// True if the data plane may show this state of a function, up to `span` after a change.
    pub(super) fn allows(
        &self,
        name: &FunctionName,
        shown: Option<&Arc<Function>>,
        span: Duration,
    ) -> bool {
        let states = self.states(name, span);
        states.iter().any(|it| it.as_ref() == shown)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
