//! A log group in memory: the newest events of all its streams, up to a number of bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Event;
use crate::clock::Timestamp;

/// How long a group stays in memory that nobody uses.
const IDLE_MILLIS: u64 = 60_000;
/// How far the times of files may lag behind the clock: they are those of its last tick.
const FILE_TIME_MILLIS: u64 = 20;
/// What an event takes besides its text.
const EVENT_OVERHEAD_BYTES: usize = 96;

/// One group.
pub(super) struct Group {
    name: Arc<str>,
    // A std mutex: the sections push or copy events, and nothing awaits inside.
    ring: Mutex<Ring>,
    /// Whether the writer has been told of events it has not written.
    pub(super) marked: AtomicBool,
    /// When it was last written to or read, in milliseconds.
    used: AtomicU64,
}

#[derive(Default)]
pub(super) struct Ring {
    pub(super) events: VecDeque<Arc<Event>>,
    bytes: usize,
    next_sequence: u64,
    /// The first sequence given out here. What is older can only be on disk.
    first_sequence: u64,
    /// Whether what the disk has is here too, as far as there is room.
    is_whole: bool,
    /// Events up to this sequence are on disk.
    pub(super) written: u64,
}

/// The groups that are in memory.
#[derive(Default)]
pub(super) struct Groups(Mutex<HashMap<Arc<str>, Arc<Group>>>);

impl Group {
    /// Sequences go on from the time of day: what a killed process had given out and not written is not
    /// given out again. Nor is what is on disk, should the clock have gone back since.
    fn new(name: Arc<str>, now: Timestamp, written: Option<Timestamp>) -> Self {
        let after = written.map_or(0, |it| it.millis() + FILE_TIME_MILLIS);
        let first = now.millis().max(after) << 20;
        let ring = Ring {
            next_sequence: first,
            first_sequence: first,
            written: first,
            ..Ring::default()
        };
        Self {
            name,
            ring: Mutex::new(ring),
            marked: AtomicBool::new(false),
            used: AtomicU64::new(now.millis()),
        }
    }

    /// Takes in what the disk has from before, which `load` reads without holding anyone up.
    pub(super) fn complete(&self, load: impl FnOnce() -> Vec<Event>, bytes_max: usize) {
        if !self.ring().is_whole {
            let kept = load();
            self.ring().complete(kept, bytes_max);
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn append(
        &self,
        stream: &Arc<str>,
        lines: impl Iterator<Item = (Timestamp, String)>,
        bytes_max: usize,
    ) {
        let mut ring = self.ring();
        for (at, message) in lines {
            self.used.fetch_max(at.millis(), Ordering::Relaxed);
            let sequence = ring.next_sequence;
            ring.next_sequence += 1;
            ring.push(Event {
                sequence,
                at,
                stream: Arc::clone(stream),
                message,
            });
        }
        while ring.bytes > bytes_max {
            let Some(oldest) = ring.events.pop_front() else {
                break;
            };
            ring.bytes -= size(&oldest);
            // There is no room for anything older.
            ring.is_whole = true;
        }
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the writer must be told of this group; it is told once until it has written.
    pub(super) fn mark(&self) -> bool {
        !self.marked.swap(true, Ordering::AcqRel)
    }
}

impl Ring {
    /// What the disk has of a group that is not in memory.
    pub(super) fn of(kept: Vec<Event>) -> Self {
        let mut ring = Self::default();
        for event in kept {
            ring.next_sequence = event.sequence + 1;
            ring.push(event);
        }
        ring
    }

    fn complete(&mut self, kept: Vec<Event>, bytes_max: usize) {
        if std::mem::replace(&mut self.is_whole, true) {
            return;
        }
        let older = kept
            .into_iter()
            .rev()
            .filter(|event| event.sequence < self.first_sequence);
        for event in older {
            let bytes = self.bytes + size(&event);
            if bytes > bytes_max {
                break;
            }
            self.bytes = bytes;
            self.events.push_front(Arc::new(event));
        }
    }

    fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push_back(Arc::new(event));
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }
}

impl Groups {
    /// The group of this name, for whoever is about to write to it.
    /// `written` says when the disk's part of it was written to.
    pub(super) fn get_or_make(
        &self,
        name: &str,
        now: Timestamp,
        written: impl FnOnce() -> Option<Timestamp>,
    ) -> Arc<Group> {
        if let Some(group) = self.get(name, now) {
            return group;
        }
        let name: Arc<str> = name.into();
        let written = written();
        let make = || Arc::new(Group::new(Arc::clone(&name), now, written));
        let mut groups = self.lock();
        Arc::clone(groups.entry(Arc::clone(&name)).or_insert_with(make))
    }

    /// The group of this name, if it is in memory. Reading makes no groups: names are anyone's.
    pub(super) fn get(&self, name: &str, now: Timestamp) -> Option<Arc<Group>> {
        let group = self.lock().get(name).map(Arc::clone)?;
        group.used.fetch_max(now.millis(), Ordering::Relaxed);
        Some(group)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Those that have events, with the bytes of their texts.
    pub(super) fn sizes(&self) -> Vec<(Arc<str>, usize)> {
        let groups: Vec<_> = self.lock().values().map(Arc::clone).collect();
        let size = |group: Arc<Group>| {
            let ring = group.ring();
            let bytes = ring.events.iter().map(|event| event.message.len()).sum();
            (!ring.events.is_empty()).then(|| (Arc::clone(&group.name), bytes))
        };
        groups.into_iter().filter_map(size).collect()
    }

    /// Forgets groups that nobody can write to, that are wholly on disk, and that were not used lately.
    pub(super) fn forget_idle(&self, now: Timestamp) {
        self.lock().retain(|_, group| {
            let ring = group.ring();
            let used = group.used.load(Ordering::Relaxed);
            let is_idle = now.millis().saturating_sub(used) >= IDLE_MILLIS;
            !is_idle || Arc::strong_count(group) > 1 || ring.written < ring.next_sequence
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Group>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(event: &Event) -> usize {
    event.message.len() + EVENT_OVERHEAD_BYTES
}
