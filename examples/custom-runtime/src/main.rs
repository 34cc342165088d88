//! Custom runtime with its own `main`, like AWS's `lambda_runtime`: the program polls for events in
//! a loop instead of being called. Porting changes the import and the attribute of `main`.
//!
//! The response is the sum: `{"add": [1, 2, 3]}` gives `6`, and an event without `add`, such as a
//! request to the function URL, gives `0`. Any other value of `add` fails the invocation; the
//! program continues with the next one.

use lamina_sdk::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[lamina_sdk::main]
async fn main() -> Result<(), Error> {
    println!("runs once, before the first event");
    run(service_fn(sum)).await
}

async fn sum(event: LambdaEvent<Value>) -> Result<i64, Error> {
    let numbers = match &event.payload["add"] {
        Value::Null => &Vec::new(),
        numbers => numbers.as_array().ok_or("`add` is not a list")?,
    };
    let numbers = numbers
        .iter()
        .map(|n| n.as_i64().ok_or("not a whole number"));
    Ok(numbers.sum::<Result<i64, _>>()?)
}
