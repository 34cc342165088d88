//! Plain program without Lambda code: reads the event from stdin and prints the response. Each
//! invocation is a new run. A non-zero exit code fails the invocation.
//!
//! For `{"text": "to be or not to be"}` the response is `{"words": 6}`. An event without `text`,
//! such as a request to the function URL, has no words.

use std::error::Error;

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let event: Value = serde_json::from_reader(std::io::stdin())?;
    let text = event["text"].as_str().unwrap_or_default();
    eprintln!("stderr goes to the log");
    println!("{}", json!({ "words": text.split_whitespace().count() }));
    Ok(())
}
