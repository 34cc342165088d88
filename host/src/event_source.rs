//! Event source mappings: pollers take records from sources and invoke functions with batches of them, through the
//! pipeline of synchronous invocations. The pollers follow the snapshot: a mapping that is made, changed, disabled or
//! deleted has its poller started, replaced or stopped at once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::control::Control;
use crate::events::Events;
use crate::invoke::Invoker;
use crate::invoke::snapshot::Snapshot;
use crate::invoke::snapshot::event_source::{Kind, Mapping};
use crate::outbound::aws::Aws;
use crate::outbound::redis::Redis;
use crate::store::Records;

mod batch;
mod filter;
mod problems;
mod redis;
pub mod schedule;
mod sqs;
mod stream;

/// Redis servers by name.
pub type Brokers = HashMap<String, Redis>;

/// Pollers of all mappings; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    invoker: Invoker,
    control: Control,
    events: Events,
    records: Arc<dyn Records>,
    aws: Aws,
    brokers: Brokers,
    clock: Clock,
}

/// A poller of one mapping. Dropped, it takes no further records; a batch in work ends.
#[derive(Debug)]
struct Poller {
    mapping: Arc<Mapping>,
    /// Tasks of the poller, batches in work included.
    tasks: TaskTracker,
    _stop: watch::Sender<()>,
}

/// Ends once its poller is to stop.
#[derive(Clone, Debug)]
struct Stop(watch::Receiver<()>);

impl Stop {
    /// Runs work unless the poller is to stop; `None` once it is. The work is then dropped.
    async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // The sender never sends: it is dropped.
            _ = self.0.changed() => None,
            done = work => Some(done),
        }
    }

    async fn stopped(&mut self) {
        self.unless(std::future::pending::<()>()).await;
    }

    fn is_stopped(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

impl Sources {
    pub fn new(
        control: Control,
        (invoker, events): (Invoker, Events),
        records: Arc<dyn Records>,
        (aws, brokers): (Aws, Brokers),
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Shared {
            invoker,
            control,
            events,
            records,
            aws,
            brokers,
            clock,
        }))
    }

    /// Runs pollers for ever. One task of the host's.
    pub async fn run(&self) {
        let mut snapshots = self.0.invoker.snapshots();
        let mut pollers: HashMap<Arc<str>, Poller> = HashMap::new();
        // Tasks of pollers that were stopped, while they finish batches.
        let mut ending: HashMap<Arc<str>, TaskTracker> = HashMap::new();
        // Mappings whose consumer groups are deleted with them.
        let mut grouped: HashMap<Arc<str>, Arc<Mapping>> = HashMap::new();
        let mut known = None;
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let is_current = |id: &Arc<str>, poller: &Poller| {
                let mapping = snapshot.mapping(id);
                mapping.is_some_and(|it| **it == *poller.mapping)
            };
            for (id, poller) in pollers.extract_if(|id, poller| !is_current(id, poller)) {
                poller.tasks.close();
                ending.insert(id, poller.tasks);
            }
            for (id, mapping) in snapshot.mappings() {
                if mapping.is_enabled && !pollers.contains_key(id) {
                    let poller = self.start(id, mapping, ending.remove(id));
                    pollers.insert(Arc::clone(id), poller);
                }
            }
            for (id, mapping) in grouped.extract_if(|id, _| snapshot.mapping(id).is_none()) {
                self.forget_group(id, mapping, &ending);
            }
            let of_redis = snapshot.mappings();
            let of_redis = of_redis.filter(|(_, it)| it.source.kind == Kind::Redis);
            grouped.extend(of_redis.map(|(id, it)| (Arc::clone(id), Arc::clone(it))));
            // At the start, and after a mapping was deleted.
            let count = snapshot.mappings().count();
            if known.replace(count).is_none_or(|known| count < known) {
                self.forget(&snapshot, &ending);
            }
            ending.retain(|_, tasks| !tasks.is_empty());
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    /// Deletes the checkpoints of mappings that are no more, once their pollers have ended.
    fn forget(&self, snapshot: &Snapshot, ending: &HashMap<Arc<str>, TaskTracker>) {
        let gone = ending
            .iter()
            .filter(|(id, _)| snapshot.mapping(id).is_none());
        let gone: Vec<_> = gone.map(|(_, tasks)| tasks.clone()).collect();
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            for tasks in gone {
                tasks.wait().await;
            }
            let snapshot = shared.invoker.snapshot();
            let is_known = |id: &str| snapshot.mapping(id).is_some();
            shared.control.retain_processed(is_known);
            let forgotten = stream::checkpoint::forget_mappings(&*shared.records, is_known);
            if let Err(error) = forgotten.await {
                tracing::warn!(%error, "checkpoints of deleted mappings could not be deleted");
            }
        });
    }

    /// Deletes the consumer group of a mapping that is no more, once its poller has ended.
    fn forget_group(
        &self,
        id: Arc<str>,
        mapping: Arc<Mapping>,
        ending: &HashMap<Arc<str>, TaskTracker>,
    ) {
        let (shared, tasks) = (Arc::clone(&self.0), ending.get(&id).cloned());
        tokio::spawn(async move {
            if let Some(tasks) = tasks {
                tasks.wait().await;
            }
            redis::forget(&shared, &id, &mapping).await;
        });
    }

    fn start(&self, id: &Arc<str>, mapping: &Arc<Mapping>, former: Option<TaskTracker>) -> Poller {
        let (sender, receiver) = watch::channel(());
        let (stop, tasks) = (Stop(receiver), TaskTracker::new());
        match mapping.source.kind {
            Kind::Sqs => sqs::start(&self.0, mapping, stop),
            Kind::Kinesis | Kind::DynamoDb => {
                stream::start(&self.0, (id, mapping), (&tasks, former), stop);
            }
            Kind::Redis => redis::start(&self.0, (id, mapping), (&tasks, former), stop),
            kind => tracing::warn!(
                mapping = %id, ?kind,
                "this release does not poll sources of this kind: the mapping invokes nothing"
            ),
        }
        Poller {
            mapping: Arc::clone(mapping),
            tasks,
            _stop: sender,
        }
    }
}
