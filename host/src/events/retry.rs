//! Retry rules of asynchronous invocation, as in AWS.

use std::time::Duration;

use crate::invoke::snapshot::Function;
use crate::names::Qualifier;

/// Waits before the attempts after a function error.
const WAITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// Longest wait of an event whose payload cannot be read; the first is one second, and each doubles.
const UNREAD_WAIT_MAX_SECONDS: u64 = 300;
/// `MaximumRetryAttempts` without a configuration.
const RETRIES_DEFAULT: u32 = 2;
/// `MaximumEventAgeInSeconds` without a configuration.
const AGE_DEFAULT: Duration = Duration::from_secs(6 * 3_600);

/// Limits of the events of a function, version or alias.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    pub(super) retries_max: u32,
    pub(super) age_max: Duration,
}

/// Wait after this refusal of an event for its own sake, counted from 1.
pub(super) fn after_unread(refusals: u32) -> Duration {
    let doubled = 1_u64.checked_shl(refusals.saturating_sub(1));
    Duration::from_secs(
        doubled
            .unwrap_or(u64::MAX)
            .clamp(1, UNREAD_WAIT_MAX_SECONDS),
    )
}

/// Reason why an event is given up, as in the invocation record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GivenUp {
    RetriesExhausted,
    EventAgeExceeded,
    ZeroReservedConcurrency,
    /// The event is in a recursive loop.
    RecursiveInvocation,
}

impl Limits {
    /// Limits that are in force now. Each version and alias has its own settings.
    pub(super) fn of(function: &Function, qualifier: Option<&Qualifier>) -> Self {
        let chosen = function
            .event_invokes
            .get(qualifier.unwrap_or(&Qualifier::Latest));
        Self {
            retries_max: chosen
                .and_then(|it| it.retry_attempts_max)
                .unwrap_or(RETRIES_DEFAULT),
            age_max: chosen
                .and_then(|it| it.event_age_max)
                .unwrap_or(AGE_DEFAULT),
        }
    }

    /// Wait after the function error of this attempt, counted from 1.
    pub(super) fn after_error(self, attempts: u32, age: Duration) -> Result<Duration, GivenUp> {
        if attempts > self.retries_max {
            return Err(GivenUp::RetriesExhausted);
        }
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = WAITS[index.min(WAITS.len() - 1)];
        self.before(age + wait)?;
        Ok(wait)
    }

    /// Refuses an attempt at this age.
    pub(super) fn before(self, age: Duration) -> Result<(), GivenUp> {
        if age > self.age_max {
            Err(GivenUp::EventAgeExceeded)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn function_errors_are_retried_after_one_and_two_minutes() {
        let limits = |retries_max| Limits {
            retries_max,
            age_max: AGE_DEFAULT,
        };
        let exhausted = Err(GivenUp::RetriesExhausted);
        for (retries_max, attempts, expected) in [
            (2, 1, Ok(MINUTE)),
            (2, 2, Ok(2 * MINUTE)),
            (2, 3, exhausted),
            (1, 1, Ok(MINUTE)),
            (1, 2, exhausted),
            (0, 1, exhausted),
        ] {
            let found = limits(retries_max).after_error(attempts, Duration::ZERO);
            assert_eq!(found, expected, "{retries_max} {attempts}");
        }
    }

    #[test]
    fn unread_event_waits_one_second_to_five_minutes() {
        for (refusals, seconds) in [(1, 1), (2, 2), (9, 256), (10, 300), (64, 300), (65, 300)] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(after_unread(refusals), expected, "{refusals}");
        }
    }

    #[test]
    fn age_is_checked_before_the_wait() {
        let limits = Limits {
            retries_max: 2,
            age_max: 3 * MINUTE,
        };
        let exceeded = Err(GivenUp::EventAgeExceeded);
        assert_eq!(limits.after_error(1, Duration::ZERO), Ok(MINUTE));
        assert_eq!(limits.after_error(2, MINUTE), Ok(2 * MINUTE));
        assert_eq!(
            limits.after_error(2, MINUTE + Duration::from_secs(1)),
            exceeded
        );
        assert_eq!(
            limits.after_error(1, 2 * MINUTE + Duration::from_secs(1)),
            exceeded
        );
        assert_eq!(limits.before(3 * MINUTE), Ok(()));
    }
}
