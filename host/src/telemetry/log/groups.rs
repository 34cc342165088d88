//! Log groups in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::group::Group;
use crate::clock::Timestamp;

/// Time before an unused group is evicted.
const IDLE_MILLIS: u64 = 60_000;
/// Lag of file times behind the clock, in milliseconds: the kernel uses the time of its last tick.
const FILE_TIME_MILLIS: u64 = 20;
/// Sequences that a group may assign per millisecond before they run ahead of the clock.
const SEQUENCES_PER_MILLI: u64 = 1 << 20;

/// Log groups in memory.
#[derive(Default)]
pub(super) struct Groups {
    by_name: Mutex<HashMap<Arc<str>, Arc<Group>>>,
    /// Bytes of their events.
    bytes: Arc<AtomicUsize>,
    /// Sequences below this one may be taken by evicted groups.
    first_sequence: AtomicU64,
}

impl Groups {
    /// Groups after a restart. Sequences continue from the wall clock, past those that a killed
    /// process assigned and did not write, and past those on disk in case the clock went back.
    pub(super) fn after(written: Timestamp) -> Self {
        let groups = Self::default();
        let first = (written.millis() + FILE_TIME_MILLIS).saturating_mul(SEQUENCES_PER_MILLI);
        groups.first_sequence.store(first, Ordering::Relaxed);
        groups
    }

    /// Returns or creates a group to write to. Does no disk I/O.
    pub(super) fn get_or_make(&self, name: &str, now: Timestamp) -> Arc<Group> {
        let mut groups = self.lock();
        let found = groups.get(name).map(Arc::clone);
        let made = match found {
            Some(group) if !group.is_deleted() => {
                group.touch(now);
                return group;
            }
            Some(deleted) => deleted.successor(now, self.first(now)),
            None => Group::new(name.into(), now, self.first(now), Arc::clone(&self.bytes)),
        };
        let made = Arc::new(made);
        groups.insert(Arc::clone(made.name()), Arc::clone(&made));
        made
    }

    fn first(&self, now: Timestamp) -> u64 {
        let by_clock = now.millis().saturating_mul(SEQUENCES_PER_MILLI);
        by_clock.max(self.first_sequence.load(Ordering::Relaxed))
    }

    /// Group in memory. Reading creates no group, because callers could invent any number of names.
    pub(super) fn get(&self, name: &str, now: Timestamp) -> Option<Arc<Group>> {
        let group = self.peek(name)?;
        group.touch(now);
        Some(group)
    }

    /// Like [`Self::get`], without marking the group as used.
    pub(super) fn peek(&self, name: &str) -> Option<Arc<Group>> {
        self.lock().get(name).map(Arc::clone)
    }

    /// Removes a deleted group, unless it was replaced.
    pub(super) fn remove(&self, group: &Arc<Group>) {
        let mut groups = self.lock();
        if groups
            .get(group.name())
            .is_some_and(|it| Arc::ptr_eq(it, group))
        {
            groups.remove(group.name());
        }
        let next = group.ring().next_sequence();
        self.first_sequence.fetch_max(next, Ordering::Relaxed);
    }

    /// Byte counter of all events in memory, shared with their rings.
    pub(super) fn bytes(&self) -> &Arc<AtomicUsize> {
        &self.bytes
    }

    /// Names of existing groups.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let groups = self.all();
        let existing = groups.iter().filter(|it| it.ring().exists());
        existing.map(|it| Arc::clone(it.name())).collect()
    }

    /// Evicts groups that are idle, without writers, and wholly on disk.
    pub(super) fn forget_idle(&self, now: Timestamp) {
        self.lock().retain(|_, group| {
            let ring = group.ring();
            let is_idle = now.millis().saturating_sub(group.used().millis()) >= IDLE_MILLIS;
            let stays = !is_idle || Arc::strong_count(group) > 1 || !ring.is_written();
            if !stays {
                self.first_sequence
                    .fetch_max(ring.next_sequence(), Ordering::Relaxed);
            }
            stays
        });
    }

    /// Evicts events that are on disk, least recently used groups first, down to `bytes_max`.
    pub(super) fn drop_written(&self, bytes_max: usize) {
        if self.bytes.load(Ordering::Relaxed) <= bytes_max {
            return;
        }
        let mut groups = self.all();
        groups.sort_by_key(|group| group.used());
        for group in groups {
            if self.bytes.load(Ordering::Relaxed) <= bytes_max {
                return;
            }
            group.ring().drop_written();
        }
    }

    fn all(&self) -> Vec<Arc<Group>> {
        self.lock().values().map(Arc::clone).collect()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Group>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
