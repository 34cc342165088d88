//! Bounds of a running query: memory, time, and StopQuery. Every step of its execution is charged here.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Memory of one query: its rows, the fields and texts it makes, and its results.
const BYTES_MAX: usize = 64 << 20;
/// Time of one query.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Work, in bytes read or written, between two looks at the clock.
const WORK_BYTES: usize = 64 << 10;
/// Work of one step beside the bytes it reads or writes.
const STEP_BYTES: usize = 64;

/// Reason for which a query ends without results.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Stop {
    #[error("StopQuery ended the query")]
    Cancelled,
    #[error("the query takes more memory than {} MiB", BYTES_MAX >> 20)]
    Memory,
    #[error("the query took longer than {} s", TIME_MAX.as_secs())]
    Time,
}

/// Memory and time that a query has left.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    clock: &'a Clock,
    deadline: Instant,
    is_stopped: &'a AtomicBool,
    bytes: Cell<usize>,
    /// Bytes that `release_to` does not release.
    kept: Cell<usize>,
    work: Cell<usize>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(clock: &'a Clock, is_stopped: &'a AtomicBool) -> Self {
        Self {
            clock,
            deadline: clock.instant() + TIME_MAX,
            is_stopped,
            bytes: Cell::new(0),
            kept: Cell::new(0),
            work: Cell::new(0),
        }
    }

    /// Charges memory, and the work to fill it.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Stop> {
        let all = self.bytes.get().saturating_add(bytes);
        if all.saturating_add(self.kept.get()) > BYTES_MAX {
            return Err(Stop::Memory);
        }
        self.bytes.set(all);
        self.work(bytes)
    }

    /// Keeps memory for the rest of the query, if there is as much below `limit`.
    pub(super) fn keep_below(&self, limit: usize, bytes: usize) -> bool {
        let kept = self.kept.get().saturating_add(bytes);
        let fits = kept <= limit && self.bytes.get().saturating_add(kept) <= BYTES_MAX;
        if fits {
            self.kept.set(kept);
        }
        fits
    }

    /// Bytes charged and not released, without those kept.
    pub(super) fn used(&self) -> usize {
        self.bytes.get()
    }

    /// Releases all charges since `used` had this value.
    pub(super) fn release_to(&self, used: usize) {
        self.bytes.set(used);
    }

    /// Charges a step that reads this many bytes.
    pub(super) fn work(&self, bytes: usize) -> Result<(), Stop> {
        let work = self.work.get().saturating_add(bytes) + STEP_BYTES;
        if work < WORK_BYTES {
            self.work.set(work);
            return Ok(());
        }
        self.work.set(0);
        self.check()
    }

    /// Error once the query is stopped or its time is over.
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        match self.clock.instant() < self.deadline {
            true => Ok(()),
            false => Err(Stop::Time),
        }
    }
}
