//! The threads that run guests which have left the network's workers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_task::Runnable;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::queue::{Id, Queue};
use super::{MOVED_MIN, Share, TICK, thread_nanos};

/// Priority of these threads below the network's (`nice`). Under full load the
/// network gets nine times as much; less for guests would make those starve that are only slow, and
/// leave them waiting with locks that others need.
const NICE: i32 = 10;

/// Lowers the priority of the calling thread below the network's.
pub fn lower_priority() {
    if let Err(error) = setpriority_process(Some(gettid()), NICE) {
        tracing::warn!(%error, "the priority of a thread could not be lowered");
    }
}

/// A guest's work between two waits, and whose it is.
struct Task {
    runnable: Runnable,
    share: Share,
}

/// State that the threads share.
pub(super) struct Threads {
    // A std mutex: held for a look at the queue between two turns, and nothing awaits inside.
    ready: Mutex<Ready>,
    pushed: Condvar,
    ids: AtomicU64,
}

struct Ready {
    queue: Queue<Task>,
    is_stopped: bool,
}

impl Threads {
    pub(super) fn start() -> std::io::Result<Arc<Self>> {
        let threads = Arc::new(Self {
            ready: Mutex::new(Ready {
                queue: Queue::new(),
                is_stopped: false,
            }),
            pushed: Condvar::new(),
            ids: AtomicU64::new(0),
        });
        let count = thread::available_parallelism().map_or(1, usize::from);
        for number in 0..count {
            let of_thread = Arc::clone(&threads);
            let started = thread::Builder::new()
                .name(format!("lamina-guest-{number}"))
                .spawn(move || of_thread.serve());
            if let Err(error) = started {
                threads.stop();
                return Err(error);
            }
        }
        Ok(threads)
    }

    /// Stops the threads after their current turns. Unfinished work never completes.
    pub(super) fn stop(&self) {
        let mut ready = self.lock();
        ready.is_stopped = true;
        let waiting = ready.queue.clear();
        drop(ready);
        self.pushed.notify_all();
        // Without the lock: futures are dropped with them, and may push others.
        drop(waiting);
    }

    pub(super) fn next_id(&self) -> Id {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn push(&self, share: &Share, runnable: Runnable) {
        let mut ready = self.lock();
        if ready.is_stopped {
            drop(ready);
            return drop(runnable);
        }
        let task = Task {
            runnable,
            share: share.clone(),
        };
        ready.queue.push(share.0.id, share.weight(), task);
        drop(ready);
        self.pushed.notify_one();
    }

    fn serve(&self) {
        lower_priority();
        let (tick, moved_min) = (nanos(TICK), nanos(MOVED_MIN));
        let mut ready = self.lock();
        loop {
            if ready.is_stopped {
                return;
            }
            let Some((task, charge)) = ready.queue.next(tick) else {
                ready = self
                    .pushed
                    .wait(ready)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(ready);
            let Task { runnable, share } = task;
            let before = thread_nanos();
            // Its panics go to the task that awaits it.
            runnable.run();
            // Not the wall clock's time: a short call that waits for a processor would be kept apart for ever.
            let taken = thread_nanos().saturating_sub(before);
            if taken >= moved_min {
                share.keep_apart();
            }
            drop(share);
            ready = self.lock();
            ready.queue.ended(charge, taken);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
