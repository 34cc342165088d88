//! Event source mappings as the data plane sees them: the source, the settings, and the function that gets the
//! batches. A mapping outlives its function, so it is no part of one; pollers are reconciled from the list.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::clock::Timestamp;
use crate::invoke::Target;
use settings::{Position, Settings};

pub mod settings;

/// One event source mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The function that gets the batches.
    pub target: Target,
    /// The source.
    pub source: EventSource,
    /// The settings.
    pub settings: Settings,
    /// The source is to be polled: the mapping is enabled, and neither being made nor deleted.
    pub is_enabled: bool,
}

/// A kind of event source.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// A queue of Amazon SQS.
    Sqs,
    /// A stream of Amazon Kinesis, or a consumer of one.
    Kinesis,
    /// A stream of a DynamoDB table.
    DynamoDb,
    /// A cluster of Amazon MSK.
    Msk,
    /// Any other Kafka cluster.
    SelfManagedKafka,
    /// A broker of Amazon MQ.
    Mq,
    /// A cluster of Amazon DocumentDB.
    DocumentDb,
    /// A stream of Redis, which AWS does not have.
    Redis,
}

/// The source of a mapping. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSource {
    /// The kind.
    pub kind: Kind,
    /// The ARN, if it has one.
    pub arn: Option<String>,
    /// The bootstrap servers, if it has no ARN.
    pub bootstrap_servers: Vec<String>,
    /// Kafka topics.
    pub topics: Option<Vec<String>>,
    /// Queues of a broker.
    pub queues: Option<Vec<String>>,
    /// The starting position.
    pub position: Option<Position>,
    /// The timestamp of `AT_TIMESTAMP`.
    pub position_timestamp: Option<Timestamp>,
}

impl Snapshot {
    /// All mappings, by id.
    pub fn mappings(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Mapping>)> {
        self.mappings.iter()
    }

    /// The mapping of this id.
    pub fn mapping(&self, id: &str) -> Option<&Arc<Mapping>> {
        self.mappings.get(id)
    }

    /// Replaces the mapping of this id, or takes it out.
    pub fn replace_mapping(&mut self, id: &str, mapping: Option<Mapping>) {
        match mapping {
            Some(mapping) => self.mappings.insert(id.into(), Arc::new(mapping)),
            None => self.mappings.remove(id),
        };
    }
}
