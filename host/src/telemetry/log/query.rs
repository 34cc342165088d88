//! Log queries: pages of events in order of arrival, streams and groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disk::Settings;
use super::group::Ring;
use super::{Event, Logs, Store};
use crate::clock::Timestamp;

/// AWS's limit on the text of a page.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Filter of events.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Stream names; empty selects all.
    pub streams: Vec<String>,
    /// Prefix of the stream name.
    pub stream_prefix: String,
    /// Start time, inclusive.
    pub start: Option<Timestamp>,
    /// End time, exclusive.
    pub end: Option<Timestamp>,
    /// Pattern of the message.
    pub pattern: Pattern,
    /// Start position and direction.
    pub direction: Direction,
    /// Maximum number of events.
    pub limit: usize,
}

/// Start position and direction of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Oldest events from this sequence on.
    Forward(u64),
    /// Newest events below this sequence.
    Backward(u64),
}

impl Default for Direction {
    fn default() -> Self {
        Self::Forward(0)
    }
}

/// Terms of a filter pattern.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    /// Terms that must all occur.
    pub all: Vec<String>,
    /// Terms of which at least one must occur; empty matches.
    pub any: Vec<String>,
    /// Terms that must not occur.
    pub none: Vec<String>,
}

/// A page of events.
#[derive(Clone, Debug)]
pub struct Page {
    /// Events in order of arrival.
    pub events: Vec<Arc<Event>>,
    /// Sequence of the next event; `None` on the last page.
    pub next: Option<u64>,
}

/// A stream of a group.
#[derive(Clone, Debug)]
pub struct StreamSummary {
    /// Stream name.
    pub name: Arc<str>,
    /// Time of the oldest event kept.
    pub first: Timestamp,
    /// Time of the newest event.
    pub last: Timestamp,
}

/// Query of groups.
#[derive(Clone, Debug, Default)]
pub struct GroupsQuery {
    /// Prefix of the name.
    pub prefix: String,
    /// Substring of the name.
    pub part: String,
    /// Exact names; empty selects all.
    pub names: Vec<String>,
    /// Name to continue after.
    pub after: Option<String>,
    /// Maximum number of groups.
    pub limit: usize,
}

/// A group.
#[derive(Clone, Debug)]
pub struct GroupSummary {
    /// Group name.
    pub name: String,
    /// Creation time.
    pub created: Timestamp,
    /// Retention in days.
    pub retention_days: Option<u16>,
    /// Bytes of the events.
    pub stored_bytes: u64,
}

impl Logs {
    /// Events of a group; `None` if it does not exist.
    pub fn filter(&self, group: &str, filter: &Filter) -> Option<Page> {
        self.0.read(group, |ring| filter.page(ring))
    }

    /// Streams of a group; `None` if it does not exist.
    pub fn streams(&self, group: &str) -> Option<Vec<StreamSummary>> {
        self.0.read(group, streams)
    }

    /// Groups by name, and true if there are more.
    pub fn groups(&self, query: &GroupsQuery) -> (Vec<GroupSummary>, bool) {
        let root = self.0.root.as_ref();
        let on_disk = root.map(|root| root.names()).unwrap_or_default();
        let in_memory = self.0.groups.names();
        let in_memory = in_memory.iter().map(|name| name.to_string());
        let names: BTreeSet<String> = on_disk.into_iter().chain(in_memory).collect();
        let mut wanted = names.into_iter().filter(|name| query.takes(name));
        let summaries = wanted.by_ref().filter_map(|name| self.0.summary(name));
        let summaries = summaries.take(query.limit).collect();
        (summaries, wanted.next().is_some())
    }
}

impl Store {
    /// Reads a group from memory or disk, without loading it into memory. Blocks on the disk.
    fn read<T>(&self, name: &str, look: impl FnOnce(&Ring) -> T) -> Option<T> {
        let load = || self.load(name);
        let now = self.clock.now();
        let Some(group) = self.groups.get(name, now) else {
            let bytes = Arc::clone(self.groups.bytes());
            let mut ring = Ring::of(load()?, bytes, self.bounds());
            ring.expire(now);
            return Some(look(&ring));
        };
        group.complete(load, self.bounds());
        let mut ring = group.ring();
        ring.expire(now);
        ring.exists().then(|| look(&ring))
    }

    fn summary(&self, name: String) -> Option<GroupSummary> {
        let directory = self.root.as_ref().map(|root| root.group(&name));
        let on_disk = directory.as_ref().map_or(0, |it| it.bytes());
        let stored = directory.and_then(|it| it.settings());
        let group = self.groups.peek(&name);
        if group.as_ref().is_some_and(|group| group.is_deleted()) {
            return None;
        }
        let in_memory = group.as_ref().map(|group| group.ring());
        let in_memory = in_memory.filter(|ring| ring.exists());
        let text_bytes = in_memory
            .as_ref()
            .map_or(0, |ring| ring.text_bytes() as u64);
        let own = in_memory.as_ref().and_then(|ring| ring.settings().cloned());
        let used = || Some(Settings::new(&name, group.as_ref()?.used()));
        let settings = match &in_memory {
            Some(_) => own.or(stored).or_else(used),
            None => stored,
        }?;
        Some(GroupSummary {
            created: Timestamp::from_millis(settings.created),
            retention_days: settings.retention_days,
            stored_bytes: on_disk.max(text_bytes),
            name: name.clone(),
        })
    }
}

impl GroupsQuery {
    fn takes(&self, name: &String) -> bool {
        name.starts_with(&self.prefix)
            && name.contains(&self.part)
            && (self.names.is_empty() || self.names.contains(name))
            && self.after.as_ref().is_none_or(|after| name > after)
    }
}

fn streams(ring: &Ring) -> Vec<StreamSummary> {
    let mut streams: BTreeMap<&Arc<str>, StreamSummary> = BTreeMap::new();
    for event in ring.events() {
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
        let events = ring.events();
        let up_to = |sequence| events.partition_point(|event| event.sequence < sequence);
        match self.direction {
            Direction::Forward(from) => self.collect(events.range(up_to(from)..)),
            Direction::Backward(before) => {
                let mut page = self.collect(events.range(..up_to(before)).rev());
                page.events.reverse();
                page
            }
        }
    }

    fn collect<'a>(&self, events: impl Iterator<Item = &'a Arc<Event>>) -> Page {
        let (mut page, mut bytes) = (Vec::new(), 0);
        for event in events.filter(|event| self.takes(event)) {
            bytes += event.message.len();
            if page.len() == self.limit || (bytes > PAGE_BYTES_MAX && !page.is_empty()) {
                return Page {
                    events: page,
                    next: Some(event.sequence),
                };
            }
            page.push(Arc::clone(event));
        }
        Page {
            events: page,
            next: None,
        }
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
    /// Checks that a text has the terms.
    pub fn takes(&self, text: &str) -> bool {
        let has = |term: &String| text.contains(term.as_str());
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}
