//! Record of entries that were given up, for the on-failure destination.

use serde_json::json;

use super::Stream;
use super::entry::Entry;
use crate::clock::Timestamp;
use crate::event_source::batch::Invoked;
use crate::events::FailedBatch;
use crate::names::RequestId;

/// Reason for which entries are given up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

impl Condition {
    fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// Record with the members of AWS's streams, the stream's own in `RedisBatchInfo`. Buckets get the payload too.
pub(super) fn record(
    stream: &Stream,
    condition: Condition,
    entries: &[Entry],
    last: Option<&Invoked>,
    destination: &str,
) -> FailedBatch {
    let clock = &stream.shared.clock;
    let function = &stream.mapping.target.name;
    let snapshot = stream.shared.invoker.snapshot();
    let arn = snapshot.function(function).map(|it| it.arn.to_string());
    let arn = arn.unwrap_or_default();
    let id = last.map_or_else(|| RequestId::random(clock), |it| it.request_id);
    let time = |at: Timestamp| at.utc().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let attempts = entries.iter().map(|it| it.attempts).max();
    // An entry that is too old was read once more than it was given to the function.
    let invocations = attempts.unwrap_or_default() - u32::from(last.is_none());
    let mut record = json!({
        "requestContext": {
            "requestId": id.as_str(),
            "functionArn": arn,
            "condition": condition.as_str(),
            "approximateInvokeCount": invocations,
        },
        "version": "1.0",
        "timestamp": time(clock.now()),
    });
    if let Some((last, version)) = last.and_then(|it| Some((it, it.executed_version.as_ref()?))) {
        record["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": &**version,
            "functionError": last.is_error.then_some("Unhandled"),
        });
    }
    if let (Some(first), Some(end)) = (entries.first(), entries.last()) {
        record["RedisBatchInfo"] = json!({
            "stream": stream.key,
            "startMessageId": first.id,
            "endMessageId": end.id,
            "approximateArrivalOfFirstRecord": time(first.added),
            "approximateArrivalOfLastRecord": time(end.added),
            "batchSize": entries.len(),
            "streamArn": stream.arn,
        });
    }
    if destination.starts_with("arn:aws:s3:::") {
        let records = entries.iter();
        let records = records.map(|it| it.record(&stream.arn, &stream.region, &stream.key));
        let payload = json!({"Records": records.collect::<Vec<_>>()});
        record["payload"] = payload.to_string().into();
    }
    FailedBatch {
        request_id: id,
        function: function.clone(),
        function_arn: arn,
        destination: destination.to_owned(),
        object_prefix: format!("aws/lambda/{}/{}", stream.id, stream.key),
        record: record.to_string().into(),
    }
}
