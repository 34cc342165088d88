//! Messages of an SQS queue: those that fail are reported, and come again; the others are deleted.
//!
//! ```sh
//! lamina deploy examples/queue
//! aws lambda create-event-source-mapping --function-name queue --event-source-arn arn:aws:sqs:us-east-1:000000000000:orders --function-response-types ReportBatchItemFailures --endpoint-url http://127.0.0.1:3001
//! ```
//!
//! `[aws]` in `lamina.toml`, or `AWS_ENDPOINT_URL_SQS`, names the server of the queue.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
}

#[handler]
fn work(event: LambdaEvent<Batch>) -> Result<Value, Error> {
    let failed = event.payload.records.iter().filter(|it| !is_done(it));
    let failed = failed.map(|it| json!({"itemIdentifier": it.message_id}));
    Ok(json!({"batchItemFailures": failed.collect::<Vec<_>>()}))
}

/// An order has a number of articles.
fn is_done(message: &Message) -> bool {
    let order: Value = serde_json::from_str(&message.body).unwrap_or_default();
    println!("order: {order}");
    order["articles"].is_number()
}
