//! Retries of a batch of a stream: bisection, limits of attempts and age, and reported failures. Pure.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::buffer::Numbered;
use crate::clock::Timestamp;
use crate::event_source::batch::Outcome;

/// Pauses between attempts.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// Limits of a mapping. `None` is none: records are tried until they expire in the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// `MaximumRetryAttempts`.
    pub(super) retries_max: Option<u32>,
    /// `MaximumRecordAgeInSeconds`.
    pub(super) age_max: Option<Duration>,
    /// `BisectBatchOnFunctionError`.
    pub(super) bisects: bool,
}

/// A batch, in the parts that are still to be done.
#[derive(Debug)]
pub(super) struct Work {
    parts: VecDeque<Part>,
    limits: Limits,
    /// Last pause.
    pause: Option<Duration>,
}

#[derive(Debug)]
struct Part {
    records: Numbered,
    /// Invocations that failed. Bisection does not count.
    attempts: u32,
    /// All invocations.
    invocations: u32,
}

/// Condition in the record for the on-failure destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

/// Records that are given up.
#[derive(Debug)]
pub(super) struct Discarded {
    pub(super) records: Numbered,
    pub(super) condition: Condition,
    /// Invocations with them.
    pub(super) invocations: u32,
}

/// Consequences of an invocation.
#[derive(Debug, Default)]
pub(super) struct After {
    pub(super) done: Numbered,
    pub(super) discarded: Option<Discarded>,
    /// Pause before the next invocation.
    pub(super) pause: Option<Duration>,
}

impl Condition {
    /// Name in the record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

impl Work {
    pub(super) fn new(records: Numbered, limits: Limits) -> Self {
        let part = Part {
            records,
            attempts: 0,
            invocations: 0,
        };
        Self {
            parts: VecDeque::from([part]),
            limits,
            pause: None,
        }
    }

    /// Records of the next invocation.
    pub(super) fn front(&self) -> Option<&Numbered> {
        self.parts.front().map(|part| &part.records)
    }

    /// Takes records out that are too old by now.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<Discarded> {
        let age_max = self.limits.age_max?;
        let part = self.parts.front_mut()?;
        let old = |at: Timestamp| at.after(age_max) < now;
        let count = part.records.iter().take_while(|(_, it)| old(it.arrived));
        let count = count.count();
        if count == 0 {
            return None;
        }
        let discarded = Discarded {
            records: part.records.drain(..count).collect(),
            condition: Condition::RecordAgeExceeded,
            invocations: part.invocations,
        };
        if part.records.is_empty() {
            self.parts.pop_front();
        }
        Some(discarded)
    }

    /// Notes the outcome of the invocation with the records in front.
    pub(super) fn after(&mut self, outcome: &Outcome) -> After {
        let Some(mut part) = self.parts.pop_front() else {
            return After::default();
        };
        match outcome {
            Outcome::Refused => {
                self.parts.push_front(part);
                After {
                    pause: Some(self.next_pause()),
                    ..After::default()
                }
            }
            Outcome::Done { failed } => {
                let left = part.records.split_off(part.succeeded(failed));
                let done = std::mem::replace(&mut part.records, left);
                if !done.is_empty() {
                    self.pause = None;
                }
                if part.records.is_empty() {
                    return After {
                        done,
                        ..After::default()
                    };
                }
                After {
                    done,
                    ..self.failed(part)
                }
            }
            Outcome::Failed => self.failed(part),
        }
    }

    fn failed(&mut self, mut part: Part) -> After {
        part.invocations += 1;
        if self.limits.bisects && part.records.len() > 1 {
            let second = part.records.split_off(part.records.len() / 2);
            let (attempts, invocations) = (part.attempts, part.invocations);
            self.parts.push_front(Part {
                records: second,
                attempts,
                invocations,
            });
            self.parts.push_front(part);
            return After::default();
        }
        part.attempts += 1;
        if self.limits.retries_max.is_some_and(|it| part.attempts > it) {
            self.pause = None;
            return After {
                discarded: Some(Discarded {
                    records: part.records,
                    condition: Condition::RetryAttemptsExhausted,
                    invocations: part.invocations,
                }),
                ..After::default()
            };
        }
        self.parts.push_front(part);
        After {
            pause: Some(self.next_pause()),
            ..After::default()
        }
    }

    fn next_pause(&mut self) -> Duration {
        let next = self.pause.map_or(PAUSE_FIRST, |it| PAUSE_LAST.min(it * 2));
        self.pause = Some(next);
        next
    }
}

