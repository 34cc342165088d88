//! File descriptors that guests hold: sockets and files, bounded for each environment and for all of
//! them together, so that what is left is the host's own.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use rustix::process::{Resource, getrlimit};

/// Descriptors of one environment; AWS has the same.
const ENVIRONMENT_MAX: usize = 1_024;
/// Of what the process may open, the part that is all guests'. Connections may take a half; the rest is
/// for the directories of environments, for records, logs and name look-ups.
const GUESTS_SHARE: usize = 4;
/// Of what is all guests', the part that one environment may have.
const ENVIRONMENT_SHARE: usize = 8;
/// Where the process may open few: what a runtime opens before it does anything.
const ENVIRONMENT_MIN: usize = 8;

/// Descriptors of all guests of a host.
#[derive(Debug)]
pub(super) struct Descriptors {
    all_max: usize,
    each_max: usize,
    taken: AtomicUsize,
}

/// Descriptors of one guest. They are given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: Arc<Descriptors>,
    taken: usize,
    /// Open files by where they are in memory. A stream keeps its file open after the guest has dropped
    /// the file itself, so only the file knows when it is closed.
    files: HashMap<usize, Weak<File>>,
}

/// There are no descriptors left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Exhausted;

impl Descriptors {
    /// Bounds from what this process may open. Call it after that was raised.
    pub(super) fn of_this_process() -> Self {
        let open_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(usize::try_from(open_max).unwrap_or(usize::MAX))
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

impl Held {
    pub(super) fn new(all: Arc<Descriptors>) -> Self {
        Self {
            all,
            taken: 0,
            files: HashMap::new(),
        }
    }

    /// Counts a descriptor that is about to be opened.
    pub(super) fn take(&mut self) -> Result<(), Exhausted> {
        if self.try_take().is_ok() {
            return Ok(());
        }
        self.forget_closed();
        self.try_take()
    }

    /// Gives back what was taken: it was closed, or not opened after all.
    pub(super) fn give_back(&mut self) {
        debug_assert!(self.taken > 0, "what is given back was taken");
        self.taken -= 1;
        self.all.give_back(1);
    }

    /// Remembers what was opened with a descriptor that was taken for it.
    pub(super) fn opened(&mut self, file: &Arc<File>) {
        self.files.insert(address(file), Arc::downgrade(file));
    }

    /// Gives back the descriptor of a file, unless a stream has it still.
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
    fn environment_cannot_take_what_is_for_all() {
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
    fn file_counts_until_its_last_stream_is_closed() {
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
    fn limits_follow_what_the_process_may_open() {
        for (open_max, all, each) in [(64, 16, 8), (20_000, 5_000, 625), (1 << 20, 262_144, 1_024)]
        {
            let limits = Descriptors::new(open_max);
            assert_eq!((limits.all_max, limits.each_max), (all, each), "{open_max}");
        }
        let unlimited = Descriptors::new(usize::MAX);
        assert_eq!(unlimited.each_max, ENVIRONMENT_MAX);
    }
}
