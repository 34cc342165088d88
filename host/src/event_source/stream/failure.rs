//! Record of a batch that was given up, for the on-failure destination.

use bytes::Bytes;
use serde_json::json;

use super::Poller;
use super::retry::Discarded;
use crate::clock::Timestamp;
use crate::event_source::batch::Invoked;
use crate::events::FailedBatch;
use crate::names::RequestId;

/// Record of a batch, with AWS's members. Buckets get the payload too.
pub(super) fn record(
    poller: &Poller,
    shard: &str,
    (given_up, last): (&Discarded, Option<&Invoked>),
    destination: &str,
    payload: impl Fn() -> Bytes,
) -> FailedBatch {
    let clock = &poller.shared.clock;
    let function = &poller.mapping.target.name;
    let snapshot = poller.shared.invoker.snapshot();
    let arn = snapshot.function(function).map(|it| it.arn.to_string());
    let arn = arn.unwrap_or_default();
    let id = last.map_or_else(|| RequestId::random(clock), |it| it.request_id);
    let time = |at: Timestamp| at.utc().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let mut record = json!({
        "requestContext": {
            "requestId": id.as_str(),
            "functionArn": arn,
            "condition": given_up.condition.as_str(),
            "approximateInvokeCount": given_up.invocations,
        },
        "version": "1.0",
        "timestamp": time(clock.now()),
    });
    if let Some((last, version)) = last.and_then(|it| Some((it, it.executed_version.as_ref()?))) {
        record["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": &**version,
            // Reported failures of records are no function error.
            "functionError": last.is_error.then_some("Unhandled"),
        });
    }
    if let (Some((_, first)), Some((_, end))) = (given_up.records.first(), given_up.records.last())
    {
        record[poller.source.kind.batch_info()] = json!({
            "shardId": shard,
            "startSequenceNumber": &*first.sequence,
            "endSequenceNumber": &*end.sequence,
            "approximateArrivalOfFirstRecord": time(first.arrived),
            "approximateArrivalOfLastRecord": time(end.arrived),
            "batchSize": given_up.records.len(),
            "streamArn": poller.source.stream_arn(),
        });
    }
    if destination.starts_with("arn:aws:s3:::") {
        record["payload"] = String::from_utf8_lossy(&payload()).into();
    }
    FailedBatch {
        request_id: id,
        function: function.clone(),
        function_arn: arn,
        destination: destination.to_owned(),
        object_prefix: format!("aws/lambda/{}/{shard}", poller.id),
        record: record.to_string().into(),
    }
}
