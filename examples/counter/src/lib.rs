//! Lambda's programming model: `init` runs once, the instance stays, and so does what is in `/tmp`.

use std::cell::Cell;
use std::fs;
use std::sync::Mutex;

use lamina_sdk::{Error, LambdaEvent, handler};

struct State {
    greeting: String,
    invocations: Mutex<Cell<u32>>,
}

#[derive(serde::Serialize)]
struct Response {
    greeting: String,
    invocations: u32,
    in_file: u32,
}

fn setup() -> Result<State, Error> {
    println!("init: this is in the log once for each environment");
    let greeting = std::env::var("GREETING").unwrap_or_else(|_| "hello".into());
    Ok(State { greeting, invocations: Mutex::default() })
}

#[handler(init = setup)]
fn count(event: LambdaEvent<serde::de::IgnoredAny>, state: &State) -> Result<Response, Error> {
    let cell = state.invocations.lock().map_err(|error| error.to_string())?;
    cell.set(cell.get() + 1);
    let in_file = fs::read_to_string("/tmp/count").map_or(Ok(0), |text| text.parse::<u32>())? + 1;
    fs::write("/tmp/count", in_file.to_string())?;
    println!("invocation {} is {}", event.context.request_id, cell.get());
    Ok(Response { greeting: state.greeting.clone(), invocations: cell.get(), in_file })
}
