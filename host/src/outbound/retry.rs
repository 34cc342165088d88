//! Retries with exponential backoff and jitter.

use std::future::Future;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use crate::clock::Clock;

/// Retry limits and backoff.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Retries after the first attempt.
    pub retries_max: usize,
    /// First backoff; each later one doubles. All have jitter, so that clients of one server do not
    /// retry in step.
    pub pause_min: Duration,
    /// Maximum backoff.
    pub pause_max: Duration,
}

/// Runs `attempt` until it succeeds, fails permanently or runs out of retries. Callers add an
/// overall timeout.
///
/// # Errors
/// The last attempt's error.
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

    /// Runs attempts until number `succeeds_at`; returns their count and the elapsed time.
    async fn tried(succeeds_at: usize, may_pass: bool) -> (Result<usize, ()>, usize, Duration) {
        let clock = Simulated::clock(1);
        let (count, start) = (Cell::new(0), clock.instant());
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
        (done.await, count.get(), clock.instant() - start)
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failure_is_retried_with_backoff() {
        let (done, count, _) = tried(2, true).await;
        assert_eq!((done, count), (Ok(2), 2));
        let (done, count, waited) = tried(9, true).await;
        assert_eq!((done, count), (Err(()), 3));
        let (least, most) = (Duration::from_millis(600), Duration::from_millis(1_400));
        assert!((least..most).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_failure_is_not_retried() {
        assert_eq!(tried(9, false).await, (Err(()), 1, Duration::ZERO));
    }
}
