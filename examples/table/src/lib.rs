//! Changes of a DynamoDB table, from its stream.
//!
//! ```sh
//! lamina deploy examples/table
//! aws lambda create-event-source-mapping --function-name table --event-source-arn "$STREAM_ARN" --starting-position TRIM_HORIZON --endpoint-url http://127.0.0.1:3001
//! ```
//!
//! `aws dynamodb describe-table` shows the ARN of the stream. `[aws]` in `lamina.toml`, or
//! `AWS_ENDPOINT_URL_DYNAMODB_STREAMS`, names its server.

use lamina_sdk::{Error, LambdaEvent, handler};
use serde_json::Value;

#[derive(serde::Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Change>,
}

#[derive(serde::Deserialize)]
struct Change {
    #[serde(rename = "eventName")]
    name: String,
    dynamodb: Images,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    keys: Value,
    #[serde(default)]
    new_image: Value,
}

#[handler]
fn follow(event: LambdaEvent<Batch>) -> Result<usize, Error> {
    let changes = event.payload.records;
    for Change { name, dynamodb } in &changes {
        println!("{name} {}: {}", dynamodb.keys, dynamodb.new_image);
    }
    Ok(changes.len())
}
