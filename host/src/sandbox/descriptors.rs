//! File descriptors of guests, sockets and files: limited per environment and in total, so that the
//! host keeps enough.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use rustix::process::{Resource, getrlimit};

/// Limit per environment, as in AWS.
const ENVIRONMENT_MAX: usize = 1_024;
/// Divisor for all guests' part of the process limit. Connections may take half; the rest is for
/// environment directories, records, logs and DNS.
const GUESTS_SHARE: usize = 4;
/// Divisor for one environment's part of all guests' descriptors.
const ENVIRONMENT_SHARE: usize = 8;
/// Minimum per environment on machines with low limits: what a runtime opens at start-up.
const ENVIRONMENT_MIN: usize = 8;

/// Descriptors of all guests of a host.
#[derive(Debug)]
pub(super) struct Descriptors {
    all_max: usize,
    each_max: usize,
    taken: AtomicUsize,
}

/// Descriptors of one guest, released on drop.
#[derive(Debug)]
pub(super) struct Held {
    all: Arc<Descriptors>,
    taken: usize,
    /// Open files by address. A stream keeps its file open after the guest has dropped the file
    /// handle, so only the reference count shows when it closes.
    files: HashMap<usize, Weak<File>>,
}

/// One descriptor that several guests share, released on drop.
#[derive(Debug)]
pub(super) struct Descriptor(Arc<Descriptors>);

/// Descriptor limit reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Exhausted;

impl Descriptors {
    /// Limits derived from the process limit. Call after raising it.
    pub(super) fn of_this_process() -> Self {
        let open_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(usize::try_from(open_max).unwrap_or(usize::MAX))
    }

    /// Bound on all guests together.
    pub(super) fn all_max(&self) -> usize {
        self.all_max
    }

    /// Bound on one guest, and on the connections of one function.
    pub(super) fn each_max(&self) -> usize {
        self.each_max
    }

    fn new(open_max: usize) -> Self {
        let all_max = open_max / GUESTS_SHARE;
        let share = (all_max / ENVIRONMENT_SHARE).max(ENVIRONMENT_MIN);
        Self {
            all_max,
            each_max: share.min(ENVIRONMENT_MAX),
            taken: AtomicUsize::new(0),
        }
    }

    fn take(&self) -> Result<(), Exhausted> {
        let more = |taken: usize| (taken < self.all_max).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(drop)
            .map_err(|_| Exhausted)
    }

    fn give_back(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Descriptor {
    pub(super) fn take(all: &Arc<Descriptors>) -> Result<Self, Exhausted> {
        all.take()?;
        Ok(Self(Arc::clone(all)))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.give_back(1);
    }
}

impl Held {
    pub(super) fn new(all: Arc<Descriptors>) -> Self {
        Self {
            all,
            taken: 0,
            files: HashMap::new(),
        }
    }

    /// Counts a descriptor before it is opened.
    pub(super) fn take(&mut self) -> Result<(), Exhausted> {
        if self.try_take().is_ok() {
            return Ok(());
        }
        self.forget_closed();
        self.try_take()
    }

    /// Releases a descriptor that was closed, or not opened after all.
    pub(super) fn give_back(&mut self) {
        debug_assert!(self.taken > 0, "what is given back was taken");
        self.taken -= 1;
        self.all.give_back(1);
    }

    /// Associates a file with a descriptor taken for it.
    pub(super) fn opened(&mut self, file: &Arc<File>) {
        self.files.insert(address(file), Arc::downgrade(file));
    }

    /// Releases the descriptor of a file, unless a stream still holds it.
    pub(super) fn dropped(&mut self, file: &Weak<File>) {
        if file.strong_count() == 0 && self.files.remove(&file.as_ptr().addr()).is_some() {
            self.give_back();
        }
    }

    fn try_take(&mut self) -> Result<(), Exhausted> {
        if self.taken >= self.all.each_max {
            return Err(Exhausted);
        }
        self.all.take()?;
        self.taken += 1;
        Ok(())
    }

    fn forget_closed(&mut self) {
        let before = self.files.len();
        self.files.retain(|_, file| file.strong_count() > 0);
        let closed = before - self.files.len();
        self.taken -= closed;
        self.all.give_back(closed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.give_back(self.taken);
    }
}

fn address(file: &Arc<File>) -> usize {
    Arc::as_ptr(file).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Arc<File> {
        Arc::new(File::open("/dev/null").unwrap())
    }

    #[test]
    fn environment_cannot_exhaust_shared_descriptors() {
        let all = Arc::new(Descriptors::new(1_024));
        assert_eq!((all.all_max, all.each_max), (256, 32));
        let mut guests: Vec<Held> = (0..9).map(|_| Held::new(Arc::clone(&all))).collect();
        for guest in &mut guests[..8] {
            for _ in 0..32 {
                guest.take().unwrap();
            }
            assert_eq!(guest.take(), Err(Exhausted));
        }
        assert_eq!(guests[8].take(), Err(Exhausted), "all guests have a bound");
        guests.remove(0);
        guests[7].take().unwrap();
    }

    #[test]
    fn file_counts_until_last_stream_is_closed() {
        let all = Arc::new(Descriptors::new(1_024));
        let mut guest = Held::new(Arc::clone(&all));
        let (file, other) = (open(), open());
        for file in [&file, &other] {
            guest.take().unwrap();
            guest.opened(file);
        }
        let (stream, weak) = (Arc::clone(&file), Arc::downgrade(&file));
        drop(file);
        guest.dropped(&weak);
        assert_eq!(guest.taken, 2, "a stream has the file");
        drop(stream);
        guest.dropped(&weak);
        assert_eq!(guest.taken, 1);
        drop(other);
        guest.forget_closed();
        assert_eq!((guest.taken, all.taken.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn limits_derive_from_process_limit() {
        for (open_max, all, each) in [(64, 16, 8), (20_000, 5_000, 625), (1 << 20, 262_144, 1_024)]
        {
            let limits = Descriptors::new(open_max);
            assert_eq!((limits.all_max, limits.each_max), (all, each), "{open_max}");
        }
        let unlimited = Descriptors::new(usize::MAX);
        assert_eq!(unlimited.each_max, ENVIRONMENT_MAX);
    }
}
