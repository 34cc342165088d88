//! Attempts of one request: what may pass is tried again, after pauses that grow and vary.

use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::clock::Clock;

/// How often and how fast to try.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Attempts after the first.
    pub retries_max: usize,
    /// The pause before the first of them. Each later one is twice as long, and all vary by chance, so
    /// that clients of one server do not come back together.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

/// Runs `attempt` until it succeeds, fails for good, or the policy has no attempt left. Bound it by a
/// time-out of its own.
///
/// # Errors
/// As the last attempt.
pub async fn attempts<T, E, F: Future<Output = Result<T, E>>>(
    policy: Policy,
    clock: &Clock,
    may_pass: impl Fn(&E) -> bool,
    attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(policy.pause_min)
        .with_max_delay(policy.pause_max)
        .with_max_times(policy.retries_max)
        .with_jitter();
    let clock = clock.clone();
    attempt
        .retry(pauses)
        .sleep(move |pause| {
            let clock = clock.clone();
            async move { clock.sleep(pause).await }
        })
        .when(|error| may_pass(error))
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::clock::Simulated;

    const POLICY: Policy = Policy {
        retries_max: 2,
        pause_min: Duration::from_millis(200),
        pause_max: Duration::from_secs(2),
    };

    /// Attempts until one succeeds, and the time they took.
    async fn tried(succeeds_at: usize, may_pass: bool) -> (Result<usize, ()>, usize, Duration) {
        let clock = Simulated::clock(1);
        let (count, start) = (Cell::new(0), tokio::time::Instant::now());
        let done = attempts(
            POLICY,
            &clock,
            |()| may_pass,
            || {
                count.set(count.get() + 1);
                let result = (count.get() == succeeds_at).then(|| count.get());
                async move { result.ok_or(()) }
            },
        );
        (done.await, count.get(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn failure_that_may_pass_is_tried_again_after_growing_pauses() {
        let (done, count, _) = tried(2, true).await;
        assert_eq!((done, count), (Ok(2), 2));
        let (done, count, waited) = tried(9, true).await;
        assert_eq!((done, count), (Err(()), 3));
        let (least, most) = (Duration::from_millis(600), Duration::from_millis(1_400));
        assert!((least..most).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_failure_is_not_tried_again() {
        assert_eq!(tried(9, false).await, (Err(()), 1, Duration::ZERO));
    }
}
