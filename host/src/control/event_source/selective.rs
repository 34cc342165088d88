//! Settings of event source mappings that not every kind of source has.

use crate::invoke::snapshot::event_source::Kind;
use crate::invoke::snapshot::event_source::settings::Settings;

/// A choice: its name in AWS's errors, whether it was made, and the kinds of sources that have it.
type Row = (&'static str, fn(&Settings) -> bool, &'static [Kind]);

const STREAMS: &[Kind] = &[Kind::Kinesis, Kind::DynamoDb];
const KAFKA: &[Kind] = &[Kind::Msk, Kind::SelfManagedKafka];
const STREAMS_AND_KAFKA: &[Kind] = &[
    Kind::Kinesis,
    Kind::DynamoDb,
    Kind::Msk,
    Kind::SelfManagedKafka,
];
const QUEUES_STREAMS_KAFKA_AND_REDIS: &[Kind] = &[
    Kind::Sqs,
    Kind::Kinesis,
    Kind::DynamoDb,
    Kind::Msk,
    Kind::SelfManagedKafka,
    Kind::Redis,
];
const QUEUES_AND_KAFKA: &[Kind] = &[Kind::Sqs, Kind::Msk, Kind::SelfManagedKafka];
const STREAMS_KAFKA_AND_REDIS: &[Kind] = &[
    Kind::Kinesis,
    Kind::DynamoDb,
    Kind::Msk,
    Kind::SelfManagedKafka,
    Kind::Redis,
];
const ENTERED: &[Kind] = &[
    Kind::Msk,
    Kind::SelfManagedKafka,
    Kind::Mq,
    Kind::DocumentDb,
];

/// The choices that not every kind of source has. AWS spells the first unlike the others.
const SELECTIVE: [Row; 15] = [
    (
        "DestinationConfig",
        |it| it.destinations.is_some(),
        STREAMS_KAFKA_AND_REDIS,
    ),
    (
        "'parallelizationFactor'",
        |it| it.parallelization_factor.is_some(),
        STREAMS,
    ),
    (
        "'tumblingWindowInSeconds'",
        |it| it.tumbling_window_seconds.is_some(),
        STREAMS,
    ),
    (
        "'maximumRecordAgeInSeconds'",
        |it| it.record_age_max_seconds.is_some(),
        STREAMS_KAFKA_AND_REDIS,
    ),
    (
        "'bisectBatchOnFunctionError'",
        |it| it.bisect_on_error.is_some(),
        STREAMS_AND_KAFKA,
    ),
    (
        "'maximumRetryAttempts'",
        |it| it.retry_attempts_max.is_some(),
        STREAMS_KAFKA_AND_REDIS,
    ),
    (
        "'functionResponseTypes'",
        |it| it.report_item_failures.is_some(),
        QUEUES_STREAMS_KAFKA_AND_REDIS,
    ),
    (
        "'metricsConfig'",
        |it| it.metrics.is_some(),
        QUEUES_STREAMS_KAFKA_AND_REDIS,
    ),
    ("'loggingConfig'", |it| it.logging.is_some(), KAFKA),
    (
        "'scalingConfig'",
        |it| it.scaling.is_some(),
        &[Kind::Sqs, Kind::Redis],
    ),
    (
        "'provisionedPollerConfig'",
        |it| it.pollers.is_some(),
        QUEUES_AND_KAFKA,
    ),
    (
        "'sourceAccessConfigurations'",
        |it| it.access.is_some(),
        ENTERED,
    ),
    (
        "'amazonManagedKafkaEventSourceConfig'",
        |it| it.managed_kafka.is_some(),
        &[Kind::Msk],
    ),
    (
        "'selfManagedKafkaEventSourceConfig'",
        |it| it.self_managed_kafka.is_some(),
        &[Kind::SelfManagedKafka],
    ),
    (
        "'documentDBEventSourceConfig'",
        |it| it.document_db.is_some(),
        &[Kind::DocumentDb],
    ),
];

impl Kind {
    /// The name in AWS's errors of a choice that was made and that such a source does not have.
    pub(super) fn lacks(self, settings: &Settings) -> Option<&'static str> {
        let unsupported = |(_, made, kinds): &&Row| made(settings) && !kinds.contains(&self);
        SELECTIVE.iter().find(unsupported).map(|(name, ..)| *name)
    }
}
