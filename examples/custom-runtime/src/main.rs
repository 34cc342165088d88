//! A function with its own `main`, as AWS's `lambda_runtime` has it: the program asks for events
//! in a loop instead of being called. Porting one changes the import and the attribute of `main`.
//!
//! It answers with the sum: `{"add": [1, 2, 3]}` gives `6`, and an event without `add`, such as a
//! request to its function URL, gives `0`. Anything but a list of numbers under `add` is a failed
//! invocation; the program goes on with the next.

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
