//! Progress through a shard: batches of different keys end in any order, and the checkpoint is the last record before
//! which all are done. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Records that were read and are not behind the checkpoint.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Sequence numbers by the number in the reading; `true` is done.
    records: BTreeMap<u64, (Arc<str>, bool)>,
    next: u64,
    reached: Option<Arc<str>>,
}

impl Progress {
    /// Notes a record that was read; returns its number.
    pub(super) fn read(&mut self, sequence: &Arc<str>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.records.insert(number, (Arc::clone(sequence), false));
        number
    }

    /// Notes a record that is done: its function had it, no filter takes it, or it was given up.
    pub(super) fn done(&mut self, number: u64) {
        if let Some((_, is_done)) = self.records.get_mut(&number) {
            *is_done = true;
        }
        while let Some(first) = self.records.first_entry().filter(|it| it.get().1) {
            self.reached = Some(first.remove().0);
        }
    }

    /// Sequence number of the checkpoint, if it has moved since the last call.
    pub(super) fn take_reached(&mut self) -> Option<Arc<str>> {
        self.reached.take()
    }

    /// True if all that was read is done.
    pub(super) fn is_idle(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_waits_for_the_records_before_it() {
        let mut progress = Progress::default();
        for sequence in ["a", "b", "c", "d"] {
            progress.read(&sequence.into());
        }
        progress.done(1);
        progress.done(3);
        assert_eq!(progress.take_reached(), None);
        progress.done(0);
        assert_eq!(progress.take_reached().as_deref(), Some("b"));
        assert_eq!(progress.take_reached(), None);
        assert!(!progress.is_idle());
        progress.done(2);
        assert_eq!(progress.take_reached().as_deref(), Some("d"));
        assert!(progress.is_idle());
        // Again, or of no record: nothing.
        progress.done(2);
        progress.done(9);
        assert_eq!(progress.take_reached(), None);
        assert_eq!(progress.read(&"e".into()), 4);
    }
}