impl Part {
    /// Number of records before the first that failed: order is kept, so those after it are tried again too.
    fn succeeded(&self, failed: &HashSet<String>) -> usize {
        let is_failed = |(_, it): &(u64, super::record::Record)| failed.contains(&*it.sequence);
        let first = self.records.iter().position(is_failed);
        first.unwrap_or(self.records.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::buffer::tests::record;
    use super::*;

    fn batch(count: u64) -> Numbered {
        (0..count).map(|number| (number, record(number))).collect()
    }

    fn numbers(records: &Numbered) -> Vec<u64> {
        records.iter().map(|(number, _)| *number).collect()
    }

    fn done(failed: &[&str]) -> Outcome {
        let failed = failed.iter().map(|it| (*it).to_owned()).collect();
        Outcome::Done { failed }
    }

    /// Runs a batch to its end with a function that fails for some records; returns the invocations, the records done
    /// and those discarded.
    fn run(limits: Limits, count: u64, bad: &[u64]) -> (Vec<Vec<u64>>, Vec<u64>, Vec<Vec<u64>>) {
        let mut work = Work::new(batch(count), limits);
        let (mut invocations, mut finished, mut discarded) = (vec![], vec![], vec![]);
        while let Some(front) = work.front() {
            let front = numbers(front);
            let outcome = match front.iter().any(|it| bad.contains(it)) {
                true => Outcome::Failed,
                false => done(&[]),
            };
            invocations.push(front);
            let after = work.after(&outcome);
            finished.extend(numbers(&after.done));
            discarded.extend(after.discarded.map(|it| numbers(&it.records)));
            assert!(invocations.len() < 100);
        }
        (invocations, finished, discarded)
    }

    #[test]
    fn batch_is_given_up_after_its_retries() {
        let limits = Limits {
            retries_max: Some(2),
            ..Limits::default()
        };
        let (invocations, finished, discarded) = run(limits, 3, &[1]);
        assert_eq!(invocations, vec![vec![0, 1, 2]; 3]);
        assert_eq!((finished, discarded), (vec![], vec![vec![0, 1, 2]]));
        let (invocations, finished, _) = run(limits, 3, &[]);
        assert_eq!((invocations.len(), finished), (1, vec![0, 1, 2]));
    }

    #[test]
    fn bisection_finds_the_record_that_fails_and_keeps_the_order() {
        let limits = Limits {
            retries_max: Some(1),
            bisects: true,
            ..Limits::default()
        };
        let (invocations, finished, discarded) = run(limits, 4, &[2]);
        let expected: [&[u64]; 6] = [&[0, 1, 2, 3], &[0, 1], &[2, 3], &[2], &[2], &[3]];
        assert_eq!(invocations, expected);
        assert_eq!((finished, discarded), (vec![0, 1, 3], vec![vec![2]]));
    }

    #[test]
    fn reported_failure_is_tried_again_with_all_that_follow_it() {
        let limits = Limits {
            retries_max: Some(5),
            ..Limits::default()
        };
        let mut work = Work::new(batch(4), limits);
        let after = work.after(&done(&["3", "1"]));
        assert_eq!(numbers(&after.done), [0]);
        assert!(after.pause.is_some());
        assert_eq!(numbers(work.front().unwrap()), [1, 2, 3]);
        let after = work.after(&done(&[]));
        assert_eq!(numbers(&after.done), [1, 2, 3]);
        assert!(work.front().is_none());
    }

    #[test]
    fn throttles_are_no_attempts_and_pauses_double() {
        let limits = Limits {
            retries_max: Some(0),
            ..Limits::default()
        };
        let mut work = Work::new(batch(1), limits);
        let pauses = (0..8).map(|_| work.after(&Outcome::Refused).pause.unwrap().as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        let discarded = work.after(&Outcome::Failed).discarded.unwrap();
        assert_eq!(discarded.invocations, 1);
        assert_eq!(discarded.condition, Condition::RetryAttemptsExhausted);
    }

    #[test]
    fn records_that_are_too_old_are_given_up() {
        let limits = Limits {
            age_max: Some(Duration::from_secs(60)),
            ..Limits::default()
        };
        // They arrive a second after one another.
        let mut work = Work::new(batch(3), limits);
        assert!(work.expire(Timestamp::from_millis(60_000)).is_none());
        let old = work.expire(Timestamp::from_millis(61_500)).unwrap();
        assert_eq!(numbers(&old.records), [0, 1]);
        assert_eq!(old.condition, Condition::RecordAgeExceeded);
        assert_eq!(numbers(work.front().unwrap()), [2]);
        assert!(work.expire(Timestamp::from_millis(100_000)).is_some());
        assert!(work.front().is_none());
    }
}
