//! One simulated host with everything that outlives its process, and its clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::call::{Call, End};
use super::hang_up::HangUp;
use super::host::{self, Host, Limits, Planes};
use super::operation::Operation;
use super::records::Unreliable;
use super::subjects::Subjects;
use super::truth::Truth;
use crate::clock::{Clock, Simulated};
use crate::control::Control;
use crate::invoke::Invoker;
use crate::sandbox::fake::Guests;
use crate::store::memory::Memory;
use crate::telemetry::log::Logs;

/// Turns of the scheduler in which everything ends that needs no time.
const TURNS: usize = 300;

/// A host and everything that outlives it.
pub struct World {
    pub(super) clock: Clock,
    pub(super) subjects: Subjects,
    pub(super) truth: Arc<Truth>,
    pub(super) memory: Arc<Memory>,
    pub(super) host: Host,
    /// Guests of processes that have ended.
    pub(super) former: Vec<Arc<Guests>>,
    clients: JoinSet<Done>,
    /// Ends of clients, and how many there were of each.
    pub(super) tally: BTreeMap<Done, u32>,
}

/// An end of a client's request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Done {
    Changed,
    Refused,
    Called(End),
    /// The client left before.
    Left,
    /// The process ended before.
    Cut,
}

impl World {
    /// A host without functions.
    pub async fn new() -> Self {
        Self::over(Memory::default()).await
    }

    /// A host over these records.
    pub async fn over(memory: Memory) -> Self {
        let limits = Limits {
            concurrency: 200,
            environments: 12,
            burst: 1_000,
        };
        Self::open(1, limits, memory, &Subjects::new(), false).await
    }

    pub(super) async fn open(
        seed: u64,
        limits: Limits,
        memory: Memory,
        subjects: &Subjects,
        is_printed: bool,
    ) -> Self {
        let clock = Simulated::clock(seed.wrapping_mul(2) | 1);
        let memory = Arc::new(memory);
        let truth = Arc::new(Truth::new(&clock, host::home(), is_printed));
        let names = subjects.functions().to_vec();
        truth.committed(&*memory, names).await;
        Self {
            host: Host::open(&memory, &truth, limits, &clock).await,
            clock,
            subjects: subjects.clone(),
            truth,
            memory,
            former: Vec::new(),
            clients: JoinSet::new(),
            tally: BTreeMap::new(),
        }
    }

    /// Parts for building an API.
    pub fn parts(&self) -> (Control, Invoker, Logs, Clock) {
        let planes = self.planes().clone();
        (planes.control, planes.invoker, planes.logs, planes.clock)
    }

    /// The guests of its process.
    pub fn guests(&self) -> Arc<Guests> {
        Arc::clone(&self.planes().guests)
    }

    /// Its records as they are now.
    pub fn memory(&self) -> Memory {
        self.memory.copy()
    }

    /// Lets the jobs of a change end.
    pub async fn pass_time(&self) {
        self.clock.sleep(Duration::from_secs(2)).await;
    }

    pub(super) fn planes(&self) -> &Planes {
        &self.host.planes
    }

    pub(super) fn records(&self) -> &Unreliable {
        &self.host.planes.records
    }

    /// Begins an operation whose client leaves after `patience` polls.
    pub(super) fn change(&mut self, operation: Operation, patience: usize) {
        let (planes, subjects) = (self.planes().clone(), self.subjects.clone());
        let work = HangUp::new(change(planes, operation, subjects), patience);
        self.clients
            .spawn(async move { work.await.unwrap_or(Done::Left) });
    }

    /// Begins an invocation whose client leaves after `patience` polls.
    pub(super) fn call(&mut self, call: Call, patience: usize) {
        let (planes, subjects) = (self.planes().clone(), self.subjects.clone());
        let work = async move {
            let truth = Arc::clone(&planes.truth);
            let end = call.run(planes, subjects).await;
            truth.note(&format!("{call:?}: {end:?}"));
            Done::Called(end)
        };
        let work = HangUp::new(work, patience);
        self.clients
            .spawn(async move { work.await.unwrap_or(Done::Left) });
    }

    /// Ends the process without warning, and starts another.
    pub(super) async fn restart(&mut self) {
        self.truth.note("restart");
        self.records().die();
        self.clients.abort_all();
        while let Some(ended) = self.clients.join_next().await {
            self.count(ended);
        }
        let guests = Arc::clone(&self.planes().guests);
        self.host = Host::open(&self.memory, &self.truth, self.host.limits, &self.clock).await;
        self.former.push(guests);
    }

    /// Lets everything go on that needs no time.
    pub(super) async fn settle(&mut self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        while let Some(ended) = self.clients.try_join_next() {
            self.count(ended);
        }
    }

    /// Waits until nothing is under way and idle environments were evicted.
    pub async fn come_to_rest(&mut self) {
        self.records().fail_reads_after_commit(0);
        self.records().fail_reads_for(0);
        self.planes().guests.counts().failing = 0;
        self.clock.sleep(Duration::from_secs(300)).await;
        while let Some(ended) = self.clients.join_next().await {
            self.count(ended);
        }
        self.settle().await;
    }

    fn count(&mut self, ended: Result<Done, tokio::task::JoinError>) {
        let done = match ended {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Done::Cut,
            },
        };
        *self.tally.entry(done).or_default() += 1;
    }
}

/// Runs an operation. Once it is answered, the data plane shows what it changed.
async fn change(planes: Planes, operation: Operation, subjects: Subjects) -> Done {
    let name = subjects.name(operation.function).clone();
    let truth = &planes.truth;
    let (text, before) = (format!("{operation:?}"), truth.commits(&name));
    let ended = operation.run(planes.control.clone(), subjects).await;
    truth.note(&format!(
        "{text}: {:?}",
        ended.as_ref().map_err(ToString::to_string)
    ));
    // Where others changed it too, one of their states may be shown.
    let is_only = truth.commits(&name) == before + 1;
    if ended.is_ok() && is_only && planes.records.has_answered() {
        let shown = planes.invoker.snapshot();
        let now = truth.states(&name, Duration::ZERO).pop().flatten();
        assert_eq!(shown.function(&name), now.as_ref(), "{text} is answered");
    }
    match ended {
        Ok(()) => Done::Changed,
        Err(_) => Done::Refused,
    }
}
