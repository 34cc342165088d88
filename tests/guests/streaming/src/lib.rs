//! Streaming function, driven by its event: `{"metadata": {...}, "chunks": ["a", "b"]}`. `"late":
//! true` sends the metadata after the chunks, `"fail": "why"` ends the stream with a failure,
//! `"pause_ms"` waits between chunks, `"repeat"` repeats the chunks, `"log"` logs a line at the
//! end, `"stamps"` writes as many times of writing first. Behind a function URL, the request body
//! holds the event.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exports::lambda::function::streaming_handler::{Context, Failure, Guest, ResponseStream};
use lambda::function::response::WriteError;
use serde::Deserialize;

wit_bindgen::generate!({ path: "../../../wit", world: "streaming-function" });

#[derive(Deserialize)]
struct Wish {
    metadata: Option<serde_json::Value>,
    #[serde(default)]
    chunks: Vec<String>,
    /// Repetitions of the chunks.
    #[serde(default = "once")]
    repeat: u32,
    /// Log line after the last chunk.
    log: Option<String>,
    /// Times in nanoseconds since the Unix epoch, each a chunk, 20 digits long.
    #[serde(default)]
    stamps: u32,
    #[serde(default)]
    late: bool,
    #[serde(default)]
    pause_ms: u64,
    fail: Option<String>,
}

/// Relevant part of a function URL's event.
#[derive(Default, Deserialize)]
struct Arrived {
    body: Option<String>,
}

struct Streaming;

export!(Streaming);

impl Guest for Streaming {
    fn init() -> Result<(), Failure> {
        Ok(())
    }

    fn invoke(event: String, _: Context, response: &ResponseStream) -> Result<(), Failure> {
        let arrived: Arrived = serde_json::from_str(&event).unwrap_or_default();
        let wish = serde_json::from_str(arrived.body.as_ref().unwrap_or(&event))
            .map_err(|error| failure("UnknownWish", &error.to_string()))?;
        fulfil(&wish, response).map_err(|error| failure("WriteRefused", &format!("{error:?}")))?;
        match wish.fail {
            Some(why) => Err(failure("Asked", &why)),
            None => Ok(()),
        }
    }

    fn before_checkpoint() -> Result<(), Failure> {
        Ok(())
    }

    fn after_restore() -> Result<(), Failure> {
        Ok(())
    }
}

fn once() -> u32 {
    1
}

fn fulfil(wish: &Wish, response: &ResponseStream) -> Result<(), WriteError> {
    let set_metadata = || match &wish.metadata {
        Some(metadata) => response.set_metadata(&metadata.to_string()),
        None => Ok(()),
    };
    if !wish.late {
        set_metadata()?;
    }
    for _ in 0..wish.stamps {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos();
        response.write(&format!("{nanos:020}"))?;
        std::thread::sleep(Duration::from_millis(wish.pause_ms));
    }
    for _ in 0..wish.repeat {
        for chunk in &wish.chunks {
            response.write(chunk)?;
            std::thread::sleep(Duration::from_millis(wish.pause_ms));
        }
    }
    if let Some(line) = &wish.log {
        println!("{line}");
    }
    if wish.late {
        set_metadata()?;
    }
    Ok(())
}

fn failure(error_type: &str, error_message: &str) -> Failure {
    Failure {
        error_type: error_type.to_owned(),
        error_message: error_message.to_owned(),
        stack_trace: Vec::new(),
    }
}
