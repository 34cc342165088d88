//! From a mapping's record to `EventSourceMappingConfiguration`, with the members that AWS shows of
//! its kind of source.

use crate::api::rest::{destination, wire};
use crate::control::event_source::mapping::MappingRecord;
use crate::invoke::snapshot::event_source::Kind;
use crate::invoke::snapshot::event_source::settings::{
    Access, AccessKind, Consumption, DocumentDb, FullDocument, Kafka, Limit, Logging, Metric,
    Pollers, Position, RecordFormat, Registry, RegistryAccess, RegistryAccessKind, Scaling,
    SchemaAttribute,
};
use crate::names::Home;

/// The one `FunctionResponseType` there is.
const REPORT_ITEM_FAILURES: &str = "ReportBatchItemFailures";
/// The one kind of endpoint that a self-managed source has.
const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// A mapping as every operation shows it.
pub(super) fn configuration(
    record: &MappingRecord,
    home: &Home,
) -> wire::EventSourceMappingConfiguration {
    let source = &record.source;
    let servers = &source.bootstrap_servers;
    wire::EventSourceMappingConfiguration {
        uuid: Some(record.id.clone()),
        event_source_mapping_arn: Some(record.arn(home)),
        function_arn: Some(record.function_arn(home)),
        event_source_arn: source.arn.clone(),
        self_managed_event_source: (!servers.is_empty()).then(|| self_managed(servers.clone())),
        topics: source.topics.clone(),
        queues: source.queues.clone(),
        starting_position: source.position.map(Position::as_str).map(Into::into),
        starting_position_timestamp: source.position_timestamp.map(Into::into),
        state: Some(record.state.as_str().into()),
        state_transition_reason: Some(transition_reason(source.kind).into()),
        last_processing_result: processing_result(record),
        last_modified: Some(record.modified.into()),
        ..chosen_members(record)
    }
}

fn chosen_members(record: &MappingRecord) -> wire::EventSourceMappingConfiguration {
    let settings = record.settings.clone();
    let is_stream = record.source.kind.is_stream();
    let destinations = settings
        .destinations
        .or_else(|| is_stream.then(Default::default));
    wire::EventSourceMappingConfiguration {
        batch_size: settings.batch_size.map(number),
        maximum_batching_window_in_seconds: settings.batching_window_seconds.map(number),
        parallelization_factor: settings.parallelization_factor.map(number),
        maximum_record_age_in_seconds: settings.record_age_max_seconds.map(limit),
        maximum_retry_attempts: settings.retry_attempts_max.map(limit),
        bisect_batch_on_function_error: settings.bisect_on_error,
        tumbling_window_in_seconds: settings.tumbling_window_seconds.map(number),
        function_response_types: settings.report_item_failures.map(response_types),
        destination_config: destinations.map(|it| wire::DestinationConfig {
            on_success: None,
            on_failure: Some(destination::on_failure(&it)),
        }),
        filter_criteria: settings.filters.map(criteria),
        kms_key_arn: settings.kms_key,
        metrics_config: settings.metrics.map(metrics),
        logging_config: settings.logging.map(logging),
        scaling_config: settings.scaling.map(scaling),
        provisioned_poller_config: settings.pollers.map(pollers),
        source_access_configurations: settings.access.map(access),
        amazon_managed_kafka_event_source_config: settings.managed_kafka.map(managed_kafka),
        self_managed_kafka_event_source_config: settings.self_managed_kafka.map(self_managed_kafka),
        document_db_event_source_config: settings.document_db.map(document_db),
        ..Default::default()
    }
}

/// Two words for one thing, by what reads the source.
fn transition_reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Kinesis | Kind::DynamoDb | Kind::DocumentDb => "User action",
        Kind::Sqs | Kind::Msk | Kind::SelfManagedKafka | Kind::Mq | Kind::Redis => "USER_INITIATED",
    }
}

