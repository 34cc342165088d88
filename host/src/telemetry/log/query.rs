//! Reading logs: pages of events in the order they arrived, from any place on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Ring;
use super::{Event, Logs, writer};
use crate::clock::Timestamp;

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of these streams. Empty means all.
    pub streams: Vec<String>,
    /// Of streams whose names begin so.
    pub stream_prefix: String,
    /// Not before.
    pub start: Option<Timestamp>,
    /// Before.
    pub end: Option<Timestamp>,
    /// That match this pattern.
    pub pattern: Pattern,
    /// From this sequence on.
    pub from: u64,
    /// At most so many.
    pub limit: usize,
}

/// What an event's text must have in it.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    /// All of these.
    pub all: Vec<String>,
    /// One of these, where there are any.
    pub any: Vec<String>,
    /// None of these.
    pub none: Vec<String>,
}

/// Events, and where the next ones are.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order they arrived.
    pub events: Vec<Arc<Event>>,
    /// What to ask for next: greater than the sequence of every event looked at.
    pub next: u64,
    /// Whether there are more events already.
    pub more: bool,
}

/// What is known of a stream.
#[derive(Clone, Debug)]
pub struct StreamSummary {
    /// Its name.
    pub name: Arc<str>,
    /// The time of its first event that is kept.
    pub first: Timestamp,
    /// The time of its last event.
    pub last: Timestamp,
}

/// What is known of a group.
#[derive(Clone, Debug)]
pub struct GroupSummary {
    /// Its name.
    pub name: String,
    /// What its events take.
    pub stored_bytes: usize,
}

impl Logs {
    /// Events of a group. None where there is no such group.
    pub fn filter(&self, group: &str, filter: &Filter) -> Option<Page> {
        self.read(group, |ring| filter.page(ring))
    }

    /// The streams of a group. None where there is no such group.
    pub fn streams(&self, group: &str) -> Option<Vec<StreamSummary>> {
        self.read(group, streams)
    }

    /// The groups whose names begin so, in the order of their names.
    pub fn groups(&self, prefix: &str) -> Vec<GroupSummary> {
        let dir = self.0.config.dir.as_deref();
        let on_disk = dir.map(writer::groups).unwrap_or_default();
        let in_memory = self.0.groups.sizes();
        let in_memory = in_memory
            .iter()
            .map(|(name, bytes)| (name.to_string(), *bytes));
        // What is in memory is newer.
        let mut groups: BTreeMap<String, usize> = on_disk.into_iter().collect();
        groups.extend(in_memory);
        groups.retain(|name, _| name.starts_with(prefix));
        let summary = |(name, stored_bytes)| GroupSummary { name, stored_bytes };
        groups.into_iter().map(summary).collect()
    }

    /// Looks at a group's events, in memory or on disk. It leaves nothing behind in memory where there
    /// was nothing. May wait for the disk.
    fn read<T>(&self, name: &str, look: impl FnOnce(&Ring) -> T) -> Option<T> {
        let load = || self.on_disk(name);
        let Some(group) = self.0.groups.get(name, self.0.clock.now()) else {
            let ring = Ring::of(load());
            return (!ring.events.is_empty()).then(|| look(&ring));
        };
        group.complete(load, self.0.config.group_bytes_max);
        let ring = group.ring();
        (!ring.events.is_empty()).then(|| look(&ring))
    }
}

fn streams(ring: &Ring) -> Vec<StreamSummary> {
    let mut streams: BTreeMap<&Arc<str>, StreamSummary> = BTreeMap::new();
    for event in &ring.events {
        let summary = streams
            .entry(&event.stream)
            .or_insert_with(|| StreamSummary {
                name: Arc::clone(&event.stream),
                first: event.at,
                last: event.at,
            });
        summary.last = event.at;
    }
    streams.into_values().collect()
}

impl Filter {
    fn page(&self, ring: &Ring) -> Page {
        let mut page = Page {
            events: Vec::new(),
            next: ring.next_sequence(),
            more: false,
        };
        let from = ring
            .events
            .partition_point(|event| event.sequence < self.from);
        for event in ring.events.range(from..) {
            if !self.takes(event) {
                continue;
            }
            if page.events.len() == self.limit {
                page.next = event.sequence;
                page.more = true;
                break;
            }
            page.events.push(Arc::clone(event));
        }
        page
    }

    fn takes(&self, event: &Event) -> bool {
        self.start.is_none_or(|start| event.at >= start)
            && self.end.is_none_or(|end| event.at < end)
            && (self.streams.is_empty() || self.streams.iter().any(|it| **it == *event.stream))
            && event.stream.starts_with(&self.stream_prefix)
            && self.pattern.takes(&event.message)
    }
}

impl Pattern {
    fn takes(&self, text: &str) -> bool {
        let has = |term: &String| text.contains(term.as_str());
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}
