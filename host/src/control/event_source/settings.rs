//! What may be chosen of an event source mapping and changed later. Shapes only: what goes together
//! is in `rules`, what is assumed where nothing is chosen in `kind`.

use serde::{Deserialize, Serialize};

use crate::control::destination::Destinations;

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
    /// Where in a stream reading begins.
    Position { Latest = "LATEST", AtTimestamp = "AT_TIMESTAMP", TrimHorizon = "TRIM_HORIZON" }
}
words! {
    /// Which numbers are told of a mapping.
    Metric { EventCount = "EventCount", ErrorCount = "ErrorCount", KafkaMetrics = "KafkaMetrics" }
}
words! {
    /// From which importance on a mapping's log has its lines.
    LogLevel { Debug = "DEBUG", Info = "INFO", Warn = "WARN" }
}
words! {
    /// How a Kafka topic is read: in order by one reader of each partition, or shared out.
    Consumption { Stream = "Stream", Queue = "Queue" }
}
words! {
    /// What a change stream has of an updated document.
    FullDocument { UpdateLookup = "UpdateLookup", Default = "Default" }
}
words! {
    /// How records that follow a schema are given to the function.
    RecordFormat { Json = "JSON", Source = "SOURCE" }
}
words! {
    /// Which part of a record is checked against its schema.
    SchemaAttribute { Key = "KEY", Value = "VALUE" }
}
words! {
    /// How a schema registry is entered.
    RegistryAccessKind {
        BasicAuth = "BASIC_AUTH",
        ClientCertificate = "CLIENT_CERTIFICATE_TLS_AUTH",
        RootCertificate = "SERVER_ROOT_CA_CERTIFICATE",
        OauthBearer = "OAUTHBEARER_AUTH",
    }
}
words! {
    /// How a broker or cluster is entered, or through which network.
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

/// Choices. None is one that was not made; an empty one takes an earlier one back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Records given to the function at a time, at most.
    pub batch_size: Option<u32>,
    /// How long to wait for a batch to fill.
    pub batching_window_seconds: Option<u32>,
    /// Batches of one shard that are worked on at a time.
    pub parallelization_factor: Option<u32>,
    /// Records older than this are given up.
    pub record_age_max_seconds: Option<Limit>,
    /// How often a batch that failed is tried again.
    pub retry_attempts_max: Option<Limit>,
    /// Whether a batch that failed is halved.
    pub bisect_on_error: Option<bool>,
    /// How long a window of aggregation is. Zero is none.
    pub tumbling_window_seconds: Option<u32>,
    /// Whether the function says which records of a batch failed.
    pub report_item_failures: Option<bool>,
    /// Where records of what was given up go.
    pub destinations: Option<Destinations>,
    /// Patterns, one of which a record must match.
    pub filters: Option<Vec<String>>,
    /// The key that the patterns are to be encrypted with.
    pub kms_key: Option<String>,
    /// The numbers that are told.
    pub metrics: Option<Vec<Metric>>,
    /// What is logged.
    pub logging: Option<Logging>,
    /// How many invocations may run at a time.
    pub scaling: Option<Scaling>,
    /// Pollers that are kept ready.
    pub pollers: Option<Pollers>,
    /// How the source is entered.
    pub access: Option<Vec<Access>>,
    /// How a cluster of Amazon MSK is read.
    pub managed_kafka: Option<Kafka>,
    /// How any other Kafka cluster is read.
    pub self_managed_kafka: Option<Kafka>,
    /// What of a DocumentDB cluster is read.
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
    /// From which importance on lines are written.
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
    /// How it is entered.
    pub kind: Option<AccessKind>,
    /// With which secret, or through which subnet, group or host.
    pub uri: Option<String>,
}

/// See [`Settings::managed_kafka`] and [`Settings::self_managed_kafka`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Kafka {
    /// The group of consumers whose place in the topic is kept.
    pub consumer_group: Option<String>,
    /// How the topic is read.
    pub consumption: Option<Consumption>,
    /// Where the schemas of its records are.
    pub registry: Option<Registry>,
}

/// A schema registry.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// Where it is.
    pub uri: Option<String>,
    /// How records are given to the function.
    pub format: Option<RecordFormat>,
    /// How it is entered.
    pub access: Option<Vec<RegistryAccess>>,
    /// What is checked.
    pub validation: Option<Vec<Option<SchemaAttribute>>>,
}

/// See [`Registry::access`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RegistryAccess {
    /// How it is entered.
    pub kind: Option<RegistryAccessKind>,
    /// With which secret.
    pub uri: Option<String>,
}

/// See [`Settings::document_db`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct DocumentDb {
    /// The database.
    pub database: Option<String>,
    /// The collection; all of them where none is named.
    pub collection: Option<String>,
    /// What is sent of an updated document.
    pub full_document: Option<FullDocument>,
}
