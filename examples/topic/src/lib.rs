//! Messages of an SNS topic, delivered to an endpoint of the host.
//!
//! ```sh
//! lamina dev examples/topic
//! aws lambda add-permission --function-name topic --statement-id sns --action lambda:InvokeFunction --principal sns.amazonaws.com --source-arn arn:aws:sns:us-east-1:000000000000:orders --endpoint-url http://127.0.0.1:3001
//! aws sns subscribe --topic-arn arn:aws:sns:us-east-1:000000000000:orders --protocol https --notification-endpoint https://host.example/_lamina/triggers/orders
//! ```
//!
//! The host confirms the subscription. Buckets (`source = "s3"`) and rules of EventBridge (`source = "eventbridge"`) deliver
//! in the same way, with a `token`: for MinIO `MINIO_NOTIFY_WEBHOOK_ENDPOINT` and `MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN`, for
//! EventBridge an API destination whose connection sends it as `x-api-key`.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde_json::Value;

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    records: Vec<Record>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sns: Message,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    message: String,
}

#[handler]
fn notified(event: LambdaEvent<Notification>) -> Result<Vec<Value>, Error> {
    let messages = event.payload.records.iter().map(|it| {
        println!("order: {}", it.sns.message);
        serde_json::from_str(&it.sns.message)
    });
    Ok(messages.collect::<Result<_, _>>()?)
}
