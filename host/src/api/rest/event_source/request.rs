//! Conversion of requests to settings of an event source mapping. The model has validated all enum
//! values.

use crate::api::rest::destination;
use crate::api::rest::wire::{self, EpochSeconds};
use crate::control::event_source::source::{Moment, SourceChoice};
use crate::invoke::snapshot::event_source::settings::{
    Access, AccessKind, Consumption, DocumentDb, FullDocument, Kafka, Limit, LogLevel, Logging,
    Metric, Pollers, Position, RecordFormat, Registry, RegistryAccess, RegistryAccessKind, Scaling,
    SchemaAttribute, Settings,
};

/// The source of a new mapping.
pub(super) fn source(request: &wire::CreateEventSourceMappingRequest) -> SourceChoice {
    let position = request.starting_position.as_deref();
    SourceChoice {
        arn: request.event_source_arn.clone(),
        bootstrap_servers: request.self_managed_event_source.clone().map(servers),
        topics: request.topics.clone(),
        queues: request.queues.clone(),
        position: position.and_then(Position::parse),
        position_timestamp: request.starting_position_timestamp.map(moment),
    }
}

/// The two requests have these members alike, and no type in common.
macro_rules! settings {
    ($request:ident) => {
        Settings {
            batch_size: natural($request.batch_size),
            batching_window_seconds: natural($request.maximum_batching_window_in_seconds),
            parallelization_factor: natural($request.parallelization_factor),
            record_age_max_seconds: $request.maximum_record_age_in_seconds.map(limit),
            retry_attempts_max: $request.maximum_retry_attempts.map(limit),
            bisect_on_error: $request.bisect_batch_on_function_error,
            tumbling_window_seconds: natural($request.tumbling_window_in_seconds),
            report_item_failures: $request.function_response_types.map(|it| !it.is_empty()),
            destinations: $request.destination_config.map(destination::chosen),
            filters: $request.filter_criteria.map(patterns),
            kms_key: $request.kms_key_arn,
            metrics: $request.metrics_config.map(metrics),
            logging: $request.logging_config.map(logging),
            scaling: $request.scaling_config.map(scaling),
            pollers: $request.provisioned_poller_config.map(pollers),
            access: $request.source_access_configurations.map(access),
            managed_kafka: $request
                .amazon_managed_kafka_event_source_config
                .map(managed_kafka),
            self_managed_kafka: $request
                .self_managed_kafka_event_source_config
                .map(self_managed_kafka),
            document_db: $request.document_db_event_source_config.map(document_db),
        }
    };
}

/// The settings of a new mapping.
pub(super) fn chosen(request: wire::CreateEventSourceMappingRequest) -> Settings {
    settings!(request)
}

/// The changes of a mapping.
pub(super) fn changed(request: wire::UpdateEventSourceMappingRequest) -> Settings {
    settings!(request)
}

fn moment(seconds: EpochSeconds) -> Moment {
    seconds.timestamp().map_or(Moment::Impossible, Moment::At)
}

fn natural(number: Option<i32>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn limit(number: i32) -> Limit {
    u32::try_from(number).map_or(Limit::Forever, Limit::Of)
}

fn servers(source: wire::SelfManagedEventSource) -> Vec<String> {
    let endpoints = source.endpoints.into_iter().flatten();
    endpoints.flat_map(|(_, servers)| servers).collect()
}

/// A filter without a pattern is an empty one, which is none.
fn patterns(criteria: wire::FilterCriteria) -> Vec<String> {
    let filters = criteria.filters.into_iter().flatten();
    filters
        .map(|filter| filter.pattern.unwrap_or_default())
        .collect()
}

fn metrics(config: wire::EventSourceMappingMetricsConfig) -> Vec<Metric> {
    let words = config.metrics.into_iter().flatten();
    words.filter_map(|word| Metric::parse(&word)).collect()
}

fn logging(config: wire::EventSourceMappingLoggingConfig) -> Logging {
    let level = config.system_log_level.as_deref();
    Logging {
        level: level.and_then(LogLevel::parse),
    }
}

fn scaling(config: wire::ScalingConfig) -> Scaling {
    Scaling {
        concurrency_max: natural(config.maximum_concurrency),
    }
}

fn pollers(config: wire::ProvisionedPollerConfig) -> Pollers {
    Pollers {
        min: natural(config.minimum_pollers),
        max: natural(config.maximum_pollers),
        group: config.poller_group_name,
    }
}

fn access(configurations: Vec<wire::SourceAccessConfiguration>) -> Vec<Access> {
    let configurations = configurations.into_iter().map(|it| Access {
        kind: it.type_.as_deref().and_then(AccessKind::parse),
        uri: it.uri,
    });
    configurations.collect()
}

fn managed_kafka(config: wire::AmazonManagedKafkaEventSourceConfig) -> Kafka {
    Kafka {
        consumer_group: config.consumer_group_id,
        consumption: None,
        registry: config.schema_registry_config.map(registry),
    }
}

fn self_managed_kafka(config: wire::SelfManagedKafkaEventSourceConfig) -> Kafka {
    let mode = config.consumption_mode.as_deref();
    Kafka {
        consumer_group: config.consumer_group_id,
        consumption: mode.and_then(Consumption::parse),
        registry: config.schema_registry_config.map(registry),
    }
}

fn registry(config: wire::KafkaSchemaRegistryConfig) -> Registry {
    let format = config.event_record_format.as_deref();
    let access = |it: wire::KafkaSchemaRegistryAccessConfig| RegistryAccess {
        kind: it.type_.as_deref().and_then(RegistryAccessKind::parse),
        uri: it.uri,
    };
    let attribute = |it: wire::KafkaSchemaValidationConfig| {
        it.attribute.as_deref().and_then(SchemaAttribute::parse)
    };
    Registry {
        uri: config.schema_registry_uri,
        format: format.and_then(RecordFormat::parse),
        access: config
            .access_configs
            .map(|configs| configs.into_iter().map(access).collect()),
        validation: config
            .schema_validation_configs
            .map(|configs| configs.into_iter().map(attribute).collect()),
    }
}

fn document_db(config: wire::DocumentDBEventSourceConfig) -> DocumentDb {
    let full = config.full_document.as_deref();
    DocumentDb {
        database: config.database_name,
        collection: config.collection_name,
        full_document: full.and_then(FullDocument::parse),
    }
}
