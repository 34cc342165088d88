//! A program that knows nothing of Lambda: the event comes on stdin, what it prints is the
//! result. Each invocation is a new run. A non-zero exit code is a failed invocation.
//!
//! `{"text": "to be or not to be"}` is answered with `{"words": 6}`; an event without `text`, such as
//! a request to its function URL, has no words.

use std::error::Error;

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let event: Value = serde_json::from_reader(std::io::stdin())?;
    let text = event["text"].as_str().unwrap_or_default();
    eprintln!("stderr goes to the log");
    println!("{}", json!({ "words": text.split_whitespace().count() }));
    Ok(())
}
