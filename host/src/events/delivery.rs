//! Delivery of a record or a dead letter to another service. It is tried for as long as an event may wait; each
//! failure is counted.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::step::Step;
use super::{Shared, lane};
use crate::clock::Timestamp;
use crate::names::{FunctionName, RequestId};
use crate::outbound::aws::{self, Service};
use crate::store::object::{self, Location};
use crate::store::queue::{Item, NewItem};

/// Time after which a delivery is given up, as events are.
const AGE_MAX: Duration = Duration::from_secs(6 * 3_600);
/// Longest wait of one delivery.
const WAIT_MAX_SECONDS: u64 = 300;

/// Head of a queued delivery; the body is what is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Delivery {
    /// Request id of the invocation.
    pub(super) id: RequestId,
    pub(super) function: FunctionName,
    /// ARN with the qualifier.
    pub(super) function_arn: String,
    pub(super) queued: Timestamp,
    pub(super) attempts: u32,
    pub(super) trace_id: Option<String>,
    pub(super) content: Content,
}

/// Payload of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Content {
    /// The record of an invocation.
    Record { is_success: bool },
    /// The event, for a dead-letter queue.
    DeadLetter { code: u16, message: String },
    /// The record of a batch of an event source.
    Batch { object_prefix: String },
    /// The event of a schedule.
    Schedule { attributes: Vec<(String, String)> },
}

/// Event of a schedule that could not be queued, for its dead-letter queue.
#[derive(Clone, Debug)]
pub struct Undelivered {
    pub request_id: RequestId,
    pub function: FunctionName,
    /// ARN of the queue.
    pub destination: String,
    /// Names and texts.
    pub attributes: Vec<(String, String)>,
    pub body: Bytes,
}

impl Undelivered {
    /// Item of the queue.
    pub(super) fn queued(self, now: Timestamp) -> NewItem {
        let delivery = Delivery {
            id: self.request_id,
            function: self.function,
            function_arn: String::new(),
            queued: now,
            attempts: 0,
            trace_id: None,
            content: Content::Schedule {
                attributes: self.attributes,
            },
        };
        NewItem {
            lane: lane::deliver(&self.destination),
            due: now,
            head: delivery.encode(),
            body: self.body,
        }
    }
}

/// Record of a batch that was given up, for the on-failure destination of its event source mapping.
#[derive(Clone, Debug)]
pub struct FailedBatch {
    /// Request id of the last invocation.
    pub request_id: RequestId,
    pub function: FunctionName,
    pub function_arn: String,
    /// ARN of the destination.
    pub destination: String,
    /// Beginning of its key in a bucket.
    pub object_prefix: String,
    pub record: Bytes,
}

impl FailedBatch {
    /// Item of the queue.
    pub(super) fn queued(self, now: Timestamp) -> NewItem {
        let delivery = Delivery {
            id: self.request_id,
            function: self.function,
            function_arn: self.function_arn,
            queued: now,
            attempts: 0,
            trace_id: None,
            content: Content::Batch {
                object_prefix: self.object_prefix,
            },
        };
        NewItem {
            lane: lane::deliver(&self.destination),
            due: now,
            head: delivery.encode(),
            body: self.record,
        }
    }
}

/// A delivery that failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Aws(#[from] aws::Error),
    #[error(transparent)]
    Object(#[from] object::Error),
    #[error("{0}: {1}")]
    Entry(String, String),
    #[error("destinations of this kind are not known to this release")]
    Unknown,
}

impl Error {
    fn is_final(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_final(),
            Self::Unknown => true,
            Self::Object(_) | Self::Entry(..) => false,
        }
    }
}

impl Delivery {
    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("texts and numbers can be written as JSON")
            .into()
    }

    /// Wait before the next attempt.
    fn wait(&self) -> Duration {
        let doubled = 1_u64.checked_shl(self.attempts.saturating_sub(1));
        Duration::from_secs(doubled.unwrap_or(u64::MAX).clamp(1, WAIT_MAX_SECONDS))
    }
}

