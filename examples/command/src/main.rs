//! A plain program: the event is on stdin, the result on stdout, the log on stderr. Any language that
//! compiles to WASI can do this.

use std::io::{self, Read};

fn main() -> io::Result<()> {
    let mut event = String::new();
    io::stdin().read_to_string(&mut event)?;
    let event: serde_json::Value = serde_json::from_str(&event)?;
    eprintln!("got {event}");
    let words = event["text"].as_str().unwrap_or_default().split_whitespace().count();
    println!("{}", serde_json::json!({ "words": words }));
    Ok(())
}
