//! Histogram of durations, lock-free.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, from a warm invocation to the longest timeout; one
/// more bucket is unbounded.
const BOUNDS_MICROS: [u64; 17] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
    1_800_000_000,
];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// Histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

/// Values of a histogram at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// Upper bounds in seconds, each with the count of its own bucket.
    pub(super) buckets: [(f64, u64); BUCKETS],
    pub(super) count: u64,
    pub(super) sum_seconds: f64,
}

impl Histogram {
    /// Records a duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds all durations of another histogram.
    pub(super) fn absorb(&self, other: &Self) {
        for (own, counts) in self.counts.iter().zip(&other.counts) {
            own.fetch_add(counts.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let sum = other.sum_micros.load(Ordering::Relaxed);
        self.sum_micros.fetch_add(sum, Ordering::Relaxed);
    }

    /// Number of durations recorded.
    pub(super) fn count(&self) -> u64 {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a page shows seconds as decimals"
    )]
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut buckets = [(f64::INFINITY, 0); BUCKETS];
        for (bucket, bound) in buckets.iter_mut().zip(BOUNDS_MICROS) {
            bucket.0 = bound as f64 / 1_000_000.0;
        }
        for (bucket, count) in buckets.iter_mut().zip(&self.counts) {
            bucket.1 = count.load(Ordering::Relaxed);
        }
        Snapshot {
            buckets,
            // Computed from the same loads: parsers reject a page whose count differs from its
            // buckets.
            count: buckets.iter().map(|bucket| bucket.1).sum(),
            sum_seconds: self.sum_micros.load(Ordering::Relaxed) as f64 / 1_000_000.0,
        }
    }
}
