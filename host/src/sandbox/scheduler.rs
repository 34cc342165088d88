//! Processor time of guests. A call starts on the worker that took it from the network, where it costs
//! no hop; a call that runs from one tick to the next leaves for threads of this module, which are below the
//! network's in priority and serve functions in turns. So a guest that spins holds up a worker for two ticks
//! at most, and other guests by one turn of each thread.
//!
//! A function whose calls have left starts its next ones here for a while: a caller that repeats calls of
//! nearly a tick would otherwise have the network's workers as if they were its own.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::context::TokioContext;

use crate::units::Mib;

mod poll_context;
mod processor_time;
mod queue;
mod threads;

pub use poll_context::leave_network;
#[cfg(test)]
pub(super) use poll_context::on_network;
pub(super) use poll_context::yield_now;
pub(super) use processor_time::thread_nanos;
use threads::Threads;
pub use threads::lower_priority;

/// Period at which running guests are interrupted: to look at their deadline, and to let others run. It is
/// the longest turn; twice it is the longest time for which a guest can hold up a worker of the network.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// Processor time between two ticks below which a call stays where it is: to move it would cost more than
/// it is likely to take.
pub(super) const MOVED_MIN: Duration = Duration::from_micros(500);
/// Ticks that a function's calls start here after one of them has left, or had a long turn.
const APART_TICKS: u64 = 200;

/// The threads that guests leave for, and the functions they serve.
pub struct Scheduler {
    threads: Arc<Threads>,
    ticks: Arc<AtomicU64>,
    // A std mutex: taken where a version of a function becomes known, never in a call.
    functions: Mutex<HashMap<String, Weak<Function>>>,
}

/// A function's claim on processor time; cheap to clone.
#[derive(Clone)]
pub struct Share(Arc<Function>);

struct Function {
    id: queue::Id,
    /// Its memory in MiB, as Lambda gives processor time.
    weight: AtomicU64,
    /// The tick until which its calls start apart.
    apart_until: AtomicU64,
    ticks: Arc<AtomicU64>,
    threads: Arc<Threads>,
}

/// Work of a function. It goes on to its end when it is dropped; nothing runs before the first poll.
#[must_use = "futures do nothing unless polled"]
pub struct Scheduled<T: Send + 'static> {
    state: State<T>,
    share: Share,
    /// True if it runs on without a caller.
    is_detached: bool,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum State<T> {
    Fresh(Work<T>),
    /// Polled by whatever polls this.
    Here(Work<T>),
    Apart(async_task::Task<T>),
    Over,
}

impl Scheduler {
    /// Starts the threads, one for each processor.
    pub(super) fn start() -> std::io::Result<Self> {
        Ok(Self {
            threads: Threads::start()?,
            ticks: Arc::default(),
            functions: Mutex::default(),
        })
    }

    /// Where ticks are to be counted.
    pub(super) fn ticks(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.ticks)
    }

    /// The share of a function. Its versions have it together, with the weight of the last.
    pub fn share(&self, function: &str, memory: Mib) -> Share {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = functions.get(function).and_then(Weak::upgrade) {
            share.weight.store(memory.get().into(), Ordering::Relaxed);
            return Share(share);
        }
        functions.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Function {
            id: self.threads.next_id(),
            weight: AtomicU64::new(memory.get().into()),
            apart_until: AtomicU64::new(0),
            ticks: Arc::clone(&self.ticks),
            threads: Arc::clone(&self.threads),
        });
        functions.insert(function.to_owned(), Arc::downgrade(&share));
        Share(share)
    }
}

impl Share {
    /// Work that starts where it is polled, unless its function has left lately.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Scheduled<T> {
        Scheduled {
            state: State::Fresh(Box::pin(work)),
            share: self.clone(),
            is_detached: false,
        }
    }

    fn starts_apart(&self) -> bool {
        // Zero for nearly all functions, which then read no other core's counter.
        let until = self.0.apart_until.load(Ordering::Relaxed);
        until != 0 && self.0.ticks.load(Ordering::Relaxed) < until
    }

    /// A call has left, or had a long turn: those after it start apart.
    fn keep_apart(&self) {
        let until = self.0.ticks.load(Ordering::Relaxed) + APART_TICKS;
        self.0.apart_until.store(until, Ordering::Relaxed);
    }

    fn weight(&self) -> u64 {
        self.0.weight.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> Scheduled<T> {
    /// Moves the work to the scheduler's threads. Its timers and its IO stay the runtime's.
    fn leave(&mut self, work: Work<T>) {
        let share = self.share.clone();
        let schedule = move |task| share.0.threads.push(&share, task);
        let work = TokioContext::new(work, Handle::current());
        let builder = async_task::Builder::new().propagate_panic(true);
        let (runnable, task) = builder.spawn(|()| work, schedule);
        self.state = State::Apart(task);
        runnable.schedule();
    }
}

impl<T: Send + 'static> Future for Scheduled<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        if let State::Fresh(_) = this.state {
            let State::Fresh(work) = std::mem::replace(&mut this.state, State::Over) else {
                unreachable!("it was looked at");
            };
            if this.share.starts_apart() {
                this.leave(work);
            } else {
                this.state = State::Here(work);
            }
        }
        if let State::Here(work) = &mut this.state {
            let (polled, leaves) = poll_context::on_network(|| work.as_mut().poll(cx));
            if polled.is_ready() {
                this.state = State::Over;
                return polled;
            }
            if !leaves {
                return Poll::Pending;
            }
            let State::Here(work) = std::mem::replace(&mut this.state, State::Over) else {
                unreachable!("it was polled");
            };
            this.share.keep_apart();
            this.leave(work);
        }
        let State::Apart(task) = &mut this.state else {
            panic!("a finished future is not polled again");
        };
        let done = std::task::ready!(Pin::new(task).poll(cx));
        this.state = State::Over;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for Scheduled<T> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            // It was never asked for.
            State::Fresh(_) | State::Over => {}
            State::Apart(task) => task.detach(),
            // The runtime is shutting down and drops its tasks, also newly spawned ones.
            State::Here(_) if self.is_detached => {}
            // Without a runtime the process is coming down, and the work with it.
            State::Here(work) => {
                if let Ok(runtime) = Handle::try_current() {
                    let rest = Self {
                        state: State::Here(work),
                        share: self.share.clone(),
                        is_detached: true,
                    };
                    runtime.spawn(async move { drop(rest.await) });
                }
            }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.threads.stop();
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("weight", &self.0.weight)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> fmt::Debug for Scheduled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
