//! Deadlines of calls, read by the engine's interruption callback while a guest runs; and the ticks that
//! interrupt, for all guests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak, Store, UpdateDeadline};

use super::guest::Guest;
use super::scheduler::{MOVED_MIN, TICK, thread_nanos, yield_now};
use crate::clock::Clock;

/// Error that ends a guest at its deadline.
#[derive(Debug, thiserror::Error)]
#[error("the time is up")]
pub(super) struct TimeUp;

/// The deadline of a call, which can be moved while the guest runs.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    start: Instant,
    call: Arc<Call>,
    clock: Clock,
}

/// The call that runs now, in nanoseconds since the environment's start.
#[derive(Debug, Default)]
struct Call {
    begins: AtomicU64,
    ends: AtomicU64,
    /// Processor time of its thread at the last tick that it ran into; zero before the first.
    seen: AtomicU64,
}

impl Call {
    /// Whether it has used the processor since the last tick. The wall clock alone would take a call for a long
    /// one whose thread waited for a processor, as all do under full load. The first tick tells nothing, nor
    /// does the first on another thread.
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

    /// Begins another call, with a deadline `time` from now.
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

    /// Makes the guest of this store give way at ticks, and stop at its deadline.
    pub(super) fn watch(&self, store: &mut Store<Guest>) {
        let deadline = self.clone();
        let moved_min = nanos(MOVED_MIN);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            let now = deadline.now();
            if now >= deadline.call.ends.load(Ordering::Relaxed) {
                return Err(TimeUp.into());
            }
            // Ticks that passed before the call count for its store, too.
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

/// Ticks for as long as one of the engines lives. A plain thread: were it a task, a guest that holds
/// every worker would stop the very clock that is to interrupt it.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock's thread does nothing but sleep"
)]
pub(super) fn tick(engines: [&Engine; 2], ticks: Arc<AtomicU64>) -> std::io::Result<()> {
    let engines: [EngineWeak; 2] = engines.map(Engine::weak);
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
    fn call_whose_thread_waited_for_a_processor_has_not_run() {
        let moved_min = nanos(MOVED_MIN);
        let call = Call::default();
        assert!(!call.has_run(7_000));
        assert!(!call.has_run(7_000 + moved_min - 1));
        assert!(call.has_run(7_000 + 2 * moved_min));
    }

    #[test]
    fn call_on_another_thread_is_measured_from_there() {
        let moved_min = nanos(MOVED_MIN);
        let call = Call::default();
        assert!(!call.has_run(10 * moved_min));
        assert!(!call.has_run(moved_min));
        assert!(call.has_run(2 * moved_min));
    }
}
