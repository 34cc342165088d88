//! When a call must have ended. Shared with the engine's interruption callback, which reads it while
//! the guest runs; and the clock that interrupts, which ticks for all guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak, Store, UpdateDeadline};

use super::guest::Guest;
use crate::clock::Clock;

/// How often running guests are interrupted: to look at their deadline, and to let others run. It
/// bounds how long one guest can hold a worker thread.
const TICK: Duration = Duration::from_millis(10);

/// What ends a guest whose time is up.
#[derive(Debug, thiserror::Error)]
#[error("the time is up")]
pub(super) struct TimeUp;

/// A moment that can be moved while a guest runs towards it.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    start: Instant,
    nanos: Arc<AtomicU64>,
    clock: Clock,
}

impl Deadline {
    pub(super) fn after(clock: &Clock, time: Duration) -> Self {
        let deadline = Self {
            start: clock.instant(),
            nanos: Arc::default(),
            clock: clock.clone(),
        };
        deadline.restart(time);
        deadline
    }

    /// Moves the deadline to `time` from now.
    pub(super) fn restart(&self, time: Duration) {
        let nanos = (self.clock.instant().saturating_duration_since(self.start) + time).as_nanos();
        self.nanos
            .store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn has_passed(&self) -> bool {
        let elapsed = self.clock.instant().saturating_duration_since(self.start);
        elapsed >= Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Makes the guest of this store yield at every tick, and stop when the time is up.
    pub(super) fn watch(&self, store: &mut Store<Guest>) {
        let deadline = self.clone();
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if deadline.has_passed() {
                return Err(TimeUp.into());
            }
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(tokio::task::yield_now()),
            ))
        });
    }
}

/// Ticks for as long as one of the engines lives. A plain thread: were it a task, a guest that holds every
/// worker would stop the very clock that is to interrupt it.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock's thread does nothing but sleep"
)]
pub(super) fn tick(engines: [&Engine; 2]) -> std::io::Result<()> {
    let engines: [EngineWeak; 2] = engines.map(Engine::weak);
    let run = move || {
        loop {
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
