//! A program with its own loop, as one writes with AWS's `lambda_runtime`: what runs before `run` is
//! the init code.

use lamina_sdk::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if event.payload["fail"].as_bool() == Some(true) {
        return Err("you asked for it".into());
    }
    Ok(json!({ "echo": event.payload, "request": event.context.request_id }))
}

fn main() -> Result<(), Error> {
    println!("init: before the first event");
    run(service_fn(echo))
}
