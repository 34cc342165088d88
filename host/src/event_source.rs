//! Event source mappings: pollers take records from sources and invoke functions with batches of them, through the
//! pipeline of synchronous invocations. The pollers follow the snapshot: a mapping that is made, changed, disabled or
//! deleted has its poller started, replaced or stopped at once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::invoke::Invoker;
use crate::invoke::snapshot::event_source::{Kind, Mapping};
use crate::outbound::aws::Aws;

mod batch;
mod filter;
mod sqs;

/// Pollers of all mappings; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    invoker: Invoker,
    aws: Aws,
    clock: Clock,
}

/// A poller of one mapping. Dropped, it takes no further records; a batch in work ends.
#[derive(Debug)]
struct Poller {
    mapping: Arc<Mapping>,
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
}

impl Sources {
    pub fn new(invoker: Invoker, aws: Aws, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            invoker,
            aws,
            clock,
        }))
    }

    /// Runs pollers for ever. One task of the host's.
    pub async fn run(&self) {
        let mut snapshots = self.0.invoker.snapshots();
        let mut pollers: HashMap<Arc<str>, Poller> = HashMap::new();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let is_current = |id: &Arc<str>, poller: &Poller| {
                let mapping = snapshot.mapping(id);
                mapping.is_some_and(|it| Arc::ptr_eq(it, &poller.mapping))
            };
            pollers.retain(|id, poller| is_current(id, poller));
            for (id, mapping) in snapshot.mappings() {
                if mapping.is_enabled && !pollers.contains_key(id) {
                    pollers.insert(Arc::clone(id), self.start(id, mapping));
                }
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    fn start(&self, id: &Arc<str>, mapping: &Arc<Mapping>) -> Poller {
        let (sender, receiver) = watch::channel(());
        let stop = Stop(receiver);
        match mapping.source.kind {
            Kind::Sqs => sqs::start(&self.0, mapping, stop),
            kind => tracing::warn!(
                mapping = %id, ?kind,
                "this release does not poll sources of this kind: the mapping invokes nothing"
            ),
        }
        Poller {
            mapping: Arc::clone(mapping),
            _stop: sender,
        }
    }
}
