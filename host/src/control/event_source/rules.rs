//! Rules that the model of AWS does not state: settings that exclude or need each other. Pure functions; the
//! model's own constraints have been checked before.

use super::EventSourceError as Error;
use super::filter;
use super::source::{Moment, SourceChoice, unsupported};
use crate::clock::Timestamp;
use crate::invoke::snapshot::event_source::settings::{
    Consumption, Limit, Pollers, Position, Registry, Settings,
};
use crate::invoke::snapshot::event_source::{EventSource, Kind};

/// Filters of one mapping. AWS allows five and gives ten to those who ask.
pub(super) const FILTERS_MAX: usize = 10;
/// The age of a record that may be given up at least.
const RECORD_AGE_MIN_SECONDS: u32 = 60;
/// Messages of a queue that make a batch without waiting for more.
const BATCH_WITHOUT_WINDOW_MAX: u32 = 10;
/// Pollers of a queue that are kept ready at least.
pub(super) const QUEUE_POLLERS_MIN: u32 = 2;
/// Pollers of a Kafka topic that are started at most.
pub(super) const KAFKA_POLLERS_MAX: u32 = 2_000;

/// Checks a request for a new mapping, in AWS's order, and determines the source.
pub(super) fn recognise(choice: SourceChoice, chosen: &Settings) -> Result<EventSource, Error> {
    destination(chosen)?;
    if choice.bootstrap_servers.is_some() && chosen.access.is_none() {
        return Err(missing("sourceAccessConfigurations"));
    }
    let is_shared = is_shared(chosen);
    if is_shared && choice.position.is_some() {
        return Err(unsupported("'startingPosition'"));
    }
    if is_shared && choice.position_timestamp.is_some() {
        return Err(unsupported("'startingPositionTimestamp'"));
    }
    let moment = choice.position_timestamp;
    let mut source = choice.recognised()?;
    supported(source.kind, chosen)?;
    parts(&source, chosen)?;
    position(&source, moment)?;
    if !is_shared {
        source.position = source.position.or_else(|| source.kind.default_position());
    }
    Ok(source)
}

/// Checks a change of a mapping. The consumer group, which names the offsets in a topic, cannot be changed.
pub(super) fn check_change(source: &EventSource, chosen: &Settings) -> Result<(), Error> {
    destination(chosen)?;
    supported(source.kind, chosen)?;
    let blocks = [
        ("amazonManagedKafkaEventSourceConfig", &chosen.managed_kafka),
        (
            "selfManagedKafkaEventSourceConfig",
            &chosen.self_managed_kafka,
        ),
    ];
    for (name, block) in blocks {
        let Some(block) = block else { continue };
        if block.consumer_group.is_some() {
            return Err(unsupported(&format!("'{name}.consumerGroupId'")));
        }
        if block.consumption.is_some() {
            return Err(unsupported("'ConsumptionMode'"));
        }
    }
    filters(chosen)
}

/// Checks the settings of a mapping, defaults included.
pub(super) fn check(source: &EventSource, settings: &Settings) -> Result<(), Error> {
    batches(source, settings)?;
    if let Some(Limit::Of(seconds)) = settings.record_age_max_seconds
        && seconds < RECORD_AGE_MIN_SECONDS
    {
        return Err(Error::RecordAge);
    }
    if is_shared(settings) && settings.batching_window_seconds.is_some() {
        return Err(unsupported("'maximumBatchingWindowInSeconds'"));
    }
    pollers(source.kind, settings)?;
    registry(settings)
}

/// Checks the filters.
pub(super) fn filters(chosen: &Settings) -> Result<(), Error> {
    let filters = chosen.filters.as_deref().unwrap_or_default();
    if filters.len() > FILTERS_MAX {
        return Err(Error::TooManyFilters);
    }
    if filters.iter().all(|pattern| filter::is_pattern(pattern)) {
        return Ok(());
    }
    Err(Error::Filter)
}

/// Refuses a starting timestamp in the future.
pub(super) fn has_been(source: &EventSource, now: Timestamp) -> Result<(), Error> {
    if source.position_timestamp.is_none_or(|at| at <= now) {
        return Ok(());
    }
    Err(Error::TimestampInFuture)
}

/// True if consumers share the records of a topic out. Such a topic has no starting position.
fn is_shared(settings: &Settings) -> bool {
    let block = settings.self_managed_kafka.as_ref();
    block.and_then(|it| it.consumption) == Some(Consumption::Queue)
}

/// Mappings have no destination for successes.
fn destination(chosen: &Settings) -> Result<(), Error> {
    let on_success = chosen
        .destinations
        .as_ref()
        .and_then(|it| it.on_success.as_ref());
    on_success.map_or(Ok(()), |_| Err(unsupported("DestinationConfig")))
}

