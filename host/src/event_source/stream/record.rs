//! Records of a stream, as functions receive them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// A record of a shard.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) sequence: Arc<str>,
    /// Hash of the key whose records stay in order.
    pub(super) key: u64,
    /// Approximate time of arrival in the stream.
    pub(super) arrived: Timestamp,
    /// As the function receives it.
    pub(super) value: Value,
    /// Size as JSON.
    pub(super) bytes: usize,
}

/// Facts of the stream that its records carry.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// ARN of the mapping's source.
    pub(super) arn: String,
    pub(super) region: String,
    /// Role of the function.
    pub(super) role: Arc<str>,
}

impl Record {
    /// Record of Kinesis. `None` if it has no sequence number.
    pub(super) fn kinesis(sent: &Value, shard: &str, origin: &Origin) -> Option<Self> {
        let sequence = sent["SequenceNumber"].as_str()?;
        let key = sent["PartitionKey"].as_str().unwrap_or_default();
        let arrival = &sent["ApproximateArrivalTimestamp"];
        let value = json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": key,
                "sequenceNumber": sequence,
                "data": sent["Data"],
                "approximateArrivalTimestamp": arrival,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{shard}:{sequence}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": &*origin.role,
            "awsRegion": origin.region,
            "eventSourceARN": origin.arn,
        });
        Some(Self::new(sequence, key, arrival, value))
    }

    /// Record of DynamoDB Streams. `None` if it has no sequence number.
    pub(super) fn dynamo_db(sent: &Value, origin: &Origin) -> Option<Self> {
        let change = &sent["dynamodb"];
        let sequence = change["SequenceNumber"].as_str()?;
        let mut value = sent.clone();
        value["eventSourceARN"] = origin.arn.clone().into();
        let key = change["Keys"].to_string();
        let created = &change["ApproximateCreationDateTime"];
        Some(Self::new(sequence, &key, created, value))
    }

    fn new(sequence: &str, key: &str, arrived: &Value, value: Value) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self {
            sequence: sequence.into(),
            key: hasher.finish(),
            arrived: moment(arrived),
            bytes: value.to_string().len(),
            value,
        }
    }
}

/// Time in seconds, with a fraction, rounded to milliseconds.
fn moment(seconds: &Value) -> Timestamp {
    let seconds = seconds.as_f64().unwrap_or_default();
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::from_millis(0).after(since + Duration::from_micros(500))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            arn: "arn:aws:kinesis:us-east-1:000000000000:stream/s".into(),
            region: "us-east-1".into(),
            role: "arn:aws:iam::000000000000:role/r".into(),
        }
    }

    #[test]
    fn record_of_kinesis_has_the_shape_that_functions_get() {
        let sent = json!({"SequenceNumber": "7", "PartitionKey": "k", "Data": "aGk=",
            "ApproximateArrivalTimestamp": 1_767_225_600.25});
        let record = Record::kinesis(&sent, "shardId-000000000000", &origin()).unwrap();
        assert_eq!(record.arrived.millis(), 1_767_225_600_250);
        let expected = json!({
            "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "k", "sequenceNumber": "7",
                "data": "aGk=", "approximateArrivalTimestamp": 1_767_225_600.25},
            "eventSource": "aws:kinesis", "eventVersion": "1.0",
            "eventID": "shardId-000000000000:7", "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/r", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        });
        assert_eq!(record.value, expected);
        assert!(Record::kinesis(&json!({}), "s", &origin()).is_none());
    }

    #[test]
    fn record_of_dynamodb_keeps_what_the_stream_sent() {
        let sent = json!({"eventName": "INSERT", "eventVersion": "1.1", "dynamodb": {
            "Keys": {"id": {"S": "a"}}, "SequenceNumber": "9", "ApproximateCreationDateTime": 5}});
        let record = Record::dynamo_db(&sent, &origin()).unwrap();
        let mut expected = sent.clone();
        expected["eventSourceARN"] = origin().arn.into();
        assert_eq!((record.value, record.arrived.secs()), (expected, 5));
        let other = Record::dynamo_db(&sent, &origin()).unwrap();
        assert_eq!(record.key, other.key);
    }
}
