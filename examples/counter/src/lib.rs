//! State that an environment keeps between invocations.
//!
//! Init runs once in each environment. Its state and the files in `/tmp` live as long as the
//! environment; another environment of the same function has its own. This counter counts the
//! invocations of one environment, in memory and in a file.
//!
//! The first response to `{"by": 2}` is `{"memory": 2, "file": 2}`.

use std::cell::Cell;
use std::fs;
use std::io::ErrorKind;

use lamina_sdk::{Error, LambdaEvent, handler};

const FILE: &str = "/tmp/count";

struct Counter {
    count: Cell<u64>,
}

#[derive(serde::Deserialize)]
struct Step {
    #[serde(default = "one")]
    by: u64,
}

#[derive(serde::Serialize)]
struct Counts {
    memory: u64,
    file: u64,
}

#[handler(init = start)]
fn count(event: LambdaEvent<Step>, counter: &Counter) -> Result<Counts, Error> {
    let by = event.payload.by;
    counter.count.set(counter.count.get() + by);
    let memory = counter.count.get();

    let file = stored()? + by;
    fs::write(FILE, file.to_string())?;

    println!("counted to {memory} for {}", event.context.request_id);
    Ok(Counts { memory, file })
}

fn start() -> Result<Counter, Error> {
    println!("a new environment starts");
    let count = Cell::new(0);
    Ok(Counter { count })
}

fn stored() -> Result<u64, Error> {
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(text.parse()?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn one() -> u64 {
    1
}
