//! Records that an extension has subscribed to, until they make a batch.

use serde_json::json;

use crate::clock::Timestamp;
use crate::telemetry::log::telemetry_record;

/// Batches that a buffer may hold while its extension does not take them. Further records are dropped and counted.
const BATCHES_MAX: usize = 2;

/// Kind of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sandbox) enum Kind {
    Platform,
    Function,
    Extension,
}

/// Conditions of the delivery of a batch.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Buffering {
    pub(in crate::sandbox) items_max: u32,
    pub(in crate::sandbox) bytes_max: u32,
    pub(in crate::sandbox) time_max_ms: u32,
}

/// Records that an extension has subscribed to.
#[derive(Debug)]
pub(in crate::sandbox) struct Buffer {
    kinds: Vec<Kind>,
    buffering: Buffering,
    /// Records, separated by commas.
    text: String,
    items: u32,
    since: Option<Timestamp>,
    is_due: bool,
    dropped_items: u64,
    dropped_bytes: u64,
}

impl Default for Buffering {
    fn default() -> Self {
        Self {
            items_max: 10_000,
            bytes_max: 256 << 10,
            time_max_ms: 1_000,
        }
    }
}

impl Buffering {
    fn is_in_range(&self) -> bool {
        (1_000..=10_000).contains(&self.items_max)
            && (256 << 10..=1 << 20).contains(&self.bytes_max)
            && (25..=30_000).contains(&self.time_max_ms)
    }
}

impl Buffer {
    /// An empty buffer; none for bounds outside their range.
    pub(in crate::sandbox) fn new(kinds: &[Kind], buffering: Buffering) -> Option<Self> {
        buffering.is_in_range().then(|| Self {
            kinds: kinds.to_vec(),
            buffering,
            text: String::new(),
            items: 0,
            since: None,
            is_due: false,
            dropped_items: 0,
            dropped_bytes: 0,
        })
    }

    pub(super) fn takes(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Adds a record; true if it makes a batch.
    pub(super) fn push(&mut self, record: &str, now: Timestamp) -> bool {
        let bytes_max = usize::try_from(self.buffering.bytes_max).unwrap_or(usize::MAX);
        if self.text.len() + record.len() > bytes_max.saturating_mul(BATCHES_MAX) {
            self.dropped_items += 1;
            self.dropped_bytes += record.len() as u64;
            return false;
        }
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(record);
        self.items += 1;
        self.since.get_or_insert(now);
        let is_batch = self.items >= self.buffering.items_max || self.text.len() >= bytes_max;
        is_batch && self.make_due()
    }

    /// True if its first record has waited for its time, and nothing was to be delivered before.
    pub(super) fn is_overdue(&mut self, now: Timestamp) -> bool {
        let waited = self
            .since
            .map(|it| now.millis().saturating_sub(it.millis()));
        waited.is_some_and(|it| it >= self.buffering.time_max_ms.into()) && self.make_due()
    }

    /// Marks the records for delivery; false if they were, or there are none.
    pub(super) fn make_due(&mut self) -> bool {
        !self.text.is_empty() && !std::mem::replace(&mut self.is_due, true)
    }

    /// Takes the records as a JSON array.
    pub(super) fn take(&mut self) -> String {
        self.is_due = false;
        self.items = 0;
        let since = self.since.take();
        let mut text = std::mem::take(&mut self.text);
        if self.dropped_items > 0 {
            let time = since.unwrap_or(Timestamp::from_millis(0));
            let record = json!({
                "droppedRecords": self.dropped_items, "droppedBytes": self.dropped_bytes,
                "reason": "the extension did not take its records",
            });
            let record = telemetry_record("platform.logsDropped", &record, time);
            text.push(',');
            text.push_str(&record);
            (self.dropped_items, self.dropped_bytes) = (0, 0);
        }
        format!("[{text}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn batch_is_due_by_items_bytes_or_time() {
        let buffering = Buffering {
            items_max: 1_000,
            ..Buffering::default()
        };
        let mut buffer = Buffer::new(&[Kind::Platform], buffering).unwrap();
        assert!((1..1_000).all(|_| !buffer.push("1", at(0))));
        assert!(buffer.push("1", at(0)) && !buffer.push("1", at(0)), "once");
        assert_eq!(buffer.take().matches('1').count(), 1_001);
        assert!(buffer.push(&"1".repeat(256 << 10), at(0)));
        buffer.take();
        buffer.push("1", at(5));
        assert!(!buffer.is_overdue(at(1_004)) && buffer.is_overdue(at(1_005)));
        assert!(!buffer.is_overdue(at(9_999)), "once");
        buffer.take();
        assert!(
            !buffer.is_overdue(at(99_999)) && !buffer.make_due(),
            "empty"
        );
    }

    #[test]
    fn flood_of_records_is_dropped_and_counted() {
        let mut buffer = Buffer::new(&[Kind::Function], Buffering::default()).unwrap();
        let record = format!("\"{}\"", "x".repeat(998));
        for _ in 0..10_000 {
            buffer.push(&record, at(1));
        }
        assert!(buffer.text.len() <= 512 << 10);
        let batch: serde_json::Value = serde_json::from_str(&buffer.take()).unwrap();
        let records = batch.as_array().unwrap();
        let last = &records[records.len() - 1];
        assert_eq!(last["type"], "platform.logsDropped");
        let dropped = last["record"]["droppedRecords"].as_u64().unwrap();
        assert_eq!(dropped + records.len() as u64 - 1, 10_000);
    }

    #[test]
    fn buffering_outside_awss_ranges_is_refused() {
        let refused = |buffering| Buffer::new(&[], buffering).is_none();
        let default = Buffering::default();
        assert!(!refused(default));
        for (items_max, bytes_max, time_max_ms) in [
            (999, 262_144, 1_000),
            (10_001, 262_144, 1_000),
            (1_000, 262_143, 1_000),
            (1_000, 1_048_577, 1_000),
            (1_000, 262_144, 24),
            (1_000, 262_144, 30_001),
        ] {
            let buffering = Buffering {
                items_max,
                bytes_max,
                time_max_ms,
            };
            assert!(refused(buffering), "{buffering:?}");
        }
    }
}
