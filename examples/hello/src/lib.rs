//! Minimal function: a typed event and a typed response.

use lamina_sdk::{Error, LambdaEvent, handler};

#[derive(serde::Deserialize)]
struct Request {
    name: Option<String>,
}

#[handler]
fn hello(event: LambdaEvent<Request>) -> Result<String, Error> {
    let name = event.payload.name.as_deref().unwrap_or("world");
    println!("greeting {name}");
    Ok(format!("Hello, {name}!"))
}
