//! A log group in memory: the newest events of all its streams, up to a number of bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Event;
use crate::clock::Timestamp;

/// What an event takes besides its text.
const EVENT_OVERHEAD_BYTES: usize = 96;

/// One group.
pub(super) struct Group {
    name: Arc<str>,
    // A std mutex: the sections push or copy events, and nothing awaits inside.
    ring: Mutex<Ring>,
    /// Whether the writer has been told of events it has not written.
    pub(super) marked: AtomicBool,
}

#[derive(Default)]
pub(super) struct Ring {
    pub(super) events: VecDeque<Arc<Event>>,
    bytes: usize,
    next_sequence: u64,
    /// Events up to this sequence are on disk.
    pub(super) written: u64,
}

/// The groups that are in memory.
#[derive(Default)]
pub(super) struct Groups(Mutex<HashMap<Arc<str>, Arc<Group>>>);

impl Group {
    /// Sequences go on from the time of day: what a killed process had given out and not written
    /// is not given out again.
    fn new(name: Arc<str>, kept: Vec<Event>, now: Timestamp) -> Self {
        let mut ring = Ring {
            next_sequence: now.millis() << 20,
            ..Ring::default()
        };
        for event in kept {
            ring.next_sequence = ring.next_sequence.max(event.sequence + 1);
            ring.push(event);
        }
        ring.written = ring.next_sequence;
        Self {
            name,
            ring: Mutex::new(ring),
            marked: AtomicBool::new(false),
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
    fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push_back(Arc::new(event));
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }
}

impl Groups {
    /// The group of this name; where it is not in memory, with the events that `load` finds.
    pub(super) fn get_or_load(
        &self,
        name: &str,
        now: Timestamp,
        load: impl FnOnce() -> Vec<Event>,
    ) -> Arc<Group> {
        let mut groups = self.lock();
        if let Some(group) = groups.get(name) {
            return Arc::clone(group);
        }
        let name: Arc<str> = name.into();
        let group = Arc::new(Group::new(Arc::clone(&name), load(), now));
        groups.insert(name, Arc::clone(&group));
        group
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets groups that nobody writes to and that are wholly on disk.
    pub(super) fn forget_idle(&self) {
        self.lock().retain(|_, group| {
            let ring = group.ring();
            Arc::strong_count(group) > 1 || ring.written < ring.next_sequence
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Group>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(event: &Event) -> usize {
    event.message.len() + EVENT_OVERHEAD_BYTES
}
