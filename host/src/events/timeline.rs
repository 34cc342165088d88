//! Wall-clock time that does not jump while the machine runs: due times and ages are compared with it, so that a
//! clock that is set by an hour neither expires events nor holds them up. A file keeps it over restarts of the process.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Timestamp, Uptime};
use crate::disk;

/// Wall-clock time at the start of the process and the monotonic time since.
#[derive(Clone, Debug)]
pub struct Timeline {
    clock: Clock,
    began: Timestamp,
    at: Instant,
}

/// Time of the timeline at an uptime of the machine.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    time: Timestamp,
    boot_id: String,
    uptime_millis: u64,
}

impl Saved {
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// The file is replaced by a whole one.
    fn write(&self, path: &Path) -> io::Result<()> {
        let staged = path.with_extension("new");
        let mut options = disk::options();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&staged)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(staged, path)
    }

    /// Time of the timeline now. `None` after a restart of the machine: nothing tells how long that took.
    fn resume(&self, now: &Uptime) -> Option<Timestamp> {
        let since = millis(now).checked_sub(self.uptime_millis)?;
        let is_same = self.boot_id == now.boot_id;
        is_same.then(|| self.time.after(Duration::from_millis(since)))
    }
}

fn millis(uptime: &Uptime) -> u64 {
    u64::try_from(uptime.uptime.as_millis()).unwrap_or(u64::MAX)
}

impl Timeline {
    /// Goes on with the timeline of the last process, if the machine has run since.
    pub fn open(path: &Path, clock: Clock) -> Self {
        let Some(uptime) = clock.uptime() else {
            return Self::new(clock);
        };
        let resumed = Saved::read(path).and_then(|saved| saved.resume(&uptime));
        let opened = Self {
            began: resumed.unwrap_or_else(|| clock.now()),
            ..Self::new(clock)
        };
        let saved = Saved {
            time: opened.began,
            uptime_millis: millis(&uptime),
            boot_id: uptime.boot_id,
        };
        if let Err(error) = saved.write(path) {
            tracing::warn!(%error, "the time of queued events could not be written; if the clock is set, a restart may drop them");
        }
        opened
    }

    /// A timeline that begins now.
    pub fn new(clock: Clock) -> Self {
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
