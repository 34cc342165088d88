//! Redrive: events out of a dead-letter queue, or out of the queue that is a destination of failures, are queued again.
//! A message is deleted there only after its event is stored here.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Error, Events};
use crate::invoke::{Invoke, Mode, Target};
use crate::names::RequestId;
use crate::outbound::aws::{self, Service};
use crate::payload::{Document, Event};

const MESSAGES_MAX: usize = 10;
const RESPONSE_BYTES_MAX: usize = 24 << 20;

/// A redrive that could not be completed. Messages of events that are not stored stay where they are.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// Not the ARN of a queue.
    #[error("{0} is not the ARN of a queue of SQS")]
    NotAQueue(String),
    /// The queue failed.
    #[error("the queue could not be read: {0}")]
    Queue(#[from] aws::Error),
    /// The function cannot be invoked.
    #[error("the function cannot be invoked: {0}")]
    Function(#[from] crate::invoke::Error),
    /// The event could not be stored.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Events {
    /// Moves all events of a queue of SQS into the queue of a target; returns their number.
    ///
    /// # Errors
    /// If the queue, the target or the store fails. Events moved before stay moved.
    pub async fn redrive(&self, target: &Target, arn: &str) -> Result<u64, RedriveError> {
        let mut parts = arn.split(':').skip(3);
        let named = (parts.next(), parts.next(), parts.next());
        let (Some(Service::Sqs), (Some(region), Some(account), Some(name))) =
            (Service::of(arn), named)
        else {
            return Err(RedriveError::NotAQueue(arn.to_owned()));
        };
        let endpoint = self.0.aws.endpoint(Service::Sqs, region);
        let url = format!("{endpoint}/{account}/{name}");
        let mut moved = 0;
        loop {
            let request = json!({"QueueUrl": url, "MaxNumberOfMessages": MESSAGES_MAX});
            let operation = "AmazonSQS.ReceiveMessage";
            let aws = &self.0.aws;
            let received = aws
                .json_up_to(
                    Service::Sqs,
                    region,
                    operation,
                    &request,
                    RESPONSE_BYTES_MAX,
                )
                .await?;
            let messages = received["Messages"].as_array();
            let messages = messages.map(Vec::as_slice).unwrap_or_default();
            if messages.is_empty() {
                return Ok(moved);
            }
            for message in messages {
                let Some(event) = event(message) else {
                    tracing::warn!(id = ?message["MessageId"], "a message is no event, and stays where it is");
                    continue;
                };
                let id = RequestId::random(self.0.timeline.clock());
                let mut invoke = Invoke::new(id, target.clone(), Event::Json(event));
                invoke.mode = Mode::Event;
                let resolved = self.0.invoker.resolve(invoke).await?;
                self.accept(resolved).await?;
                moved += 1;
                let request = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
                let operation = "AmazonSQS.DeleteMessage";
                aws.json(Service::Sqs, region, operation, &request).await?;
            }
        }
    }
}

/// Event of a message: the body of a dead letter, or the payload in the record of an invocation.
fn event(message: &Value) -> Option<Document> {
    let body = message["Body"].as_str()?;
    let document = Document::parse(Bytes::copy_from_slice(body.as_bytes())).ok()?;
    let root = document.root();
    let is_record = root
        .member("requestContext")
        .is_some_and(|it| it.member("approximateInvokeCount").is_some());
    let payload = root.member("requestPayload").filter(|_| is_record);
    match payload {
        Some(payload) => Document::parse(Bytes::copy_from_slice(payload.raw().as_bytes())).ok(),
        None => Some(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_body_or_payload_of_record() {
        for (body, expected) in [
            (r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (
                r#"{"requestContext":{"approximateInvokeCount":3},"requestPayload":{"a": 1}}"#,
                Some(r#"{"a": 1}"#),
            ),
            (
                r#"{"requestPayload":{"a":1}}"#,
                Some(r#"{"requestPayload":{"a":1}}"#),
            ),
            ("no JSON", None),
        ] {
            let found = event(&json!({"Body": body}));
            assert_eq!(found.as_ref().map(Document::as_str), expected, "{body}");
        }
    }
}
