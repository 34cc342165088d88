//! Errors of event source mappings.

use super::rules::{FILTERS_MAX, KAFKA_POLLERS_MAX, QUEUE_POLLERS_MIN};

/// Error of an event source mapping.
#[derive(Debug, thiserror::Error)]
pub enum EventSourceError {
    /// No such mapping.
    #[error("The resource you requested does not exist.")]
    NotFound,
    /// No mapping of this ARN, in the words of the tag operations.
    #[error("Event source mapping not found: {0}")]
    NotFoundByArn(String),
    /// The mapping's function, version or alias does not exist.
    #[error("Function does not exist")]
    FunctionMissing,
    /// Another mapping of the function reads the source.
    #[error("{mapped} Please update or delete the existing mapping with UUID {holder}")]
    AlreadyMapped {
        /// The source and the function, in the words for this kind of source.
        mapped: String,
        /// The id of the other mapping.
        holder: String,
    },
    /// A change of the mapping is in progress; the verb of the request.
    #[error("Cannot {0} the event source mapping because it is in use.")]
    InUse(&'static str),
    /// The request names no source, or none of a known kind.
    #[error("Unrecognized event source.")]
    Unrecognized,
    /// A member that this kind of source does not have.
    #[error("Unsupported {0} parameter for given event source mapping type.")]
    Unsupported(String),
    /// A member that this kind of source needs.
    #[error("Required '{0}' parameter is missing.")]
    Missing(&'static str),
    /// A stream without a starting position.
    #[error(
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: \
         Member must not be null."
    )]
    PositionMissing,
    /// A starting position that streams of DynamoDB do not have; the ARN.
    #[error("Unsupported starting position for arn type: {0}")]
    PositionUnsupported(String),
    /// A starting position of a queue.
    #[error("StartingPosition is not valid for SQS event sources.")]
    PositionOfQueue,
    /// AT_TIMESTAMP without a timestamp.
    #[error("Need to specify a timestamp")]
    TimestampMissing,
    /// A timestamp with another position.
    #[error("Timestamp only valid with StartingPosition AT_TIMESTAMP")]
    TimestampUnexpected,
    /// A number that is no timestamp.
    #[error(
        "Received Exception while reading from provided stream. class java.lang.Long can not be \
         converted to a Timestamp"
    )]
    TimestampImpossible,
    /// A timestamp that has not been yet.
    #[error("StartingPositionTimestamp must not be in the future.")]
    TimestampInFuture,
    /// An age below the least.
    #[error(
        "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    )]
    RecordAge,
    /// Too many filters.
    #[error("The number of filters exceeds the limit of {FILTERS_MAX}.")]
    TooManyFilters,
    /// A filter that is no pattern.
    #[error("Invalid filter pattern definition.")]
    Filter,
    /// A batching window of a FIFO queue.
    #[error("Batching window is not supported for FIFO queues")]
    WindowOfFifo,
    /// A large batch without a window.
    #[error(
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    )]
    WindowMissing,
    /// Pollers beside a bound on concurrency.
    #[error("ScalingConfig and ProvisionedPollerConfig cannot be used together.")]
    PollersWithScaling,
    /// Too few pollers of a queue.
    #[error("MinimumPollers must be at least {QUEUE_POLLERS_MIN}.")]
    TooFewPollers,
    /// Too many pollers of a topic.
    #[error("MaximumPollers must be at most {KAFKA_POLLERS_MAX}.")]
    TooManyPollers,
    /// More pollers at least than at most.
    #[error("MinimumPollers must not be greater than MaximumPollers.")]
    PollersReversed,
    /// A schema registry without pollers.
    #[error("SchemaRegistryConfig is only available with ProvisionedPollerConfig.")]
    RegistryWithoutPollers,
}
