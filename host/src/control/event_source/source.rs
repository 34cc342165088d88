//! The source of a mapping, as a request names it and as AWS reports it.

use super::EventSourceError as Error;
use crate::clock::Timestamp;
use crate::invoke::snapshot::event_source::settings::{DocumentDb, Position, Settings};
use crate::invoke::snapshot::event_source::{EventSource, Kind};

/// The source of a new mapping, as the request names it.
#[derive(Clone, Debug, Default)]
pub struct SourceChoice {
    /// The ARN of a stream, queue, cluster or broker.
    pub arn: Option<String>,
    /// The bootstrap servers of a Kafka cluster that has no ARN.
    pub bootstrap_servers: Option<Vec<String>>,
    /// Kafka topics.
    pub topics: Option<Vec<String>>,
    /// Queues of a broker.
    pub queues: Option<Vec<String>>,
    /// Where reading begins.
    pub position: Option<Position>,
    /// The moment it begins at.
    pub position_timestamp: Option<Moment>,
}

/// A moment to begin at, as it was named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// A number that names none, as before the Unix epoch.
    Impossible,
}

impl SourceChoice {
    /// The source that is meant.
    pub(super) fn recognised(self) -> Result<EventSource, Error> {
        let kind = match (&self.bootstrap_servers, &self.arn) {
            (Some(_), Some(_)) => return Err(unsupported("'eventSourceArn'")),
            (Some(servers), None) if !servers.is_empty() => Kind::SelfManagedKafka,
            (_, Some(arn)) => Kind::of_arn(arn).ok_or(Error::Unrecognized)?,
            (_, None) => return Err(Error::Unrecognized),
        };
        Ok(EventSource {
            kind,
            arn: self.arn,
            bootstrap_servers: self.bootstrap_servers.unwrap_or_default(),
            topics: self.topics,
            queues: self.queues,
            position: self.position,
            position_timestamp: match self.position_timestamp {
                Some(Moment::At(moment)) => Some(moment),
                Some(Moment::Impossible) | None => None,
            },
        })
    }
}

impl EventSource {
    /// The ARN, or the servers, as AWS writes them in its errors.
    pub(super) fn named(&self) -> String {
        self.arn
            .clone()
            .unwrap_or_else(|| self.bootstrap_servers.join(","))
    }

    /// True for a FIFO queue.
    pub(super) fn is_fifo(&self) -> bool {
        let arn = self.arn.as_deref().unwrap_or_default();
        self.kind == Kind::Sqs && arn.ends_with(".fifo")
    }

    /// The parts of the source that one mapping of a function alone may read: the source, or each topic or
    /// queue of it. Separated by line breaks, which no ARN has.
    pub(super) fn claims(&self, settings: &Settings) -> Vec<String> {
        let sources = match &self.arn {
            Some(arn) => std::slice::from_ref(arn),
            None => &self.bootstrap_servers,
        };
        let parts = match (&self.topics, &self.queues, &settings.document_db) {
            (Some(parts), ..) | (None, Some(parts), _) => parts.clone(),
            (
                None,
                None,
                Some(DocumentDb {
                    database,
                    collection,
                    ..
                }),
            ) => {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                vec![format!("{}\n{}", part(database), part(collection))]
            }
            (None, None, None) => vec![String::new()],
        };
        let pairs = sources
            .iter()
            .flat_map(|source| parts.iter().map(move |part| format!("{source}\n{part}")));
        let mut claims: Vec<String> = pairs.collect();
        claims.sort();
        claims.dedup();
        claims
    }
}

/// AWS's refusal of a choice that a source does not have.
pub(super) fn unsupported(name: &str) -> Error {
    Error::Unsupported(name.to_owned())
}
