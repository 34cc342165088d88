//! Log group in memory: settings and the newest events of all streams, bounded in bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Event;
use super::disk::Settings;
use crate::clock::Timestamp;

/// Overhead of an event besides its text.
const EVENT_OVERHEAD_BYTES: usize = 96;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits of events in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes per group.
    pub(super) group_bytes: usize,
    /// Bytes of all groups.
    pub(super) all_bytes: usize,
}

/// A log group.
pub(super) struct Group {
    name: Arc<str>,
    // std mutex: the sections push or copy events, without await or disk I/O.
    ring: Mutex<Ring>,
    // Lock order: before `ring`. Held during disk I/O, so only by threads that may block. Shared
    // between a deleted group and its successor, so that the deletion finishes before the successor
    // is written.
    disk: Arc<Mutex<()>>,
    /// Set once on deletion, under the `ring` lock.
    deleted: AtomicBool,
    /// True while the writer has a pending notification for this group.
    pub(super) marked: AtomicBool,
    /// Time of the last write or read, in milliseconds.
    used: AtomicU64,
}

/// Events and settings of a group.
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Bytes of the events of all groups.
    all_bytes: Arc<AtomicUsize>,
    next_sequence: u64,
    /// Smallest sequence that is certainly in memory. Older events may be on disk.
    first_sequence: u64,
    /// True if the ring holds the events on disk too, up to the limit.
    is_whole: bool,
    /// Settings; `None` until loaded or created.
    settings: Option<Settings>,
    /// True once an event or setting was stored: an open environment alone creates no group.
    exists: bool,
    /// Events below this sequence are on disk.
    pub(super) written: u64,
}

/// Settings and events of a group on disk.
pub(super) struct Stored {
    pub(super) settings: Settings,
    pub(super) events: Vec<Event>,
}

impl Group {
    /// Group with sequences from `first`. Events and settings on disk are loaded on read.
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

    /// Empty replacement of this deleted group, with no data on disk.
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

    /// Locks the group's directory. Blocks on disk I/O of other threads.
    pub(super) fn disk(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves lines into the group. Returns false if it is deleted.
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

    /// Loads events and settings from disk, once. Writers to memory are not blocked.
    pub(super) fn complete(&self, load: impl FnOnce() -> Option<Stored>, bounds: Bounds) {
        if !self.ring().is_complete() {
            let _disk = self.disk();
            self.complete_locked(load, bounds);
        }
    }

    /// Like [`Self::complete`], for a caller that holds the disk lock.
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

    /// Marks unwritten events. Returns true if the writer must be notified.
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

    /// Ring of a group that exists on disk only.
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

    /// Evicts the oldest events until the group and all groups are within their limits.
    fn shrink(&mut self, bounds: Bounds) {
        while self.bytes > bounds.group_bytes && self.drop_oldest() {
            // Older events do not fit either, so nothing is missing.
            self.is_whole = true;
        }
        while self.all() > bounds.all_bytes && self.drop_oldest() {
            self.is_whole = false;
        }
        self.find_first();
    }

    /// Evicts events that are on disk; reads load them again.
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

    /// Updates the first sequence in memory, unless the ring is complete.
    fn find_first(&mut self) {
        if !self.is_whole {
            let next = self.next_sequence;
            self.first_sequence = self.events.front().map_or(next, |it| it.sequence);
        }
    }

    /// Evicts expired events.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let Some(before) = self.settings.as_ref().and_then(|it| it.expiry(now)) else {
            return;
        };
        while self.events.front().is_some_and(|event| event.at < before) {
            self.drop_oldest();
        }
    }

    /// Deletes the events of a stream. Returns true if there were any.
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

    /// Events in order of arrival.
    pub(super) fn events(&self) -> &VecDeque<Arc<Event>> {
        &self.events
    }

    /// Bytes of the events' texts.
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

    /// Time before which events have expired.
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