impl Shared {
    /// One attempt of a delivery.
    pub(super) async fn deliver(&self, arn: &str, item: &Item) -> Step {
        let mut delivery: Delivery = match serde_json::from_slice(&item.head) {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(%error, destination = arn, "the head of a record is damaged; the record is dropped");
                return Step::End(Vec::new());
            }
        };
        let body = match self.queue.body(item).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, request_id = %delivery.id, "a record could not be read from the store; that is repeated");
                delivery.attempts = delivery.attempts.saturating_add(1);
                return match self.timeline.since(delivery.queued) > AGE_MAX {
                    true => Step::End(Vec::new()),
                    false => Step::Delay(delivery.wait(), delivery.encode()),
                };
            }
        };
        let Err(error) = self.send(arn, &delivery, body).await else {
            return Step::End(Vec::new());
        };
        let counters = self.metrics.asynchronous(delivery.function.as_str());
        match delivery.content {
            Content::Record { .. } | Content::Batch { .. } => counters.destination_failures.add(1),
            Content::DeadLetter { .. } | Content::Schedule { .. } => {
                counters.dead_letter_errors.add(1);
            }
        }
        delivery.attempts = delivery.attempts.saturating_add(1);
        let age = self.timeline.since(delivery.queued);
        let (id, function) = (delivery.id, delivery.function.as_str());
        if error.is_final() || age + delivery.wait() > AGE_MAX {
            tracing::error!(
                %error, request_id = %id, function, destination = arn,
                "a record was not delivered, and is given up"
            );
            return Step::End(Vec::new());
        }
        tracing::warn!(
            %error, request_id = %id, function, destination = arn,
            "a record could not be delivered; that is repeated"
        );
        Step::Postpone(delivery.wait(), delivery.encode())
    }

    async fn send(&self, arn: &str, delivery: &Delivery, body: Bytes) -> Result<(), Error> {
        if let Some(bucket) = arn.strip_prefix("arn:aws:s3:::") {
            let location = Location {
                bucket: bucket.to_owned(),
                key: self.object_key(delivery),
                version: None,
            };
            return Ok(self.objects.write(&location, body).await?);
        }
        let text = String::from_utf8_lossy(&body);
        let region = arn.split(':').nth(3).unwrap_or_default();
        match Service::of(arn).ok_or(Error::Unknown)? {
            Service::Sqs => {
                let request = delivery.sqs(&self.queue_url(arn, region), &text);
                let target = "AmazonSQS.SendMessage";
                self.aws
                    .json(Service::Sqs, region, target, &request)
                    .await?;
            }
            Service::Sns => {
                let parameters = delivery.sns(arn, &text);
                let parameters: Vec<_> = parameters.iter().map(|(n, v)| (&**n, &**v)).collect();
                self.aws.query(Service::Sns, region, &parameters).await?;
            }
            Service::EventBridge => {
                let request = delivery.event_bridge(arn, &text);
                let target = "AWSEvents.PutEvents";
                let sent = self
                    .aws
                    .json(Service::EventBridge, region, target, &request);
                entry_error(&sent.await?)?;
            }
            Service::Kinesis | Service::DynamoDbStreams => return Err(Error::Unknown),
        }
        Ok(())
    }

    /// URL of a queue: SQS names queues by it.
    fn queue_url(&self, arn: &str, region: &str) -> String {
        let mut parts = arn.split(':').skip(4);
        let (account, name) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        format!(
            "{}/{account}/{name}",
            self.aws.endpoint(Service::Sqs, region)
        )
    }

    /// Key of a record in a bucket, as in AWS.
    fn object_key(&self, delivery: &Delivery) -> String {
        let now = self.timeline.clock().now().utc();
        let (day, at) = (now.strftime("%Y/%m/%d"), now.strftime("%Y-%m-%dT%H.%M.%S"));
        let random = RequestId::random(self.timeline.clock());
        match &delivery.content {
            Content::Batch { object_prefix } => format!("{object_prefix}/{day}/{at}-{random}"),
            Content::Record { .. } | Content::DeadLetter { .. } | Content::Schedule { .. } => {
                let function = &delivery.function;
                format!("aws/lambda/async/{function}/{day}/{at}-{random}")
            }
        }
    }
}

impl Delivery {
    /// Attributes of a dead letter: name, type, value.
    fn attributes(&self) -> Vec<(&str, &'static str, String)> {
        let all = match &self.content {
            Content::Record { .. } | Content::Batch { .. } => Vec::new(),
            Content::DeadLetter { code, message } => vec![
                ("RequestID", "String", self.id.to_string()),
                ("ErrorCode", "Number", code.to_string()),
                ("ErrorMessage", "String", message.clone()),
            ],
            Content::Schedule { attributes } => {
                let attributes = attributes.iter();
                attributes
                    .map(|(name, text)| (name.as_str(), "String", text.clone()))
                    .collect()
            }
        };
        // SQS and SNS refuse attributes without a value.
        all.into_iter().filter(|(.., it)| !it.is_empty()).collect()
    }

    fn sqs(&self, queue_url: &str, text: &str) -> Value {
        let mut request = json!({"QueueUrl": queue_url, "MessageBody": text});
        for (name, kind, value) in self.attributes() {
            request["MessageAttributes"][name] = json!({"DataType": kind, "StringValue": value});
        }
        if let Some(trace_id) = &self.trace_id {
            request["MessageSystemAttributes"]["AWSTraceHeader"] =
                json!({"DataType": "String", "StringValue": trace_id});
        }
        request
    }

    fn sns(&self, topic: &str, text: &str) -> Vec<(String, String)> {
        let mut parameters = vec![
            ("Action".to_owned(), "Publish".to_owned()),
            ("Version".to_owned(), "2010-03-31".to_owned()),
            ("TopicArn".to_owned(), topic.to_owned()),
            ("Message".to_owned(), text.to_owned()),
        ];
        for (index, (name, kind, value)) in self.attributes().into_iter().enumerate() {
            let at = format!("MessageAttributes.entry.{}", index + 1);
            parameters.push((format!("{at}.Name"), name.to_owned()));
            parameters.push((format!("{at}.Value.DataType"), kind.to_owned()));
            parameters.push((format!("{at}.Value.StringValue"), value));
        }
        parameters
    }

    fn event_bridge(&self, bus: &str, text: &str) -> Value {
        let outcome = match self.content {
            Content::Record { is_success: true } => "Success",
            _ => "Failure",
        };
        json!({"Entries": [{
            "Source": "lambda",
            "DetailType": format!("Lambda Function Invocation Result - {outcome}"),
            "Resources": [bus, self.function_arn],
            "Detail": text,
            "EventBusName": bus,
        }]})
    }
}

/// Error of the only entry: `PutEvents` succeeds all the same.
fn entry_error(response: &Value) -> Result<(), Error> {
    let entry = &response["Entries"][0];
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    match entry["ErrorCode"].as_str() {
        Some(code) => Err(Error::Entry(code.to_owned(), text("ErrorMessage"))),
        None => Ok(()),
    }
}
