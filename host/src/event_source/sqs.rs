//! Queues of Amazon SQS. A message is deleted once its function succeeded with it, or no filter takes it; any other
//! returns when its visibility timeout ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::batch::Outcome;
use super::filter::Filters;
use super::problems::Problems;
use super::{Shared, Stop};
use crate::invoke::snapshot::event_source::Mapping;
use crate::outbound::aws::{self, Service};

/// Requests for messages at a time, as AWS begins with.
const POLLERS_MAX: u32 = 5;
/// Batches in work without `MaximumConcurrency`.
const CONCURRENCY_DEFAULT: u32 = 50;
/// Messages of one request, and of one deletion.
const MESSAGES_MAX: usize = 10;
/// Long polling, the longest that SQS allows.
const WAIT_SECONDS: u64 = 20;
/// Ten messages of a mebibyte as JSON.
const RESPONSE_BYTES_MAX: usize = 24 << 20;
/// Payload of one batch, as in AWS.
const BATCH_BYTES_MAX: usize = 6 << 20;
const BATCH_SIZE_DEFAULT: u32 = 10;
/// Pauses after a request that failed, and after batches that were throttled.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// A poller of one queue.
#[derive(Debug)]
struct Queue {
    shared: Arc<Shared>,
    mapping: Arc<Mapping>,
    arn: String,
    region: String,
    url: String,
    filters: Filters,
    batch_size: usize,
    window: Duration,
    reports_failures: bool,
    is_fifo: bool,
    problems: Problems,
}

/// A message: as SQS sent it, and as the function gets it.
#[derive(Debug)]
struct Message {
    id: String,
    receipt: String,
    record: Value,
    trace_id: Option<String>,
    /// Group of a FIFO queue.
    group: Option<String>,
    bytes: usize,
}

/// Starts polling, until `stop`.
pub(super) fn start(shared: &Arc<Shared>, mapping: &Arc<Mapping>, stop: Stop) {
    let Some(queue) = Queue::new(shared, mapping) else {
        return;
    };
    let queue = Arc::new(queue);
    let chosen = mapping
        .settings
        .scaling
        .as_ref()
        .and_then(|it| it.concurrency_max);
    let concurrency = chosen.unwrap_or(CONCURRENCY_DEFAULT);
    let permits = usize::try_from(concurrency).expect("a usize has 32 bits or more");
    let permits = Arc::new(Semaphore::new(permits));
    for _ in 0..POLLERS_MAX.min(concurrency) {
        let (queue, permits, stop) = (Arc::clone(&queue), Arc::clone(&permits), stop.clone());
        tokio::spawn(async move { queue.poll(permits, stop).await });
    }
}

impl Queue {
    fn new(shared: &Arc<Shared>, mapping: &Arc<Mapping>) -> Option<Self> {
        let arn = mapping.source.arn.clone()?;
        let mut parts = arn.split(':').skip(3);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let endpoint = shared.aws.endpoint(Service::Sqs, region);
        let settings = &mapping.settings;
        let batch_size = settings.batch_size.unwrap_or(BATCH_SIZE_DEFAULT);
        let window = settings.batching_window_seconds.unwrap_or_default();
        Some(Self {
            region: region.to_owned(),
            url: format!("{endpoint}/{account}/{name}"),
            filters: Filters::new(settings.filters.as_deref(), mapping.source.kind),
            batch_size: usize::try_from(batch_size).expect("a usize has 32 bits or more"),
            window: Duration::from_secs(window.into()),
            reports_failures: settings.report_item_failures.unwrap_or_default(),
            is_fifo: arn.ends_with(".fifo"),
            problems: Problems::default(),
            shared: Arc::clone(shared),
            mapping: Arc::clone(mapping),
            arn,
        })
    }

