//! Observers of platform events: further receivers beside logs and metrics.

use std::fmt::Debug;
use std::sync::Arc;

use super::event::{Event, Sink};

/// Receiver of the platform events of all environments. It runs on the invoke path, so it must neither block nor do disk
/// I/O.
pub trait Observer: Debug + Send + Sync {
    /// Receives an event. The events of one environment come in their order.
    fn receive(&self, source: &Source, event: &Event<'_>);
}

/// Environment that an event comes from.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub struct Source {
    /// Function name.
    pub function_name: Arc<str>,
    /// Version number or `$LATEST`.
    pub function_version: Arc<str>,
    /// Name of the log stream, which no other environment has.
    pub instance_id: Arc<str>,
}

/// Maker of a sink for each environment.
pub trait Observe: Debug + Send + Sync {
    /// Sink of a new environment.
    fn environment(&self, source: Source) -> Arc<dyn Sink>;
}

/// An observer, with the source added to each event.
#[derive(Debug)]
pub struct Sourced(pub Arc<dyn Observer>);

#[derive(Debug)]
struct Observed {
    observer: Arc<dyn Observer>,
    source: Source,
}

impl Observe for Sourced {
    fn environment(&self, source: Source) -> Arc<dyn Sink> {
        Arc::new(Observed {
            observer: Arc::clone(&self.0),
            source,
        })
    }
}

impl Sink for Observed {
    fn receive(&self, event: &Event<'_>) {
        self.observer.receive(&self.source, event);
    }
}
