//! Streaming function: each line reaches the caller as it is written. Behind a function URL with
//! InvokeMode RESPONSE_STREAM: `curl -N 'http://.../?from=3'`.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use lamina_sdk::{Error, LambdaEvent, MetadataPrelude, ResponseStream, streaming_handler};

/// Relevant part of a function URL's event.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    query_string_parameters: Query,
}

#[derive(Default, serde::Deserialize)]
struct Query {
    from: Option<String>,
}

#[streaming_handler]
fn countdown(event: LambdaEvent<Request>, response: &mut ResponseStream) -> Result<(), Error> {
    let query = event.payload.query_string_parameters;
    let from: u32 = query.from.as_deref().unwrap_or("3").parse()?;
    response.set_metadata(&MetadataPrelude::new(200).header("content-type", "text/plain"))?;
    for number in (1..=from).rev() {
        writeln!(response, "{number}")?;
        sleep(Duration::from_millis(500));
    }
    response.send_text("lift-off\n")?;
    Ok(())
}
