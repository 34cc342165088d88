//! Burst scaling of a function: the number of environments by which it may grow in ten seconds. AWS allows 1,000.
//! Environments that end count against those that start, so that a steady number of short-lived ones is no growth.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Period in which a function may grow by the whole burst. The allowance refills continuously, as in AWS.
const PERIOD: Duration = Duration::from_secs(10);

/// Allowance of one function.
#[derive(Debug)]
pub(super) struct Burst {
    environments_max: u32,
    // std mutex: some arithmetic, no await inside. Only starts and ends of environments lock it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Left of the allowance, in micro-environments.
    left: u64,
    refilled_at: Option<Instant>,
}

/// One environment of the growth; its end gives the allowance back.
#[derive(Debug)]
pub(super) struct Growth(Arc<Burst>);

const ONE: u64 = 1_000_000;

impl Burst {
    pub(super) fn new(environments_max: u32) -> Self {
        let left = u64::from(environments_max) * ONE;
        let state = State {
            left,
            refilled_at: None,
        };
        Self {
            environments_max,
            state: Mutex::new(state),
        }
    }

    /// Allowance for one environment. `None` if the function grows too fast.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Growth> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled_at = *state.refilled_at.get_or_insert(now);
        let elapsed = now.saturating_duration_since(refilled_at).min(PERIOD);
        // Micro-environments in microseconds: both are millionths.
        let refill = u64::from(self.environments_max) * micros(elapsed) / PERIOD.as_secs();
        if refill > 0 {
            state.left = (state.left + refill).min(self.most());
            state.refilled_at = Some(now);
        }
        state.left = state.left.checked_sub(ONE)?;
        Some(Growth(Arc::clone(self)))
    }

    fn most(&self) -> u64 {
        u64::from(self.environments_max) * ONE
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for Growth {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left = (state.left + ONE).min(self.0.most());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn growth_is_bounded_and_refills_within_ten_seconds() {
        let (burst, start) = (Arc::new(Burst::new(1_000)), Clock::system().instant());
        let at = |millis: u64| start + Duration::from_millis(millis);
        let grow = |millis| std::iter::from_fn(|| burst.take(at(millis))).collect::<Vec<_>>();
        let first = grow(0);
        assert_eq!(first.len(), 1_000);
        let second = grow(5_000);
        assert_eq!(second.len(), 500);
        // Time that nobody grew in is not saved up beyond one burst.
        let third = grow(60_000);
        assert_eq!(third.len(), 1_000);
        assert!(burst.take(at(60_000)).is_none());
    }

    #[test]
    fn environment_that_ends_makes_way_for_another() {
        let (burst, now) = (Arc::new(Burst::new(2)), Clock::system().instant());
        for _ in 0..100 {
            drop(burst.take(now).expect("the one before has ended"));
        }
        let kept = [burst.take(now), burst.take(now)];
        assert!(kept.iter().all(Option::is_some) && burst.take(now).is_none());
    }

    #[test]
    fn fractions_of_environments_add_up() {
        let (burst, start) = (Arc::new(Burst::new(1)), Clock::system().instant());
        let _first = burst.take(start).unwrap();
        let mut times = (1..=10_000).map(|millis| start + Duration::from_millis(millis));
        let next = times.position(|now| burst.take(now).is_some());
        assert_eq!(next, Some(9_999));
    }
}
