//! Records of queues and streams, which hold actions: in the body, the data, or the attribute or field `action`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::act::{self, Act};
use crate::exports::lambda::function::handler::{Context, Failure};

/// Batch of an event source.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Value>,
    /// State of a tumbling window.
    #[serde(default)]
    state: Option<Value>,
    #[serde(default)]
    is_final_invoke_for_window: bool,
}

impl Batch {
    /// Performs all actions, and reports those that fail. With `BATCH=throw`, the first that fails is a function error.
    pub fn perform(self, context: &Context) -> Result<String, Failure> {
        let throws = std::env::var("BATCH").is_ok_and(|it| it == "throw");
        let mut failures = Vec::new();
        let mut state = self.state.unwrap_or_else(|| json!({}));
        for record in &self.records {
            let action = action(record);
            let performed = match serde_json::from_str::<Act>(&action) {
                Ok(act) => act::perform(act, &action, context),
                Err(error) => Err(crate::failure("UnknownAct", &error.to_string())),
            };
            match performed {
                Ok(_) => {}
                Err(failure) if throws => return Err(failure),
                Err(_) => failures.push(json!({"itemIdentifier": identifier(record)})),
            }
            let action: Value = serde_json::from_str(&action).unwrap_or_default();
            state["address"] = action["address"].clone();
            state["count"] = json!(state["count"].as_u64().unwrap_or_default() + 1);
        }
        if self.is_final_invoke_for_window {
            let address = state["address"].as_str().unwrap_or_default();
            act::report(address, &format!("window {}", state["count"])).expect("it listens");
        }
        Ok(json!({"batchItemFailures": failures, "state": state}).to_string())
    }
}

fn action(record: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    text(&record["body"])
        .or_else(|| text(&record["fields"]["action"]))
        .or_else(|| text(&record["dynamodb"]["NewImage"]["action"]["S"]))
        .or_else(|| record["kinesis"]["data"].as_str().map(decoded))
        .unwrap_or_default()
}

fn identifier(record: &Value) -> &Value {
    [
        &record["messageId"],
        &record["kinesis"]["sequenceNumber"],
        &record["dynamodb"]["SequenceNumber"],
    ]
    .into_iter()
    .find(|it| it.is_string())
    .unwrap_or(&Value::Null)
}

/// Text in base64.
fn decoded(text: &str) -> String {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_be_bytes()[3]);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
