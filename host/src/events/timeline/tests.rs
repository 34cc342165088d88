//! Jumps of the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::TimeSource;

/// Clock whose wall time is set by hand.
struct Set(Arc<AtomicU64>, Instant);

/// Clock of a machine that has run for so many seconds since its start of this name.
struct Machine {
    wall: u64,
    boot_id: &'static str,
    uptime_seconds: u64,
}

impl TimeSource for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall)
    }

    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn uptime(&self) -> Option<Uptime> {
        Some(Uptime {
            boot_id: self.boot_id.to_owned(),
            uptime: Duration::from_secs(self.uptime_seconds),
        })
    }
}

impl TimeSource for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        self.1
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[tokio::test(start_paused = true)]
async fn jump_of_the_wall_clock_is_not_seen() {
    let wall = Arc::new(AtomicU64::new(10_000_000));
    let at = tokio::time::Instant::now().into_std();
    let timeline = Timeline::new(Clock::new(Set(Arc::clone(&wall), at)));
    for jumped in [10_000_000 + 3_600_000, 10_000_000 - 3_600_000] {
        wall.store(jumped, Ordering::Relaxed);
        assert_eq!(timeline.now(), Timestamp::from_millis(10_000_000));
    }
    let later = Timeline {
        clock: Clock::new(Set(wall, at + Duration::from_secs(5))),
        ..timeline
    };
    assert_eq!(later.now(), Timestamp::from_millis(10_005_000));
}

#[tokio::test(start_paused = true)]
async fn jump_of_the_wall_clock_is_not_seen_after_a_restart() {
    const START: u64 = 100_000_000;
    let hour = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("timeline");
    for (wall, boot_id, uptime_seconds, expected) in [
        (START, "a", 50, START),
        (START + 7 * hour, "a", 60, START + 10_000),
        (START - hour, "a", 65, START + 15_000),
        // The machine has started anew.
        (START + 2 * hour, "b", 70, START + 2 * hour),
        (START, "b", 71, START + 2 * hour + 1_000),
        // An uptime that cannot be.
        (START, "b", 5, START),
    ] {
        let clock = Clock::new(Machine {
            wall,
            boot_id,
            uptime_seconds,
        });
        let timeline = Timeline::open(&path, clock);
        let expected = Timestamp::from_millis(expected);
        assert_eq!(
            timeline.now(),
            expected,
            "{wall} {boot_id} {uptime_seconds}"
        );
    }
    std::fs::write(&path, "damaged").unwrap();
    let clock = Clock::new(Machine {
        wall: START,
        boot_id: "b",
        uptime_seconds: 80,
    });
    let timeline = Timeline::open(&path, clock);
    assert_eq!(timeline.now(), Timestamp::from_millis(START));
}
