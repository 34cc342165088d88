//! The two services of streams, in AWS's JSON protocol: their shards, and the records of one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::lineage::Shard;
use super::record::{Origin, Record};
use crate::clock::Timestamp;
use crate::outbound::aws::{self, Aws, Service};

/// Ten mebibytes of records, the most that Kinesis returns, as JSON in base64.
const RESPONSE_BYTES_MAX: usize = 24 << 20;
/// Pages of shards: more is a server that never ends.
const PAGES_MAX: usize = 1_000;

/// A service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Kinesis,
    DynamoDb,
}

/// A stream.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) aws: Aws,
    pub(super) kind: Kind,
    pub(super) origin: Origin,
}

/// Position in a shard to read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Start {
    TrimHorizon,
    Latest,
    At(Timestamp),
    After(Arc<str>),
}

/// Records of a shard that were read.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// Iterator of the next page. `None` at the end of a closed shard.
    pub(super) next: Option<String>,
    /// True if no record was there that is not in the page.
    pub(super) is_caught_up: bool,
}

impl Kind {
    fn service(self) -> Service {
        match self {
            Self::Kinesis => Service::Kinesis,
            Self::DynamoDb => Service::DynamoDbStreams,
        }
    }

    fn target(self, operation: &str) -> String {
        match self {
            Self::Kinesis => format!("Kinesis_20131202.{operation}"),
            Self::DynamoDb => format!("DynamoDBStreams_20120810.{operation}"),
        }
    }

    /// Records of one request, as the service allows.
    pub(super) fn records_max(self) -> usize {
        match self {
            Self::Kinesis => 10_000,
            Self::DynamoDb => 1_000,
        }
    }

    /// Name of the member in the record for an on-failure destination.
    pub(super) fn batch_info(self) -> &'static str {
        match self {
            Self::Kinesis => "KinesisBatchInfo",
            Self::DynamoDb => "DDBStreamBatchInfo",
        }
    }
}

