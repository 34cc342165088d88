//! Queries of Logs Insights: those that run, and the last that ended with their results.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::clock::Timestamp;

/// Queries that run at once. Each takes a thread, and memory as `insights::budget` bounds it.
pub(super) const RUNNING_MAX: usize = 4;
/// Queries of one access key that run at once.
pub(super) const RUNNING_PER_KEY_MAX: usize = 2;
/// Ended queries that are kept.
const ENDED_MAX: usize = 64;
/// Results of all queries that are kept.
const RESULTS_BYTES_MAX: usize = 32 << 20;

/// Queries of a host; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Queries(
    // A std lock: it is held to add, find or end a query.
    Arc<Mutex<State>>,
);

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    all: VecDeque<Arc<Query>>,
    /// Access keys of the queries that run, or are being parsed.
    running: Vec<Option<Arc<str>>>,
}

/// A query.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) text: String,
    /// Names of the log groups, of which there is one at least.
    pub(super) groups: Vec<String>,
    pub(super) started: Timestamp,
    is_stopped: AtomicBool,
    outcome: OnceLock<Outcome>,
}

/// State of a query, as AWS names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    Cancelled,
    Complete,
    Failed,
    Running,
    Timeout,
}

/// End of a query.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: Status,
    /// Rows as a JSON array.
    pub(super) results: String,
    pub(super) matched: usize,
    pub(super) scanned: usize,
    pub(super) bytes_scanned: usize,
}

/// More queries run than may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("Account maximum query concurrency limit of [{0}] reached.")]
pub(super) struct Full(usize);

/// Permit to run a query, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    queries: Queries,
    key: Option<Arc<str>>,
}

/// A query that runs. Dropped before its end, it fails.
#[derive(Debug)]
pub(super) struct Running {
    permit: Permit,
    query: Arc<Query>,
}

impl Queries {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit for a query of an access key. A host without keys has one caller only.
    pub(super) fn reserve(&self, key: Option<Arc<str>>) -> Result<Permit, Full> {
        let mut state = self.state();
        if state.running.len() >= RUNNING_MAX {
            return Err(Full(RUNNING_MAX));
        }
        let own = state.running.iter().filter(|it| **it == key).count();
        if key.is_some() && own >= RUNNING_PER_KEY_MAX {
            return Err(Full(RUNNING_PER_KEY_MAX));
        }
        state.running.push(key.clone());
        let queries = self.clone();
        Ok(Permit { queries, key })
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Query>> {
        let state = self.state();
        state.all.iter().find(|it| it.id == id).cloned()
    }

    pub(super) fn newest_first(&self) -> Vec<Arc<Query>> {
        self.state().all.iter().rev().cloned().collect()
    }

    /// Stops a query. False if it has ended.
    pub(super) fn stop(&self, query: &Query) -> bool {
        // Under the lock, so that a query that was stopped does not end otherwise.
        let _state = self.state();
        let is_running = query.status() == Status::Running;
        if is_running {
            query.is_stopped.store(true, Ordering::Relaxed);
        }
        is_running
    }
}

impl State {
    fn end(&mut self, query: &Query, mut outcome: Outcome) {
        if query.is_stopped() {
            outcome = Outcome::without_results(Status::Cancelled);
        }
        // A query ends once.
        let _ = query.outcome.set(outcome);
        let ended = |it: &Arc<Query>| it.outcome().map(|it| it.results.len());
        loop {
            let sizes: Vec<usize> = self.all.iter().filter_map(ended).collect();
            // The newest is kept, however large it is.
            let is_over = sizes.iter().sum::<usize>() > RESULTS_BYTES_MAX && sizes.len() > 1;
            if sizes.len() <= ENDED_MAX && !is_over {
                return;
            }
            if let Some(oldest) = self.all.iter().position(|it| ended(it).is_some()) {
                self.all.remove(oldest);
            }
        }
    }
}

impl Query {
    pub(super) fn new(id: String, text: String, groups: Vec<String>, started: Timestamp) -> Self {
        Self {
            id,
            text,
            groups,
            started,
            is_stopped: AtomicBool::new(false),
            outcome: OnceLock::new(),
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.outcome() {
            Some(outcome) => outcome.status,
            None if self.is_stopped() => Status::Cancelled,
            None => Status::Running,
        }
    }

    /// `None` while it runs.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

impl Outcome {
    pub(super) fn without_results(status: Status) -> Self {
        Self {
            status,
            results: "[]".to_owned(),
            matched: 0,
            scanned: 0,
            bytes_scanned: 0,
        }
    }
}

impl Status {
    /// AWS's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "Cancelled",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Running => "Running",
            Self::Timeout => "Timeout",
        }
    }
}

impl Permit {
    /// Makes a query known.
    pub(super) fn begin(self, query: Query) -> Running {
        let query = Arc::new(query);
        self.queries.state().all.push_back(Arc::clone(&query));
        Running {
            permit: self,
            query,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let running = &mut self.queries.state().running;
        if let Some(own) = running.iter().position(|it| *it == self.key) {
            running.swap_remove(own);
        }
    }
}

impl Running {
    /// True once StopQuery was called.
    pub(super) fn stopped(&self) -> &AtomicBool {
        &self.query.is_stopped
    }

