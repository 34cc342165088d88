//! Deadlines of calls, checked by the engine's epoch callback, and the ticks that trigger it for
//! all guests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak, Store, UpdateDeadline};

use super::engine_kind::EngineKind;
use super::guest::Guest;
use super::scheduler::{MOVED_MIN, TICK, thread_nanos, yield_now};
use crate::clock::Clock;

/// Error of a guest past its deadline.
#[derive(Debug, thiserror::Error)]
#[error("deadline exceeded")]
pub(super) struct TimeUp;

/// Deadline of a call; it can be moved while the guest runs.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    start: Instant,
    call: Arc<Call>,
    clock: Clock,
}

/// Current call, in nanoseconds since the environment's start.
#[derive(Debug, Default)]
struct Call {
    begins: AtomicU64,
    ends: AtomicU64,
    /// CPU time of the call's thread at its last tick; zero before the first.
    seen: AtomicU64,
}

impl Call {
    /// True if the call used the CPU since the last tick. Wall time alone would misjudge a call
    /// whose thread waited for a CPU, as all do under full load. The first tick, or the first on
    /// another thread, decides nothing.
    fn has_run(&self, thread_nanos: u64) -> bool {
        let seen = self.seen.swap(thread_nanos, Ordering::Relaxed);
        let used = thread_nanos.checked_sub(seen);
        seen != 0 && used.is_some_and(|used| used >= nanos(MOVED_MIN))
    }
}

impl Deadline {
    pub(super) fn after(clock: &Clock, time: Duration) -> Self {
        let deadline = Self {
            start: clock.instant(),
            call: Arc::default(),
            clock: clock.clone(),
        };
        deadline.restart(time);
        deadline
    }

    /// Starts another call, with a deadline `time` from now.
    pub(super) fn restart(&self, time: Duration) {
        let now = self.now();
        self.call.begins.store(now, Ordering::Relaxed);
        let ends = now.saturating_add(nanos(time));
        self.call.ends.store(ends, Ordering::Relaxed);
        self.call.seen.store(0, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        nanos(self.clock.instant().saturating_duration_since(self.start))
    }

    /// Makes the store's guest yield at ticks and stop at its deadline.
    pub(super) fn watch(&self, store: &mut Store<Guest>) {
        let deadline = self.clone();
        let moved_min = nanos(MOVED_MIN);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            store.data().limits.note_stack();
            let now = deadline.now();
            if now >= deadline.call.ends.load(Ordering::Relaxed) {
                return Err(TimeUp.into());
            }
            // The store may also see ticks from before the call.
            let taken = now.saturating_sub(deadline.call.begins.load(Ordering::Relaxed));
            if taken < moved_min || !deadline.call.has_run(thread_nanos()) {
                return Ok(UpdateDeadline::Continue(1));
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(yield_now())))
        });
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Ticks while one of the engines lives. A plain thread, because a task could be starved by the
/// guests that it has to interrupt.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock's thread does nothing but sleep"
)]
pub(super) fn tick(
    engines: [&Engine; EngineKind::COUNT],
    ticks: Arc<AtomicU64>,
) -> std::io::Result<()> {
    let engines: [EngineWeak; EngineKind::COUNT] = engines.map(Engine::weak);
    let run = move || {
        loop {
            ticks.fetch_add(1, Ordering::Relaxed);
            let alive = engines.iter().filter_map(EngineWeak::upgrade);
            if alive.map(|engine| engine.increment_epoch()).count() == 0 {
                return;
            }
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("lamina-epoch".into())
        .spawn(run)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_waiting_for_cpu_has_not_run() {
        let moved_min = nanos(MOVED_MIN);
        let call = Call::default();
        assert!(!call.has_run(7_000));
        assert!(!call.has_run(7_000 + moved_min - 1));
        assert!(call.has_run(7_000 + 2 * moved_min));
    }

    #[test]
    fn call_on_other_thread_is_measured_anew() {
        let moved_min = nanos(MOVED_MIN);
        let call = Call::default();
        assert!(!call.has_run(10 * moved_min));
        assert!(!call.has_run(moved_min));
        assert!(call.has_run(2 * moved_min));
    }
}
