//! Records that wait to become a batch: until there are enough of them, or the batching window of the first ends.
//! Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::record::Record;

/// Bounds of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) size_max: usize,
    pub(super) bytes_max: usize,
    /// Batching window.
    pub(super) window: Duration,
}

/// Records in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: VecDeque<(u64, Record)>,
    bytes: usize,
    /// Start of the batching window.
    since: Option<Instant>,
}

/// Records with their numbers in the shard's reading.
pub(super) type Numbered = Vec<(u64, Record)>;

/// Next batch.
#[derive(Debug)]
pub(super) enum Next {
    Batch(Numbered),
    /// Due at this time, unless it is full before.
    At(Instant),
    Nothing,
}

impl Buffer {
    pub(super) fn push(&mut self, number: u64, record: Record, now: Instant) {
        self.since.get_or_insert(now);
        self.bytes += record.bytes;
        self.records.push_back((number, record));
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn first(&self) -> Option<&Record> {
        self.records.front().map(|(_, record)| record)
    }

    /// Takes a batch that is full or due; any records if no others follow. Records of a batch are all of the kind of
    /// the first.
    pub(super) fn take<K: PartialEq>(
        &mut self,
        rules: Rules,
        now: Instant,
        is_last: bool,
        kind: impl Fn(&Record) -> K,
    ) -> Next {
        let (Some(since), Some(first)) = (self.since, self.first()) else {
            return Next::Nothing;
        };
        let wanted = kind(first);
        let mut bytes = 0;
        let mut fits = |record: &Record| {
            bytes += record.bytes;
            bytes <= rules.bytes_max && kind(record) == wanted
        };
        let size_max = rules.size_max.max(1);
        let some = self.records.iter().take(size_max);
        // A record that is too large alone is tried alone.
        let count = some.take_while(|(_, it)| fits(it)).count().max(1);
        let is_full = count == size_max || count < self.records.len();
        let due = since + rules.window;
        if !is_full && !is_last && due > now {
            return Next::At(due);
        }
        let batch: Numbered = self.records.drain(..count).collect();
        self.bytes -= batch.iter().map(|(_, it)| it.bytes).sum::<usize>();
        self.since = (!self.records.is_empty()).then_some(now);
        Next::Batch(batch)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    pub(in crate::event_source::stream) fn record(sequence: u64) -> Record {
        Record {
            sequence: sequence.to_string().into(),
            key: 0,
            arrived: Timestamp::from_millis(sequence * 1_000),
            value: json!({"n": sequence}),
            bytes: 10,
        }
    }

    fn rules(size_max: usize, bytes_max: usize, seconds: u64) -> Rules {
        Rules {
            size_max,
            bytes_max,
            window: Duration::from_secs(seconds),
        }
    }

    fn start() -> Instant {
        crate::clock::Clock::system().instant()
    }

    fn numbers(next: Next) -> Vec<u64> {
        match next {
            Next::Batch(batch) => batch.into_iter().map(|(number, _)| number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn batch_is_taken_when_full_or_due() {
        let (now, second) = (start(), Duration::from_secs(1));
        let mut buffer = Buffer::default();
        let rules = rules(3, 1_000, 5);
        let any = |_: &Record| ();
        assert!(matches!(buffer.take(rules, now, false, any), Next::Nothing));
        buffer.push(0, record(0), now);
        buffer.push(1, record(1), now + second);
        match buffer.take(rules, now + second, false, any) {
            Next::At(at) => assert_eq!(at, now + 5 * second),
            other => panic!("{other:?}"),
        }
        buffer.push(2, record(2), now + 2 * second);
        buffer.push(3, record(3), now + 2 * second);
        let full = buffer.take(rules, now + 2 * second, false, any);
        assert_eq!(numbers(full), [0, 1, 2]);
        assert_eq!((buffer.len(), buffer.bytes()), (1, 10));
        // The window of what is left begins anew.
        let early = buffer.take(rules, now + 6 * second, false, any);
        assert!(matches!(early, Next::At(_)));
        let due = buffer.take(rules, now + 7 * second, false, any);
        assert_eq!(numbers(due), [3]);
    }

    #[test]
    fn last_records_wait_for_no_others() {
        let now = start();
        let mut buffer = Buffer::default();
        buffer.push(0, record(0), now);
        let last = buffer.take(rules(10, 1_000, 300), now, true, |_| ());
        assert_eq!(numbers(last), [0]);
    }

    #[test]
    fn batch_ends_at_its_bytes_and_where_the_kind_changes() {
        let now = start();
        let mut buffer = Buffer::default();
        for number in 0..5 {
            buffer.push(number, record(number), now);
        }
        let kind = |record: &Record| record.arrived.secs() >= 3;
        let small = rules(10, 25, 300);
        assert_eq!(numbers(buffer.take(small, now, false, kind)), [0, 1]);
        assert_eq!(numbers(buffer.take(small, now, false, kind)), [2]);
        let tiny = rules(10, 5, 0);
        assert_eq!(numbers(buffer.take(tiny, now, false, kind)), [3]);
    }
}
