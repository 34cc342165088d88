//! Problems of a mapping's source, logged as warnings once: receivers of one queue or stream fail alike, and again and again.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// The last problem of a mapping; none after a success.
#[derive(Debug, Default)]
pub(super) struct Problems(Mutex<Option<String>>);

impl Problems {
    /// Logs a problem: as a warning if it is not the last one, else for debugging.
    pub(super) fn log(&self, source: &str, problem: &dyn Display, text: &'static str) {
        if self.is_new(problem) {
            tracing::warn!(error = %problem, source, "{text}");
        } else {
            tracing::debug!(error = %problem, source, "{text}");
        }
    }

    /// Notes that the source answers: its next problem is a new one.
    pub(super) fn clear(&self) {
        *self.last() = None;
    }

    fn is_new(&self, problem: &dyn Display) -> bool {
        let problem = problem.to_string();
        let mut last = self.last();
        let is_new = last.as_ref() != Some(&problem);
        *last = Some(problem);
        is_new
    }

    // std mutex: the sections compare texts, without await.
    fn last(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_new_until_it_changes_or_the_source_answers() {
        let problems = Problems::default();
        let new = |text: &str| problems.is_new(&text);
        assert_eq!(
            [
                new("down"),
                new("down"),
                new("refused"),
                new("refused"),
                new("down")
            ],
            [true, false, true, false, true]
        );
        problems.clear();
        assert_eq!([new("down"), new("down")], [true, false]);
    }
}