impl Source {
    /// ARN of the stream. A mapping may name a consumer of it.
    pub(super) fn stream_arn(&self) -> &str {
        let arn = self.origin.arn.as_str();
        arn.split_once("/consumer/").map_or(arn, |(arn, _)| arn)
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, aws::Error> {
        let (service, region) = (self.kind.service(), self.origin.region.as_str());
        let target = self.kind.target(operation);
        self.aws
            .json_up_to(service, region, &target, request, RESPONSE_BYTES_MAX)
            .await
    }

    /// All shards of the stream.
    pub(super) async fn shards(&self) -> Result<Vec<Shard>, aws::Error> {
        let mut shards = Vec::new();
        let mut request = self.shards_request(None);
        for _ in 0..PAGES_MAX {
            let (operation, response);
            let listed = match self.kind {
                Kind::Kinesis => {
                    operation = "ListShards";
                    response = self.ask(operation, &request).await?;
                    &response
                }
                Kind::DynamoDb => {
                    operation = "DescribeStream";
                    response = self.ask(operation, &request).await?;
                    &response["StreamDescription"]
                }
            };
            let all = listed["Shards"].as_array();
            shards.extend(all.into_iter().flatten().filter_map(shard));
            let more = match self.kind {
                Kind::Kinesis => &listed["NextToken"],
                Kind::DynamoDb => &listed["LastEvaluatedShardId"],
            };
            match more.as_str() {
                Some(more) => request = self.shards_request(Some(more)),
                None => return Ok(shards),
            }
        }
        Err(aws::Error::Unreachable(
            "the list of shards does not end".to_owned(),
        ))
    }

    fn shards_request(&self, more: Option<&str>) -> Value {
        match (self.kind, more) {
            // Kinesis wants the token alone.
            (Kind::Kinesis, Some(token)) => json!({"NextToken": token}),
            (Kind::Kinesis, None) => json!({"StreamARN": self.stream_arn()}),
            (Kind::DynamoDb, None) => json!({"StreamArn": self.stream_arn()}),
            (Kind::DynamoDb, Some(last)) => {
                json!({"StreamArn": self.stream_arn(), "ExclusiveStartShardId": last})
            }
        }
    }

    /// Iterator from a position.
    pub(super) async fn iterator(&self, shard: &str, start: &Start) -> Result<String, aws::Error> {
        let (stream, sequence) = match self.kind {
            Kind::Kinesis => ("StreamARN", "StartingSequenceNumber"),
            Kind::DynamoDb => ("StreamArn", "SequenceNumber"),
        };
        let mut request = json!({stream: self.stream_arn(), "ShardId": shard});
        request["ShardIteratorType"] = match start {
            Start::TrimHorizon => "TRIM_HORIZON",
            Start::Latest => "LATEST",
            // DynamoDB has no times: its records before this one are left out when they are read.
            Start::At(_) if self.kind == Kind::DynamoDb => "TRIM_HORIZON",
            Start::At(at) => {
                request["Timestamp"] = seconds(*at);
                "AT_TIMESTAMP"
            }
            Start::After(last) => {
                request[sequence] = (**last).into();
                "AFTER_SEQUENCE_NUMBER"
            }
        }
        .into();
        let response = self.ask("GetShardIterator", &request).await?;
        let iterator = response["ShardIterator"].as_str().map(str::to_owned);
        let missing = || aws::Error::Unreachable("the response has no iterator".to_owned());
        iterator.ok_or_else(missing)
    }

    /// Records from an iterator on.
    pub(super) async fn read(
        &self,
        shard: &str,
        iterator: &str,
        limit: usize,
    ) -> Result<Page, aws::Error> {
        let mut request = json!({"ShardIterator": iterator, "Limit": limit});
        if self.kind == Kind::Kinesis {
            request["StreamARN"] = self.stream_arn().into();
        }
        let response = self.ask("GetRecords", &request).await?;
        let sent = response["Records"].as_array();
        let sent = sent.map(Vec::as_slice).unwrap_or_default();
        let record = |it| match self.kind {
            Kind::Kinesis => Record::kinesis(it, shard, &self.origin),
            Kind::DynamoDb => Record::dynamo_db(it, &self.origin),
        };
        Ok(Page {
            records: sent.iter().filter_map(record).collect(),
            next: response["NextShardIterator"].as_str().map(str::to_owned),
            is_caught_up: match response["MillisBehindLatest"].as_u64() {
                Some(behind) => behind == 0,
                None => sent.is_empty(),
            },
        })
    }
}

/// Time as a number of seconds with a fraction.
fn seconds(at: Timestamp) -> Value {
    Duration::from_millis(at.millis()).as_secs_f64().into()
}

fn shard(listed: &Value) -> Option<Shard> {
    let parents = ["ParentShardId", "AdjacentParentShardId"].iter();
    let parents = parents.filter_map(|name| listed[*name].as_str());
    let range = &listed["SequenceNumberRange"];
    Some(Shard {
        id: listed["ShardId"].as_str()?.into(),
        parents: parents.map(Arc::from).collect(),
        is_closed: range["EndingSequenceNumber"].is_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_is_closed_once_its_last_sequence_number_is_known() {
        let open = json!({"ShardId": "b", "ParentShardId": "a", "AdjacentParentShardId": "c",
            "SequenceNumberRange": {"StartingSequenceNumber": "1"}});
        let found = shard(&open).unwrap();
        assert_eq!((&*found.id, found.is_closed), ("b", false));
        assert_eq!(found.parents, ["a".into(), "c".into()] as [Arc<str>; 2]);
        let closed = json!({"ShardId": "b", "SequenceNumberRange": {"EndingSequenceNumber": "9"}});
        assert!(shard(&closed).unwrap().is_closed);
        assert_eq!(shard(&json!({})), None);
    }
}