/// Mappings of queues do not have it.
fn processing_result(record: &MappingRecord) -> Option<String> {
    let processed = || record.processed.clone();
    let result = || processed().unwrap_or_else(|| "No records processed".to_owned());
    (record.source.kind != Kind::Sqs).then(result)
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn limit(limit: Limit) -> i32 {
    match limit {
        Limit::Forever => -1,
        Limit::Of(many) => number(many),
    }
}

fn self_managed(servers: Vec<String>) -> wire::SelfManagedEventSource {
    let endpoints = [(BOOTSTRAP_SERVERS.to_owned(), servers)];
    wire::SelfManagedEventSource {
        endpoints: Some(endpoints.into_iter().collect()),
    }
}

fn response_types(reports: bool) -> Vec<String> {
    let word = reports.then(|| REPORT_ITEM_FAILURES.to_owned());
    word.into_iter().collect()
}

fn criteria(patterns: Vec<String>) -> wire::FilterCriteria {
    let filters = patterns.into_iter().map(|pattern| wire::Filter {
        pattern: Some(pattern),
    });
    wire::FilterCriteria {
        filters: Some(filters.collect()),
    }
}

fn metrics(metrics: Vec<Metric>) -> wire::EventSourceMappingMetricsConfig {
    let words = metrics.into_iter().map(|metric| metric.as_str().into());
    wire::EventSourceMappingMetricsConfig {
        metrics: Some(words.collect()),
    }
}

fn logging(logging: Logging) -> wire::EventSourceMappingLoggingConfig {
    wire::EventSourceMappingLoggingConfig {
        system_log_level: logging.level.map(|level| level.as_str().into()),
    }
}

fn scaling(scaling: Scaling) -> wire::ScalingConfig {
    wire::ScalingConfig {
        maximum_concurrency: scaling.concurrency_max.map(number),
    }
}

fn pollers(pollers: Pollers) -> wire::ProvisionedPollerConfig {
    wire::ProvisionedPollerConfig {
        minimum_pollers: pollers.min.map(number),
        maximum_pollers: pollers.max.map(number),
        poller_group_name: pollers.group,
    }
}

fn access(access: Vec<Access>) -> Vec<wire::SourceAccessConfiguration> {
    let shown = access
        .into_iter()
        .map(|it| wire::SourceAccessConfiguration {
            type_: it.kind.map(AccessKind::as_str).map(Into::into),
            uri: it.uri,
        });
    shown.collect()
}

fn managed_kafka(kafka: Kafka) -> wire::AmazonManagedKafkaEventSourceConfig {
    wire::AmazonManagedKafkaEventSourceConfig {
        consumer_group_id: kafka.consumer_group,
        schema_registry_config: kafka.registry.map(registry),
    }
}

fn self_managed_kafka(kafka: Kafka) -> wire::SelfManagedKafkaEventSourceConfig {
    wire::SelfManagedKafkaEventSourceConfig {
        consumer_group_id: kafka.consumer_group,
        consumption_mode: kafka.consumption.map(Consumption::as_str).map(Into::into),
        schema_registry_config: kafka.registry.map(registry),
    }
}

fn registry(registry: Registry) -> wire::KafkaSchemaRegistryConfig {
    let access = |it: RegistryAccess| wire::KafkaSchemaRegistryAccessConfig {
        type_: it.kind.map(RegistryAccessKind::as_str).map(Into::into),
        uri: it.uri,
    };
    let validation = |it: Option<SchemaAttribute>| wire::KafkaSchemaValidationConfig {
        attribute: it.map(SchemaAttribute::as_str).map(Into::into),
    };
    wire::KafkaSchemaRegistryConfig {
        schema_registry_uri: registry.uri,
        event_record_format: registry.format.map(RecordFormat::as_str).map(Into::into),
        access_configs: registry
            .access
            .map(|them| them.into_iter().map(access).collect()),
        schema_validation_configs: registry
            .validation
            .map(|them| them.into_iter().map(validation).collect()),
    }
}

fn document_db(document_db: DocumentDb) -> wire::DocumentDBEventSourceConfig {
    let full = document_db.full_document;
    wire::DocumentDBEventSourceConfig {
        database_name: document_db.database,
        collection_name: document_db.collection,
        full_document: full.map(FullDocument::as_str).map(Into::into),
    }
}
