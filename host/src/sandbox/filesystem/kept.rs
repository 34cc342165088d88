//! Directories that an environment left as it found them, kept open for the next one of its program: a bounded
//! number for the whole host, of which those go first that no environment has taken for the longest time.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Opened;
use crate::clock::Clock;

/// Sets that are kept for each 64 descriptors that the process may open. A set has three at most.
const DESCRIPTORS_OF_A_SET: u64 = 64;
const SETS_MIN: u64 = 8;
/// Concurrent environments of the default configuration.
const SETS_MAX: u64 = 1_024;

/// Tells programs apart.
pub(super) type ProgramId = u64;
/// Grows with each set that is kept: the least is the oldest.
type Age = u64;

/// The kept directories of a host.
pub(in crate::sandbox) struct Kept {
    sets_max: usize,
    clock: Clock,
    // A std mutex: a few look-ups in maps of a bounded size, and nothing awaits inside. Directories are closed
    // and deleted outside.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: Age,
    sets: BTreeMap<Age, Set>,
    /// Sets of each program, the newest last.
    of_programs: HashMap<ProgramId, Vec<Age>>,
}

struct Set {
    program: ProgramId,
    since: Instant,
    opened: Opened,
}

impl Kept {
    pub(in crate::sandbox) fn new(sets_max: usize, clock: Clock) -> Self {
        Self {
            sets_max,
            clock,
            state: Mutex::default(),
        }
    }

    /// A bound that suits what this process may open.
    pub(in crate::sandbox) fn of_this_process(clock: Clock) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let open_max = limit.current.unwrap_or(u64::MAX);
        let sets = (open_max / DESCRIPTORS_OF_A_SET).clamp(SETS_MIN, SETS_MAX);
        Self::new(usize::try_from(sets).unwrap_or(usize::MAX), clock)
    }

    /// The set that a program left last.
    pub(super) fn take(&self, program: ProgramId) -> Option<Opened> {
        let mut state = self.lock();
        let age = *state.of_programs.get(&program)?.last()?;
        state.remove(age)
    }

    /// Keeps a set; the oldest of all makes way.
    pub(super) fn keep(&self, program: ProgramId, opened: Opened) {
        let since = self.clock.instant();
        let mut state = self.lock();
        let age = state.next;
        state.next += 1;
        let set = Set {
            program,
            since,
            opened,
        };
        state.sets.insert(age, set);
        state.of_programs.entry(program).or_default().push(age);
        let oldest = state.sets.first_key_value().map(|(age, _)| *age);
        let is_full = state.sets.len() > self.sets_max;
        let surplus = oldest.filter(|_| is_full).and_then(|age| state.remove(age));
        drop(state);
        surplus.iter().for_each(Opened::delete);
    }

    /// Closes and deletes those that were not taken for `age`.
    pub(in crate::sandbox) fn close_idle(&self, age: Duration) {
        let now = self.clock.instant();
        let mut idle = Vec::new();
        let mut state = self.lock();
        while let Some((oldest, set)) = state.sets.first_key_value() {
            if now.saturating_duration_since(set.since) < age {
                break;
            }
            let oldest = *oldest;
            idle.extend(state.remove(oldest));
        }
        drop(state);
        idle.iter().for_each(Opened::delete);
    }

    /// Closes and deletes those of a program that is gone.
    pub(super) fn forget(&self, program: ProgramId) {
        let mut state = self.lock();
        let ages = state.of_programs.get(&program).cloned().unwrap_or_default();
        let sets: Vec<_> = ages
            .into_iter()
            .filter_map(|age| state.remove(age))
            .collect();
        drop(state);
        sets.iter().for_each(Opened::delete);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, age: Age) -> Option<Opened> {
        let Set {
            program, opened, ..
        } = self.sets.remove(&age)?;
        if let Some(ages) = self.of_programs.get_mut(&program) {
            // The newest of a program or its oldest: at an end, and the rest is short.
            ages.retain(|it| *it != age);
            if ages.is_empty() {
                self.of_programs.remove(&program);
            }
        }
        Some(opened)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("sets_max", &self.sets_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(dir: &tempfile::TempDir, name: &str) -> Opened {
        let tmp = dir.path().join(name);
        std::fs::create_dir(&tmp).unwrap();
        Opened {
            files: Default::default(),
            tmp,
        }
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    #[test]
    fn oldest_directory_set_of_all_programs_is_evicted() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(3, Clock::system());
        for (program, name) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
            kept.keep(program, opened(&dir, name));
        }
        assert_eq!(names(&dir), ["b", "c", "d"]);
        let taken = kept.take(1).unwrap();
        assert!(taken.tmp.ends_with("c") && kept.take(1).is_none());
        kept.keep(1, taken);
        kept.keep(3, opened(&dir, "e"));
        assert_eq!(
            names(&dir),
            ["c", "d", "e"],
            "b was not taken for the longest time"
        );
        kept.forget(3);
        assert_eq!(names(&dir), ["c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sets_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let clock = crate::clock::Simulated::clock(1);
        let kept = Kept::new(3, clock.clone());
        kept.keep(1, opened(&dir, "a"));
        clock.sleep(Duration::from_secs(9)).await;
        kept.keep(1, opened(&dir, "b"));
        clock.sleep(Duration::from_secs(1)).await;
        kept.close_idle(Duration::from_secs(10));
        assert_eq!(names(&dir), ["b"]);
        assert!(kept.take(1).is_some() && kept.take(1).is_none());
    }
}
