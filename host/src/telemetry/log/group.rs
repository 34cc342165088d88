//! A log group in memory: its settings and the newest events of all its streams, up to a number of bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Event;
use super::disk::Settings;
use crate::clock::Timestamp;

/// Size of an event besides its text.
const EVENT_OVERHEAD_BYTES: usize = 96;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bounds on the events in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of one group.
    pub(super) group_bytes: usize,
    /// Of all groups.
    pub(super) all_bytes: usize,
}

/// One group.
pub(super) struct Group {
    name: Arc<str>,
    // A std mutex: the sections push or copy events, and nothing awaits or touches the disk inside.
    ring: Mutex<Ring>,
    // Taken before `ring`, by threads that may wait for the disk. A group and its successor share it: the deletion of
    // the one is over before the other is written.
    disk: Arc<Mutex<()>>,
    /// Set once, under the lock of `ring`, when the group is deleted.
    deleted: AtomicBool,
    /// Whether the writer was notified of events that it has not written.
    pub(super) marked: AtomicBool,
    /// Milliseconds of the last write or read.
    used: AtomicU64,
}

/// Events and settings of a group.
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Bytes of the events of all groups.
    all_bytes: Arc<AtomicUsize>,
    next_sequence: u64,
    /// The first sequence that is certainly in memory. Older events may be on disk.
    first_sequence: u64,
    /// Whether the events on disk are here too, up to the bound.
    is_whole: bool,
    /// The settings, once they were read from disk or made.
    settings: Option<Settings>,
    /// Whether any event or setting was ever kept: an open environment alone makes no group.
    exists: bool,
    /// Events below this sequence are on disk.
    pub(super) written: u64,
}

/// What the disk has of a group.
pub(super) struct Stored {
    pub(super) settings: Settings,
    pub(super) events: Vec<Event>,
}

