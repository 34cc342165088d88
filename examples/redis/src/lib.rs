//! Entries of a Redis stream: those that fail are reported, and come again; the others are acknowledged.
//!
//! ```sh
//! lamina dev examples/redis
//! redis-cli XADD orders '*' articles 3
//! ```
//!
//! `lamina dev` makes the event source mapping that `lamina.toml` declares. By hand it is `aws lambda
//! create-event-source-mapping` with the same ARN, whose last parts are the name of the server and the key of the stream.

use std::collections::BTreeMap;

use lamina_sdk::{Error, LambdaEvent, handler};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Entry>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    message_id: String,
    fields: BTreeMap<String, String>,
}

#[handler]
fn work(event: LambdaEvent<Batch>) -> Result<Value, Error> {
    let failed = event.payload.records.iter().filter(|it| !is_done(it));
    let failed = failed.map(|it| json!({"itemIdentifier": it.message_id}));
    Ok(json!({"batchItemFailures": failed.collect::<Vec<_>>()}))
}

/// An order has a number of articles.
fn is_done(entry: &Entry) -> bool {
    println!("order: {:?}", entry.fields);
    let articles = entry.fields.get("articles");
    articles.is_some_and(|it| it.parse::<u32>().is_ok())
}
