//! Records of a Kinesis stream, counted through a tumbling window: the state is handed on from one invocation to the
//! next, and the last one of a window reports it.
//!
//! ```sh
//! lamina deploy examples/stream
//! aws lambda create-event-source-mapping --function-name stream --event-source-arn arn:aws:kinesis:us-east-1:000000000000:stream/clicks --starting-position LATEST --tumbling-window-in-seconds 30 --endpoint-url http://127.0.0.1:3001
//! ```
//!
//! `[aws]` in `lamina.toml`, or `AWS_ENDPOINT_URL_KINESIS`, names the server of the stream.

use std::collections::BTreeMap;

use lamina_sdk::{Error, LambdaEvent, handler};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
    /// Records of each key so far.
    #[serde(default)]
    state: BTreeMap<String, u64>,
    #[serde(default)]
    is_final_invoke_for_window: bool,
}

#[derive(serde::Deserialize)]
struct Record {
    kinesis: Data,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    partition_key: String,
}

#[handler]
fn count(event: LambdaEvent<Batch>) -> Result<Value, Error> {
    let Batch {
        records,
        mut state,
        is_final_invoke_for_window,
    } = event.payload;
    for record in records {
        *state.entry(record.kinesis.partition_key).or_default() += 1;
    }
    if is_final_invoke_for_window {
        println!("counts of the window: {state:?}");
    }
    Ok(json!({"state": state}))
}
