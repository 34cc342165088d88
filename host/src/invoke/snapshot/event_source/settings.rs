//! Settings of an event source mapping, which can be changed later. Shapes only: the rules and the defaults are
//! in `control::event_source`.

use serde::{Deserialize, Serialize};

use crate::invoke::snapshot::destination::Destinations;

/// A closed set of words of AWS's, read and written as these.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`")] #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The one that AWS's word means.
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// AWS's word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Starting position in a stream.
    Position { Latest = "LATEST", AtTimestamp = "AT_TIMESTAMP", TrimHorizon = "TRIM_HORIZON" }
}
words! {
    /// Metrics of a mapping.
    Metric { EventCount = "EventCount", ErrorCount = "ErrorCount", KafkaMetrics = "KafkaMetrics" }
}
words! {
    /// Least level of the lines in a mapping's log.
    LogLevel { Debug = "DEBUG", Info = "INFO", Warn = "WARN" }
}
words! {
    /// Consumption of a Kafka topic: in order by one consumer of each partition, or shared out.
    Consumption { Stream = "Stream", Queue = "Queue" }
}
words! {
    /// Content of a change stream for an updated document.
    FullDocument { UpdateLookup = "UpdateLookup", Default = "Default" }
}
words! {
    /// Format of records with a schema, as the function gets them.
    RecordFormat { Json = "JSON", Source = "SOURCE" }
}
words! {
    /// Part of a record that is validated.
    SchemaAttribute { Key = "KEY", Value = "VALUE" }
}
words! {
    /// Authentication at a schema registry.
    RegistryAccessKind {
        BasicAuth = "BASIC_AUTH",
        ClientCertificate = "CLIENT_CERTIFICATE_TLS_AUTH",
        RootCertificate = "SERVER_ROOT_CA_CERTIFICATE",
        OauthBearer = "OAUTHBEARER_AUTH",
    }
}
words! {
    /// Authentication at a broker or cluster, or its network.
    AccessKind {
        BasicAuth = "BASIC_AUTH",
        Subnet = "VPC_SUBNET",
        SecurityGroup = "VPC_SECURITY_GROUP",
        Scram512 = "SASL_SCRAM_512_AUTH",
        Scram256 = "SASL_SCRAM_256_AUTH",
        VirtualHost = "VIRTUAL_HOST",
        ClientCertificate = "CLIENT_CERTIFICATE_TLS_AUTH",
        RootCertificate = "SERVER_ROOT_CA_CERTIFICATE",
        OauthBearer = "OAUTHBEARER_AUTH",
        OauthScope = "OAUTHBEARER_SCOPE",
        OauthAudience = "OAUTHBEARER_AUDIENCE",
        OauthCluster = "OAUTHBEARER_LOGICAL_CLUSTER",
        OauthPool = "OAUTHBEARER_IDENTITY_POOL",
        Iam = "IAM_AUTH",
        IamOauth = "IAM_OAUTHBEARER_AUTH",
    }
}

/// Settings of a mapping. `None` was never set; an empty value resets an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Records given to the function at a time, at most.
    pub batch_size: Option<u32>,
    /// Batching window.
    pub batching_window_seconds: Option<u32>,
    /// Batches of one shard that are worked on at a time.
    pub parallelization_factor: Option<u32>,
    /// Records older than this are given up.
    pub record_age_max_seconds: Option<Limit>,
    /// `MaximumRetryAttempts`.
    pub retry_attempts_max: Option<Limit>,
    /// `BisectBatchOnFunctionError`.
    pub bisect_on_error: Option<bool>,
    /// Tumbling window; 0 is none.
    pub tumbling_window_seconds: Option<u32>,
    /// `ReportBatchItemFailures`.
    pub report_item_failures: Option<bool>,
    /// Destinations of the records of batches that were given up.
    pub destinations: Option<Destinations>,
    /// Patterns, one of which a record must match.
    pub filters: Option<Vec<String>>,
    /// The key that the patterns are to be encrypted with.
    pub kms_key: Option<String>,
    /// `MetricsConfig`.
    pub metrics: Option<Vec<Metric>>,
    /// `LoggingConfig`.
    pub logging: Option<Logging>,
    /// `ScalingConfig`.
    pub scaling: Option<Scaling>,
    /// `ProvisionedPollerConfig`.
    pub pollers: Option<Pollers>,
    /// `SourceAccessConfigurations`.
    pub access: Option<Vec<Access>>,
    /// `AmazonManagedKafkaEventSourceConfig`.
    pub managed_kafka: Option<Kafka>,
    /// `SelfManagedKafkaEventSourceConfig`.
    pub self_managed_kafka: Option<Kafka>,
    /// `DocumentDBEventSourceConfig`.
    pub document_db: Option<DocumentDb>,
}

/// A bound that may be none at all, which AWS writes as -1.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// No bound.
    Forever,
    /// This many.
    Of(u32),
}

/// See [`Settings::logging`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    /// Least level of the lines.
    pub level: Option<LogLevel>,
}

/// See [`Settings::scaling`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Invocations at a time.
    pub concurrency_max: Option<u32>,
}

/// See [`Settings::pollers`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pollers {
    /// Kept ready at least.
    pub min: Option<u32>,
    /// Started at most.
    pub max: Option<u32>,
    /// Mappings of one group share their pollers.
    pub group: Option<String>,
}

/// See [`Settings::access`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The kind of authentication.
    pub kind: Option<AccessKind>,
    /// The ARN of the secret, or the subnet, group or host.
    pub uri: Option<String>,
}

/// See [`Settings::managed_kafka`] and [`Settings::self_managed_kafka`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Kafka {
    /// The consumer group, whose offsets are kept.
    pub consumer_group: Option<String>,
    /// The consumption mode.
    pub consumption: Option<Consumption>,
    /// The schema registry.
    pub registry: Option<Registry>,
}

/// A schema registry.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// `SchemaRegistryURI`.
    pub uri: Option<String>,
    /// Format of the records.
    pub format: Option<RecordFormat>,
    /// The kind of authentication.
    pub access: Option<Vec<RegistryAccess>>,
    /// Attributes that are validated.
    pub validation: Option<Vec<Option<SchemaAttribute>>>,
}

/// See [`Registry::access`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RegistryAccess {
    /// The kind of authentication.
    pub kind: Option<RegistryAccessKind>,
    /// The ARN of the secret.
    pub uri: Option<String>,
}

/// See [`Settings::document_db`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct DocumentDb {
    /// The database.
    pub database: Option<String>,
    /// Collection name; `None` is all.
    pub collection: Option<String>,
    /// `FullDocument`.
    pub full_document: Option<FullDocument>,
}
