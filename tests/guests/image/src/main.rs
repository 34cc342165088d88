//! Shows what a program of an image sees: arguments, working directory, variables and files. The event has paths to
//! `read` and one to `write`.

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let event: Value = serde_json::from_reader(std::io::stdin())?;
    let paths = event["read"].as_array().into_iter().flatten();
    let read: BTreeMap<String, Option<String>> = paths
        .filter_map(Value::as_str)
        .map(|path| (path.to_owned(), fs::read_to_string(path).ok()))
        .collect();
    let written = event["write"]
        .as_str()
        .map(|path| fs::write(path, "x").is_ok());
    let shown = json!({
        "arguments": env::args().collect::<Vec<_>>(),
        "directory": wasip2::cli::environment::initial_cwd(),
        "greeting": env::var("GREETING").ok(),
        "handler": env::var("_HANDLER").ok(),
        "read": read,
        "written": written,
    });
    println!("{shown}");
    Ok(())
}
