//! Jumps of the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::TimeSource;

/// Clock whose wall time is set by hand.
struct Set(Arc<AtomicU64>, Instant);

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