    pub(super) fn end(&self, outcome: Outcome) {
        let mut state = self.permit.queries.state();
        state.end(&self.query, outcome);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.query.outcome().is_none() {
            self.end(Outcome::without_results(Status::Failed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(id: &str) -> Query {
        let groups = vec!["g".to_owned()];
        Query::new(
            id.to_owned(),
            String::new(),
            groups,
            Timestamp::from_millis(0),
        )
    }

    fn outcome(bytes: usize) -> Outcome {
        Outcome {
            results: "x".repeat(bytes),
            ..Outcome::without_results(Status::Complete)
        }
    }

    #[test]
    fn queries_over_their_limits_are_refused() {
        let queries = Queries::default();
        let reserve = |key: &str| queries.reserve(Some(key.into()));
        let first = reserve("a").unwrap();
        let second = reserve("a").unwrap();
        let refused = reserve("a").unwrap_err().to_string();
        assert_eq!(
            refused,
            "Account maximum query concurrency limit of [2] reached."
        );
        let others = [reserve("b").unwrap(), reserve("b").unwrap()];
        assert!(reserve("c").is_err());
        drop(second);
        let running = reserve("a").unwrap().begin(query("1"));
        running.end(outcome(1));
        assert!(reserve("a").is_err(), "its thread has not ended");
        drop(running);
        drop((reserve("a").unwrap(), first, others));
    }

    #[test]
    fn results_are_kept_within_their_bytes() {
        let queries = Queries::default();
        let end = |id: &str, bytes: usize| {
            let running = queries.reserve(None).unwrap().begin(query(id));
            running.end(outcome(bytes));
        };
        let unended = queries.reserve(None).unwrap().begin(query("running"));
        end("1", RESULTS_BYTES_MAX / 2);
        end("2", RESULTS_BYTES_MAX / 2);
        assert!(queries.find("1").is_some());
        end("3", 1);
        assert!(queries.find("1").is_none());
        assert!(queries.find("2").is_some());
        end("4", 2 * RESULTS_BYTES_MAX);
        assert!(queries.find("3").is_none());
        assert!(queries.find("4").is_some());
        assert!(queries.find("running").is_some());
        drop(unended);
    }

    #[test]
    fn query_that_was_stopped_or_dropped_is_not_complete() {
        let queries = Queries::default();
        let running = queries.reserve(None).unwrap().begin(query("1"));
        let found = queries.find("1").unwrap();
        assert_eq!(found.status(), Status::Running);
        assert!(queries.stop(&found));
        assert_eq!(found.status(), Status::Cancelled);
        running.end(outcome(1));
        assert_eq!(found.status(), Status::Cancelled);
        assert!(!queries.stop(&found));
        drop(queries.reserve(None).unwrap().begin(query("2")));
        assert_eq!(queries.find("2").unwrap().status(), Status::Failed);
    }
}