fn supported(kind: Kind, chosen: &Settings) -> Result<(), Error> {
    kind.lacks(chosen)
        .map_or(Ok(()), |name| Err(unsupported(name)))
}

/// Requires topics of Kafka, queues of brokers and databases of DocumentDB, and refuses them elsewhere.
fn parts(source: &EventSource, chosen: &Settings) -> Result<(), Error> {
    let kind = source.kind;
    let database = chosen
        .document_db
        .as_ref()
        .and_then(|it| it.database.as_ref());
    let needs_access = matches!(kind, Kind::Mq | Kind::DocumentDb);
    match (&source.topics, &source.queues) {
        (Some(_), _) if !kind.is_kafka() => Err(unsupported("'topics'")),
        (None, _) if kind.is_kafka() => Err(missing("topics")),
        (_, Some(_)) if kind != Kind::Mq => Err(unsupported("'queues'")),
        (_, None) if kind == Kind::Mq => Err(missing("queues")),
        _ if needs_access && chosen.access.is_none() => Err(missing("sourceAccessConfigurations")),
        _ if kind == Kind::DocumentDb && database.is_none() => {
            Err(missing("documentDBEventSourceConfig.databaseName"))
        }
        _ => Ok(()),
    }
}

/// AWS checks the position before the timestamp.
fn position(source: &EventSource, moment: Option<Moment>) -> Result<(), Error> {
    match (source.kind, source.position) {
        (Kind::Kinesis | Kind::DynamoDb, None) => Err(Error::PositionMissing),
        (Kind::DynamoDb, Some(Position::AtTimestamp)) => {
            Err(Error::PositionUnsupported(source.named()))
        }
        (Kind::Sqs, Some(_)) => Err(Error::PositionOfQueue),
        (Kind::Mq, Some(_)) => Err(unsupported("'startingPosition'")),
        (Kind::Sqs | Kind::Mq, None) if moment.is_some() => {
            Err(unsupported("'startingPositionTimestamp'"))
        }
        (_, Some(Position::AtTimestamp)) if moment.is_none() => Err(Error::TimestampMissing),
        (_, Some(Position::Latest | Position::TrimHorizon)) if moment.is_some() => {
            Err(Error::TimestampUnexpected)
        }
        _ if moment == Some(Moment::Impossible) => Err(Error::TimestampImpossible),
        _ => Ok(()),
    }
}

fn batches(source: &EventSource, settings: &Settings) -> Result<(), Error> {
    if source.kind != Kind::Sqs {
        return Ok(());
    }
    let waits = settings.batching_window_seconds.is_some_and(|it| it > 0);
    let size = settings.batch_size.unwrap_or_default();
    if source.is_fifo() && waits {
        return Err(Error::WindowOfFifo);
    }
    if size > BATCH_WITHOUT_WINDOW_MAX && !waits {
        return Err(Error::WindowMissing);
    }
    Ok(())
}

fn pollers(kind: Kind, settings: &Settings) -> Result<(), Error> {
    let Some(Pollers { min, max, group }) = &settings.pollers else {
        return Ok(());
    };
    let (default_min, default_max) = kind.default_pollers();
    let (min, max) = (min.unwrap_or(default_min), max.unwrap_or(default_max));
    if settings.scaling.is_some() {
        return Err(Error::PollersWithScaling);
    }
    if kind == Kind::Sqs && group.is_some() {
        return Err(unsupported("'provisionedPollerConfig.pollerGroupName'"));
    }
    if kind == Kind::Sqs && min < QUEUE_POLLERS_MIN {
        return Err(Error::TooFewPollers);
    }
    if kind != Kind::Sqs && max > KAFKA_POLLERS_MAX {
        return Err(Error::TooManyPollers);
    }
    if min > max {
        return Err(Error::PollersReversed);
    }
    Ok(())
}

/// A schema registry needs provisioned pollers and an attribute to validate.
fn registry(settings: &Settings) -> Result<(), Error> {
    let blocks = [&settings.managed_kafka, &settings.self_managed_kafka];
    let registry = blocks
        .into_iter()
        .flatten()
        .find_map(|block| block.registry.as_ref())
        .filter(|registry| **registry != Registry::default());
    let Some(registry) = registry else {
        return Ok(());
    };
    if settings.pollers.is_none() {
        return Err(Error::RegistryWithoutPollers);
    }
    let validates = registry
        .validation
        .as_ref()
        .is_some_and(|it| !it.is_empty());
    if !validates {
        return Err(missing("schemaRegistryConfig.schemaValidationConfigs"));
    }
    Ok(())
}

fn missing(name: &'static str) -> Error {
    Error::Missing(name)
}

#[cfg(test)]
mod tests;
