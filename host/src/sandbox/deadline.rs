//! Deadlines of calls, read by the engine's interruption callback while a guest runs; and the ticks that
//! interrupt, for all guests at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak, Store, UpdateDeadline};

use super::guest::Guest;
use super::scheduler::{MOVED_MIN, TICK, give_way};
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
            // Also at the first look of a call that ticks have passed since the last one of.
            if now.saturating_sub(deadline.call.begins.load(Ordering::Relaxed)) < moved_min {
                return Ok(UpdateDeadline::Continue(1));
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(give_way())))
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
