//! Records in memory whose reads fail for a while, and that are dead after a restart.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::truth::Truth;
use crate::clock::{Clock, Timestamp};
use crate::control::{kind, publisher};
use crate::store::memory::Memory;
use crate::store::{Error, Key, Range, Record, Records, Revision, Write};

/// Bound of a publication where the store answers: it takes turns of the scheduler and no time. The clock
/// of the simulation counts milliseconds.
const VISIBLE_MAX: Duration = Duration::from_millis(1);

/// One process's way to records that outlive it.
#[derive(Debug)]
pub(super) struct Unreliable {
    memory: Arc<Memory>,
    truth: Arc<Truth>,
    clock: Clock,
    failing_reads: AtomicUsize,
    /// Reads that fail after the next commit, the publisher's first.
    failing_after_commit: AtomicUsize,
    failures: Mutex<Option<Failures>>,
    is_dead: AtomicBool,
}

/// Reads that failed one after another, none later than the publisher's longest pause after the one before.
#[derive(Clone, Copy, Debug)]
struct Failures {
    first: Timestamp,
    last: Timestamp,
}

impl Failures {
    fn has_passed(self, now: Timestamp) -> bool {
        now > self.last.after(publisher::RETRY_LAST + VISIBLE_MAX)
    }
}

impl Unreliable {
    pub(super) fn new(memory: &Arc<Memory>, truth: &Arc<Truth>, clock: &Clock) -> Self {
        Self {
            memory: Arc::clone(memory),
            truth: Arc::clone(truth),
            clock: clock.clone(),
            failing_reads: AtomicUsize::new(0),
            failing_after_commit: AtomicUsize::new(0),
            failures: Mutex::default(),
            is_dead: AtomicBool::new(false),
        }
    }

    pub(super) fn fail_reads_for(&self, reads: usize) {
        self.failing_reads.store(reads, Ordering::Release);
    }

    pub(super) fn fail_reads_after_commit(&self, reads: usize) {
        self.failing_after_commit.store(reads, Ordering::Release);
    }

    /// Ends the process: nothing more is read or written.
    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::Release);
    }

    /// The longest time for which a change may be in the store and not in the data plane now.
    pub(super) fn visible_max(&self) -> Duration {
        let now = self.clock.now();
        let failures = *self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failures.filter(|it| !it.has_passed(now));
        let since = recent.map_or(0, |it| now.millis() - it.first.millis());
        Duration::from_millis(since) + VISIBLE_MAX
    }

    /// True if all recent reads succeeded.
    pub(super) fn has_answered(&self) -> bool {
        self.visible_max() == VISIBLE_MAX
    }

    async fn answer(&self, is_read: bool) -> Result<(), Error> {
        // As a store of another thread: the answer takes a turn of the scheduler.
        tokio::task::yield_now().await;
        let one_less = |left: usize| left.checked_sub(1);
        let failing = &self.failing_reads;
        let fails = is_read
            && failing
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less)
                .is_ok();
        if fails {
            self.failed();
        }
        match fails || self.is_dead.load(Ordering::Acquire) {
            true => Err(Error::Failed("the disk does not answer".into())),
            false => Ok(()),
        }
    }

    fn failed(&self) {
        let now = self.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let before = failures.filter(|it| !it.has_passed(now));
        *failures = Some(Failures {
            first: before.map_or(now, |it| it.first),
            last: now,
        });
    }
}

#[async_trait]
impl Records for Unreliable {
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.answer(true).await?;
        self.memory.get(key).await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        self.answer(true).await?;
        self.memory.list(kind, prefix, after, limit).await
    }

    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, Error> {
        self.answer(true).await?;
        self.memory.read(ranges).await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, Error> {
        self.answer(false).await?;
        let names = kind::functions_of(&batch);
        let committed = self.memory.commit(batch).await;
        if committed.is_ok() {
            self.truth.committed(&*self.memory, names).await;
            let failing = self.failing_after_commit.swap(0, Ordering::AcqRel);
            self.failing_reads.fetch_max(failing, Ordering::AcqRel);
        }
        tokio::task::yield_now().await;
        committed
    }
}
