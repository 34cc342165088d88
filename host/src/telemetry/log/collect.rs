//! Garbage collection of log groups on disk: expired events, and beyond the limits the groups with
//! the oldest writes.

use super::disk::Found;
use super::{Config, Store};

/// Writer rounds between two expiry runs: one hour.
const ROUNDS_UNTIL_EXPIRY: u32 = 60;

/// Limits on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskBounds {
    /// Number of groups.
    pub(super) groups: usize,
    /// Bytes of all groups.
    pub(super) bytes: u64,
    /// Bytes per group.
    pub(super) group_bytes: usize,
}

/// Running totals of groups and bytes on disk; each collection corrects them.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) bounds: DiskBounds,
    groups: usize,
    bytes: u64,
    rounds: u32,
}

impl Collector {
    pub(super) fn new(config: &Config, found: &[Found]) -> Self {
        Self {
            bounds: DiskBounds {
                groups: config.groups_max,
                bytes: config.bytes_max,
                group_bytes: config.group_bytes_max,
            },
            groups: found.len(),
            bytes: found.iter().map(|group| group.bytes).sum(),
            rounds: 0,
        }
    }

    pub(super) fn count(&mut self, is_new: bool, bytes: usize) {
        self.groups += usize::from(is_new);
        self.bytes += bytes as u64;
    }

    /// Enforces the limits of memory and disk.
    pub(super) fn after_write(&mut self, store: &Store) {
        store.groups.drop_written(store.config.memory_bytes_max / 2);
        if self.groups > self.bounds.groups || self.bytes > self.bounds.bytes {
            self.collect(store);
        }
    }

    /// Deletes the groups with the oldest writes, down to 90 % of the limits, so that not every
    /// write collects.
    pub(super) fn collect(&mut self, store: &Store) {
        let Some(root) = &store.root else { return };
        let mut found = root.scan();
        found.sort_by_key(|group| group.written);
        self.groups = found.len();
        self.bytes = found.iter().map(|group| group.bytes).sum();
        let (groups, bytes) = (self.bounds.groups / 10 * 9, self.bounds.bytes / 10 * 9);
        if self.groups <= self.bounds.groups && self.bytes <= self.bounds.bytes {
            return;
        }
        for group in found {
            if self.groups <= groups.max(1) && self.bytes <= bytes {
                return;
            }
            tracing::info!(
                group = group.name,
                bytes = group.bytes,
                "log group collected"
            );
            if let Err(error) = store.delete_group(&group.name) {
                tracing::warn!(group = group.name, %error, "a log group was not collected");
            }
            self.groups -= 1;
            self.bytes -= group.bytes;
        }
    }

    /// Deletes expired events once per hour.
    pub(super) fn expire(&mut self, store: &Store) {
        self.rounds += 1;
        if self.rounds < ROUNDS_UNTIL_EXPIRY {
            return;
        }
        self.rounds = 0;
        for name in store.root.iter().flat_map(|root| root.names()) {
            if let Err(error) = store.expire(&name) {
                tracing::warn!(group = name, %error, "expired events were not removed");
            }
        }
    }
}
