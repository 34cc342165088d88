//! Wall-clock time that does not jump while the process runs: due times and ages are compared with it, so that a
//! clock that is set by an hour neither expires events nor holds them up.

use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};

/// Wall-clock time at the start of the process and the monotonic time since.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    clock: Clock,
    began: Timestamp,
    at: Instant,
}

impl Timeline {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            began: clock.now(),
            at: clock.instant(),
            clock,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let elapsed = self.clock.instant().saturating_duration_since(self.at);
        self.began.after(elapsed)
    }

    /// Time that has passed since then.
    pub(super) fn since(&self, then: Timestamp) -> Duration {
        Duration::from_millis(self.now().millis().saturating_sub(then.millis()))
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests;
