//! Threads of one access point. They are no threads of the runtime: a mount that never answers would use up the
//! runtime's blocking threads, which records and packages need, and would keep the host from ending.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Operations of one access point at once. Further ones wait, as long as their invocations may take.
const THREADS_MAX: usize = 16;
/// Time after which an idle thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Work of one thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads, started when needed.
#[derive(Default)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    // A std mutex: the queue is pushed and popped, and nothing awaits inside.
    state: Mutex<State>,
    pushed: Condvar,
}

/// Each environment waits for one operation, so that the queue is as long as there are environments at most.
#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Workers {
    /// Runs work that nobody waits for.
    pub(super) fn post(&self, job: Job) {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() || state.threads >= THREADS_MAX {
            self.0.pushed.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("file-system".into());
        if let Err(error) = thread.spawn(move || shared.work()) {
            tracing::error!(%error, "a thread of a file system could not be started");
            let mut state = self.0.lock();
            state.threads -= 1;
            if state.threads == 0 {
                // Nobody would run them; their callers see that they are dropped.
                state.jobs.clear();
            }
        }
    }

    /// Starts work. It is skipped if the receiver is dropped before a thread gets to it.
    pub(super) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        self.post(Box::new(move || {
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        }));
        receiver
    }

    /// Result of work; `None` if it panicked or no thread could be started.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.start(work).await.ok()
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("an operation on a file system panicked");
            }
        }
    }

    /// The next job; `None` ends the thread.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let waited = self.pushed.wait_timeout(state, IDLE_TIMEOUT);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_of_dropped_caller_is_skipped() {
        let workers = Workers::default();
        let (release, stalled) = mpsc::channel::<()>();
        let stalled = Arc::new(Mutex::new(stalled));
        for _ in 0..THREADS_MAX {
            let stalled = Arc::clone(&stalled);
            workers.post(Box::new(move || stalled.lock().unwrap().recv().unwrap()));
        }
        let (ran, runs) = mpsc::channel();
        let second = ran.clone();
        drop(workers.start(move || ran.send("dropped")));
        let waiting = workers.start(move || second.send("waited for"));
        (0..THREADS_MAX).for_each(|_| release.send(()).unwrap());
        waiting.await.unwrap().unwrap();
        assert_eq!(runs.try_iter().collect::<Vec<_>>(), ["waited for"]);
    }

    #[tokio::test]
    async fn panic_ends_no_thread() {
        let workers = Workers::default();
        for _ in 0..2 * THREADS_MAX {
            assert_eq!(workers.run(|| panic!("of a test")).await, None::<()>);
        }
        assert_eq!(workers.run(|| 7).await, Some(7));
    }
}