    async fn poll(self: Arc<Self>, permits: Arc<Semaphore>, mut stop: Stop) {
        let mut pause = None;
        loop {
            let permit = stop.unless(Arc::clone(&permits).acquire_owned()).await;
            let Some(Ok(permit)) = permit else { return };
            let Some(collected) = stop.unless(self.collect()).await else {
                return;
            };
            match collected {
                Ok(messages) => {
                    pause = None;
                    self.problems.clear();
                    let mut permit = Some(permit);
                    for group in by_group(messages) {
                        // Taken messages are worked on even if the poller stops.
                        let permit = match permit.take() {
                            Some(permit) => permit,
                            None => match Arc::clone(&permits).acquire_owned().await {
                                Ok(permit) => permit,
                                Err(_) => return,
                            },
                        };
                        self.work(group, permit);
                    }
                }
                Err(error) => {
                    let text = "messages could not be received; that is repeated";
                    self.problems.log(&self.arn, &error, text);
                    let next = pause.map_or(PAUSE_FIRST, |it: Duration| PAUSE_LAST.min(it * 2));
                    pause = Some(next);
                    drop(permit);
                    if stop.unless(self.shared.clock.sleep(next)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Messages of one batch: those of one request, or of all requests within the batching window.
    async fn collect(&self) -> Result<Vec<Message>, aws::Error> {
        let mut messages = self
            .receive(MESSAGES_MAX.min(self.batch_size), WAIT_SECONDS)
            .await?;
        if self.window.is_zero() || messages.is_empty() {
            return Ok(messages);
        }
        let started = self.shared.clock.instant();
        while messages.len() < self.batch_size
            && messages.iter().map(|it| it.bytes).sum::<usize>() < BATCH_BYTES_MAX / 2
        {
            let elapsed = self
                .shared
                .clock
                .instant()
                .saturating_duration_since(started);
            let left = self.window.saturating_sub(elapsed);
            if left.is_zero() {
                break;
            }
            let wanted = MESSAGES_MAX.min(self.batch_size - messages.len());
            // Short waits near the end of the window, and no request without any.
            let wait = left.as_secs().clamp(1, WAIT_SECONDS);
            match self.receive(wanted, wait).await {
                Ok(more) => messages.extend(more),
                // Messages that are here come first.
                Err(error) => {
                    let text = "messages could not be received";
                    self.problems.log(&self.arn, &error, text);
                    break;
                }
            }
        }
        Ok(messages)
    }

    async fn receive(&self, most: usize, wait_seconds: u64) -> Result<Vec<Message>, aws::Error> {
        let request = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": most,
            "WaitTimeSeconds": wait_seconds,
            "AttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let target = "AmazonSQS.ReceiveMessage";
        let aws = &self.shared.aws;
        let received = aws
            .json_up_to(
                Service::Sqs,
                &self.region,
                target,
                &request,
                RESPONSE_BYTES_MAX,
            )
            .await?;
        let messages = received["Messages"].as_array();
        let messages = messages.map(Vec::as_slice).unwrap_or_default();
        Ok(messages.iter().filter_map(|it| self.message(it)).collect())
    }

    fn message(&self, sent: &Value) -> Option<Message> {
        let attributes = &sent["Attributes"];
        let mut record = json!({
            "messageId": sent["MessageId"],
            "receiptHandle": sent["ReceiptHandle"],
            "body": sent["Body"],
            "attributes": match attributes.is_object() {
                true => attributes.clone(),
                false => json!({}),
            },
            "messageAttributes": message_attributes(&sent["MessageAttributes"]),
            "md5OfBody": sent["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": self.region,
        });
        if let Some(md5) = sent["MD5OfMessageAttributes"].as_str() {
            record["md5OfMessageAttributes"] = md5.into();
        }
        Some(Message {
            id: sent["MessageId"].as_str()?.to_owned(),
            receipt: sent["ReceiptHandle"].as_str()?.to_owned(),
            trace_id: attributes["AWSTraceHeader"].as_str().map(str::to_owned),
            group: attributes["MessageGroupId"]
                .as_str()
                .filter(|_| self.is_fifo)
                .map(str::to_owned),
            bytes: sent["Body"].as_str().map_or(0, str::len),
            record,
        })
    }

    /// Works on messages, detached from the poller: they are done with even if it stops.
    fn work(self: &Arc<Self>, messages: Vec<Message>, permit: OwnedSemaphorePermit) {
        let queue = Arc::clone(self);
        tokio::spawn(async move {
            queue.finish(messages).await;
            drop(permit);
        });
    }

    async fn finish(&self, messages: Vec<Message>) {
        let (wanted, filtered): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| self.filters.pass(&message.record));
        self.delete(filtered.iter()).await;
        if wanted.is_empty() {
            return;
        }
        let identifiers = self
            .reports_failures
            .then(|| wanted.iter().map(|it| it.id.clone()).collect());
        let trace_id = wanted.iter().find_map(|it| it.trace_id.clone());
        let records: Vec<_> = wanted.iter().map(|it| it.record.clone()).collect();
        let (target, event) = (&self.mapping.target, json!({"Records": records}));
        let invoking = self.shared.invoke(target, event, trace_id, identifiers);
        match invoking.await.outcome {
            Outcome::Done { failed } => {
                let done = wanted.iter().filter(|it| !failed.contains(&it.id));
                self.delete(done).await;
            }
            Outcome::Failed => {}
            // The permit is held meanwhile, so that the queue is polled less.
            Outcome::Refused => self.shared.clock.sleep(PAUSE_FIRST).await,
        }
    }

    /// Deletes messages. One that cannot be deleted comes again: SQS delivers at least once.
    async fn delete(&self, messages: impl Iterator<Item = &Message>) {
        let receipts: Vec<&str> = messages.map(|it| it.receipt.as_str()).collect();
        for some in receipts.chunks(MESSAGES_MAX) {
            let entries: Vec<Value> = some
                .iter()
                .enumerate()
                .map(|(index, receipt)| json!({"Id": index.to_string(), "ReceiptHandle": receipt}))
                .collect();
            let request = json!({"QueueUrl": self.url, "Entries": entries});
            let target = "AmazonSQS.DeleteMessageBatch";
            let deleted = self
                .shared
                .aws
                .json(Service::Sqs, &self.region, target, &request);
            match deleted.await {
                Ok(response) => {
                    if let Some(failed) = response["Failed"].as_array().filter(|it| !it.is_empty())
                    {
                        tracing::warn!(?failed, source = self.arn, "messages could not be deleted");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, source = self.arn, "messages could not be deleted");
                }
            }
        }
    }
}

/// Messages by their groups, in order. SQS hands out no others of a group until these are deleted or visible again, so
/// groups can be worked on at the same time.
fn by_group(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut groups: Vec<Vec<Message>> = Vec::new();
    for message in messages {
        let same = |group: &&mut Vec<Message>| group[0].group == message.group;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}

/// Attributes in the casing that functions get.
fn message_attributes(sent: &Value) -> Value {
    let mut attributes = serde_json::Map::new();
    for (name, attribute) in sent.as_object().into_iter().flatten() {
        let mut shown = json!({
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": attribute["DataType"],
        });
        for (from, to) in [
            ("StringValue", "stringValue"),
            ("BinaryValue", "binaryValue"),
        ] {
            if let Some(value) = attribute[from].as_str() {
                shown[to] = value.into();
            }
        }
        attributes.insert(name.clone(), shown);
    }
    attributes.into()
}