impl Group {
    /// A group whose sequences begin at `first`. Its events and settings on disk are read when it is.
    pub(super) fn new(
        name: Arc<str>,
        now: Timestamp,
        first: u64,
        all_bytes: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            name,
            ring: Mutex::new(Ring::empty(first, all_bytes)),
            disk: Arc::default(),
            deleted: AtomicBool::new(false),
            marked: AtomicBool::new(false),
            used: AtomicU64::new(now.millis()),
        }
    }

    /// A new group in place of this deleted one, of which the disk has nothing.
    pub(super) fn successor(&self, now: Timestamp, first: u64) -> Self {
        let old = self.ring();
        let mut ring = Ring::empty(first.max(old.next_sequence), Arc::clone(&old.all_bytes));
        ring.is_whole = true;
        ring.settings = Some(Settings::new(&self.name, now));
        Self {
            name: Arc::clone(&self.name),
            ring: Mutex::new(ring),
            disk: Arc::clone(&self.disk),
            deleted: AtomicBool::new(false),
            marked: AtomicBool::new(false),
            used: AtomicU64::new(now.millis()),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exclusive use of the group's directory. May wait for the disk.
    pub(super) fn disk(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves lines into the group, unless it is deleted. Returns whether it was not.
    pub(super) fn append(
        &self,
        stream: &Arc<str>,
        lines: &mut Vec<(Timestamp, String)>,
        bounds: Bounds,
    ) -> bool {
        let mut ring = self.ring();
        if self.is_deleted() {
            return false;
        }
        for (at, message) in lines.drain(..) {
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
        ring.exists = true;
        ring.shrink(bounds);
        true
    }

    /// Reads what the disk has, once. Others wait for it only where they need the disk too.
    pub(super) fn complete(&self, load: impl FnOnce() -> Option<Stored>, bounds: Bounds) {
        if !self.ring().is_complete() {
            let _disk = self.disk();
            self.complete_locked(load, bounds);
        }
    }

    /// The same for a caller that has exclusive use of the directory.
    pub(super) fn complete_locked(&self, load: impl FnOnce() -> Option<Stored>, bounds: Bounds) {
        if self.is_deleted() || self.ring().is_complete() {
            return;
        }
        let stored = load();
        let created = Timestamp::from_millis(self.used.load(Ordering::Relaxed));
        let mut ring = self.ring();
        match stored {
            Some(stored) => ring.complete(stored, bounds),
            None => {
                ring.is_whole = true;
                let settings = || Settings::new(&self.name, created);
                ring.settings.get_or_insert_with(settings);
            }
        }
    }

    /// Deletes the group in memory. Returns false if it was deleted before.
    pub(super) fn delete(&self) -> bool {
        let mut ring = self.ring();
        ring.clear();
        !self.deleted.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Marks unwritten events. Returns whether the writer must be notified: once until it has written.
    pub(super) fn mark(&self) -> bool {
        !self.marked.swap(true, Ordering::AcqRel)
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.used.fetch_max(now.millis(), Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> Timestamp {
        Timestamp::from_millis(self.used.load(Ordering::Relaxed))
    }
}

impl Ring {
    fn empty(first: u64, all_bytes: Arc<AtomicUsize>) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            all_bytes,
            next_sequence: first,
            first_sequence: first,
            is_whole: false,
            settings: None,
            exists: false,
            written: first,
        }
    }

    /// The events on disk of a group that is not in memory.
    pub(super) fn of(stored: Stored, all_bytes: Arc<AtomicUsize>, bounds: Bounds) -> Self {
        let next = stored.events.last().map_or(0, |event| event.sequence + 1);
        let mut ring = Self::empty(next, all_bytes);
        ring.complete(stored, bounds);
        ring
    }

    fn complete(&mut self, stored: Stored, bounds: Bounds) {
        self.exists = true;
        self.settings.get_or_insert(stored.settings);
        if std::mem::replace(&mut self.is_whole, true) {
            return;
        }
        let first = self.first_sequence;
        let events = stored.events.into_iter().rev();
        for event in events.filter(|event| event.sequence < first) {
            if self.bytes + size(&event) > bounds.group_bytes {
                break;
            }
            self.grow(size(&event));
            self.events.push_front(Arc::new(event));
        }
    }

    fn is_complete(&self) -> bool {
        self.is_whole && self.settings.is_some()
    }

    fn push(&mut self, event: Event) {
        self.grow(size(&event));
        self.events.push_back(Arc::new(event));
    }

    /// Drops the oldest events until the group and all groups are within their bounds.
    fn shrink(&mut self, bounds: Bounds) {
        while self.bytes > bounds.group_bytes && self.drop_oldest() {
            // There is no space for older ones either.
            self.is_whole = true;
        }
        while self.all() > bounds.all_bytes && self.drop_oldest() {
            self.is_whole = false;
        }
        self.find_first();
    }

    /// Drops the events that are on disk, to be read again when they are asked for.
    pub(super) fn drop_written(&mut self) {
        while self
            .events
            .front()
            .is_some_and(|it| it.sequence < self.written)
        {
            self.drop_oldest();
            self.is_whole = false;
        }
        self.find_first();
    }

    /// Moves the boundary to the events that may be on disk only, unless all are here.
    fn find_first(&mut self) {
        if !self.is_whole {
            let next = self.next_sequence;
            self.first_sequence = self.events.front().map_or(next, |it| it.sequence);
        }
    }

    /// Drops expired events.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let Some(before) = self.settings.as_ref().and_then(|it| it.expiry(now)) else {
            return;
        };
        while self.events.front().is_some_and(|event| event.at < before) {
            self.drop_oldest();
        }
    }

    /// Removes the events of a stream. Returns whether there were any.
    pub(super) fn remove_stream(&mut self, stream: &str) -> bool {
        let (before, mut freed) = (self.events.len(), 0);
        self.events.retain(|event| {
            let stays = *event.stream != *stream;
            freed += if stays { 0 } else { size(event) };
            stays
        });
        self.release(freed);
        self.events.len() < before
    }

    fn clear(&mut self) {
        self.events.clear();
        self.release(self.bytes);
        self.exists = false;
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.events.pop_front();
        self.release(oldest.as_deref().map_or(0, size));
        oldest.is_some()
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.all_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn all(&self) -> usize {
        self.all_bytes.load(Ordering::Relaxed)
    }

    /// Events in the order they arrived.
    pub(super) fn events(&self) -> &VecDeque<Arc<Event>> {
        &self.events
    }

    /// Bytes of the texts of the events.
    pub(super) fn text_bytes(&self) -> usize {
        self.events.iter().map(|event| event.message.len()).sum()
    }

    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    pub(super) fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = Some(settings);
        self.exists = true;
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.next_sequence
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

impl Settings {
    pub(super) fn new(name: &str, created: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            created: created.millis(),
            retention_days: None,
        }
    }

    /// Events before this time have expired.
    pub(super) fn expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let days = self.retention_days?;
        let age = DAY * u32::from(days);
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(Timestamp::from_millis(now.millis().saturating_sub(millis)))
    }
}

fn size(event: &Event) -> usize {
    event.message.len() + EVENT_OVERHEAD_BYTES
}
