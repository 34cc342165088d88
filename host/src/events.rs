//! Asynchronous invocation: events are stored before they are acknowledged, and run later through the pipeline of
//! synchronous invocations. An acknowledged event ends completed, dropped by a rule of AWS's, or is still queued.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Timestamp;
use crate::invoke::Invoker;
use crate::invoke::resolve::Resolved;
use crate::outbound::aws::Aws;
use crate::payload::{Event, trace};
use crate::store;
use crate::store::object::Objects;
use crate::store::queue::{Change, Lane, NewItem, Queue, Wake};
use crate::telemetry::metrics::Metrics;

mod attempt;
mod delivery;
mod destination;
mod dispatch;
mod head;
mod inspect;
mod lane;
mod lanes;
mod redrive;
mod retry;
mod step;
#[cfg(test)]
mod tests;
mod timeline;

pub use delivery::{FailedBatch, Undelivered};
use head::Head;
use lanes::Lanes;
pub use timeline::Timeline;

/// Large payloads read and parsed at once.
const LARGE_MAX: usize = 8;

/// Queued events and their dispatcher; cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Arc<dyn Queue>,
    invoker: Invoker,
    aws: Aws,
    objects: Objects,
    metrics: Metrics,
    timeline: Timeline,
    // std mutex: no await inside.
    lanes: Mutex<Lanes>,
    /// Wakes the dispatcher.
    changed: Notify,
    /// Turns to read and parse large payloads.
    large: Semaphore,
    stop: CancellationToken,
    /// The dispatcher, and events in work.
    tasks: TaskTracker,
}

/// An event that could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event could not be stored.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Events {
    /// Events of this queue, at most `concurrency` of them in work at once; records go to services of AWS and S3.
    pub fn new(
        queue: Arc<dyn Queue>,
        invoker: Invoker,
        (aws, objects): (Aws, Objects),
        metrics: Metrics,
        concurrency: u32,
        timeline: Timeline,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue,
            invoker,
            aws,
            objects,
            metrics,
            timeline,
            lanes: Mutex::new(Lanes::new(concurrency)),
            changed: Notify::new(),
            large: Semaphore::new(LARGE_MAX),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let weak = Arc::downgrade(&shared);
        shared.queue.on_change(Arc::new(Waker(weak)));
        Self(shared)
    }

    /// Stores an event for a resolved target. It runs on the code that is current when its turn comes.
    ///
    /// # Errors
    /// If it could not be stored; nothing runs then.
    pub async fn accept(&self, resolved: Resolved) -> Result<(), Error> {
        let mut invoke = resolved.into_invoke();
        let now = self.0.timeline.now();
        // Every event is part of a trace, by which loops are found.
        let clock = self.0.timeline.clock();
        let new = || trace::new(clock, clock.now());
        invoke.trace_id = Some(invoke.trace_id.take().unwrap_or_else(new));
        let body = match std::mem::take(&mut invoke.event) {
            Event::Json(document) => document.into(),
            Event::Http(http) => http
                .event(invoke.target.name.as_str(), &invoke.request_id)
                .into(),
        };
        let new = NewItem {
            lane: lane::invoke(&invoke.target),
            due: now,
            head: Head::new(&invoke, now).encode(),
            body,
        };
        self.0.queue.change(vec![Change::Add(new)]).await?;
        let name = invoke.target.name.as_str();
        self.0.metrics.asynchronous(name).received.add(1);
        Ok(())
    }

    /// Queues the record of a batch of an event source for its destination.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn deliver(&self, batch: FailedBatch) -> Result<(), Error> {
        let new = batch.queued(self.0.timeline.now());
        Ok(self.0.queue.change(vec![Change::Add(new)]).await?)
    }

    /// Queues the event of a schedule for its dead-letter queue.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn deliver_letter(&self, letter: Undelivered) -> Result<(), Error> {
        let new = letter.queued(self.0.timeline.now());
        Ok(self.0.queue.change(vec![Change::Add(new)]).await?)
    }

    /// Runs events until [`stop`](Self::stop). One task of the host's.
    pub async fn run(&self) {
        let _running = self.0.tasks.token();
        self.0.wake_all();
        tokio::join!(dispatch::run(Arc::clone(&self.0)), self.0.sweep());
    }

    /// Lets no more events begin. They can still be accepted, and run after the next start.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Waits for [`stop`](Self::stop), and for the ends of events in work, at most for this time.
    pub async fn stopped(&self, time_max: Duration) {
        self.0.stop.cancelled().await;
        self.0.tasks.close();
        let clock = self.0.timeline.clock();
        if clock.timeout(time_max, self.0.tasks.wait()).await.is_none() {
            let count = self.in_flight();
            tracing::warn!(
                count,
                "events were still in work when the time to finish them was up; they run again"
            );
        }
    }

    /// Number of queued events by function, those in work included.
    pub fn depths(&self) -> Vec<(String, u64)> {
        let mut depths = std::collections::BTreeMap::<String, u64>::new();
        for (lane, depth) in self.0.queue.depths() {
            if let Some(lane::Purpose::Invoke(target)) = lane::Purpose::of(&lane) {
                *depths.entry(target.name.as_str().to_owned()).or_default() += depth;
            }
        }
        depths.into_iter().collect()
    }

    /// Number of events in work.
    pub fn in_flight(&self) -> u32 {
        self.0.lanes().in_flight()
    }
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what a crash left in the store, beside the work.
    async fn sweep(&self) {
        tokio::select! {
            swept = self.queue.sweep() => {
                if let Err(error) = swept {
                    tracing::warn!(%error, "files of events that have ended could not be deleted");
                }
            }
            () = self.stop.cancelled() => {}
        }
    }

    /// Makes all lanes of the store known.
    fn wake_all(&self) {
        let now = self.timeline.now();
        let all = self.queue.depths();
        let due: Vec<_> = all.into_iter().map(|(lane, _)| (lane, now)).collect();
        self.wake(&due);
    }

    fn wake(&self, due: &[(Lane, Timestamp)]) {
        let now = self.timeline.now();
        let mut lanes = self.lanes();
        for (lane, due) in due {
            lanes.wake(lane, *due, now);
        }
        drop(lanes);
        self.changed.notify_one();
    }
}

/// Receiver of due times. The queue outlives the dispatcher.
#[derive(Debug)]
struct Waker(std::sync::Weak<Shared>);

impl Wake for Waker {
    fn wake(&self, lanes: &[(Lane, Timestamp)]) {
        if let Some(shared) = self.0.upgrade() {
            shared.wake(lanes);
        }
    }
}
