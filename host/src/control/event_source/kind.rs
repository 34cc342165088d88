//! The kinds of event sources: recognition by ARN, and AWS's defaults. Settings that a kind does not have are
//! in `selective`.

use crate::invoke::snapshot::event_source::Kind;
use crate::invoke::snapshot::event_source::settings::{
    DocumentDb, FullDocument, Kafka, Limit, Position, Settings,
};

/// Partition of ARNs of sources that AWS does not have.
const PARTITION: &str = "aws-lamina";
/// Default `MaximumPollers`.
const POLLERS_MAX_DEFAULT: u32 = 200;

impl Kind {
    /// The kind of source that an ARN names, if it names one.
    pub(super) fn of_arn(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        if parts.get(1) == Some(&PARTITION) {
            let (broker, key) = parts.get(5)?.split_once('/')?;
            let is_stream = parts[2] == "redis" && !broker.is_empty() && !key.is_empty();
            return is_stream.then_some(Self::Redis);
        }
        match *parts.get(2)? {
            "sqs" => Some(Self::Sqs),
            "kinesis" => Some(Self::Kinesis),
            "dynamodb" => Some(Self::DynamoDb),
            "kafka" => Some(Self::Msk),
            "mq" => Some(Self::Mq),
            // A DocumentDB cluster has an ARN of RDS.
            "rds" => Some(Self::DocumentDb),
            _ => None,
        }
    }

    /// True for streams of records in shards.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Kinesis | Self::DynamoDb)
    }

    /// True for Kafka clusters.
    pub fn is_kafka(self) -> bool {
        matches!(self, Self::Msk | Self::SelfManagedKafka)
    }

    /// AWS's defaults. The id of a mapping is its default consumer group.
    pub(super) fn defaults(self, id: &str) -> Settings {
        let group = || {
            Some(Kafka {
                consumer_group: Some(id.to_owned()),
                ..Kafka::default()
            })
        };
        let batch_size = Some(100);
        match self {
            Self::Sqs => Settings {
                batch_size: Some(10),
                batching_window_seconds: Some(0),
                report_item_failures: Some(false),
                ..Settings::default()
            },
            Self::Kinesis | Self::DynamoDb => Settings {
                batch_size,
                batching_window_seconds: Some(0),
                parallelization_factor: Some(1),
                record_age_max_seconds: Some(Limit::Forever),
                retry_attempts_max: Some(Limit::Forever),
                bisect_on_error: Some(false),
                tumbling_window_seconds: Some(0),
                report_item_failures: Some(false),
                ..Settings::default()
            },
            // The default batching window of Kafka and MQ is 500 ms, which the API cannot express in whole
            // seconds; `None` stands for it.
            Self::Redis => Settings {
                batch_size,
                batching_window_seconds: Some(0),
                record_age_max_seconds: Some(Limit::Forever),
                retry_attempts_max: Some(Limit::Forever),
                report_item_failures: Some(false),
                ..Settings::default()
            },
            Self::Msk => Settings {
                batch_size,
                managed_kafka: group(),
                ..Settings::default()
            },
            Self::SelfManagedKafka => Settings {
                batch_size,
                self_managed_kafka: group(),
                ..Settings::default()
            },
            Self::Mq => Settings {
                batch_size,
                ..Settings::default()
            },
            Self::DocumentDb => Settings {
                batch_size,
                batching_window_seconds: Some(0),
                document_db: Some(DocumentDb {
                    full_document: Some(FullDocument::Default),
                    ..DocumentDb::default()
                }),
                ..Settings::default()
            },
        }
    }

    /// Default starting position, of kinds that do not require one.
    pub(super) fn default_position(self) -> Option<Position> {
        let has_one = self.is_kafka() || self == Self::Redis;
        has_one.then_some(Position::TrimHorizon)
    }

    /// Fills in the defaults of a poller configuration that is given in part.
    pub(super) fn completed(self, mut settings: Settings) -> Settings {
        let (min, max) = self.default_pollers();
        if let Some(pollers) = &mut settings.pollers {
            pollers.min.get_or_insert(min);
            pollers.max.get_or_insert(max);
        }
        settings
    }

    /// Default `MinimumPollers` and `MaximumPollers`.
    pub(super) fn default_pollers(self) -> (u32, u32) {
        let min = if self == Self::Sqs { 2 } else { 1 };
        (min, POLLERS_MAX_DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_recognised_by_the_service_of_the_arn() {
        let cases = [
            ("arn:aws:sqs:us-east-1:000000000000:q", Some(Kind::Sqs)),
            (
                "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s",
                Some(Kind::DynamoDb),
            ),
            (
                "arn:aws-cn:kinesis:cn-north-1:000000000000:stream/s",
                Some(Kind::Kinesis),
            ),
            (
                "arn:aws:kafka:us-east-1:000000000000:cluster/c/u",
                Some(Kind::Msk),
            ),
            ("arn:aws:mq:us-east-1:000000000000:broker:b", Some(Kind::Mq)),
            (
                "arn:aws:rds:us-east-1:000000000000:cluster:c",
                Some(Kind::DocumentDb),
            ),
            (
                "arn:aws-lamina:redis:us-east-1:000000000000:b/orders:new",
                Some(Kind::Redis),
            ),
            ("arn:aws-lamina:redis:us-east-1:000000000000:b/", None),
            ("arn:aws-lamina:sqs:us-east-1:000000000000:b/q", None),
            ("arn:aws:s3:::bucket", None),
            ("", None),
        ];
        for (arn, expected) in cases {
            assert_eq!(Kind::of_arn(arn), expected, "{arn}");
        }
    }

    #[test]
    fn defaults_are_settings_that_the_kind_has() {
        for kind in [
            Kind::Sqs,
            Kind::Kinesis,
            Kind::DynamoDb,
            Kind::Msk,
            Kind::SelfManagedKafka,
            Kind::Mq,
            Kind::DocumentDb,
            Kind::Redis,
        ] {
            assert_eq!(kind.lacks(&kind.defaults("id")), None, "{kind:?}");
        }
    }
}
