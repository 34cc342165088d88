//! Write AWS Lambda functions in Rust as WebAssembly components.
//!
//! The shape is that of AWS's `lambda_runtime`: [`LambdaEvent`], [`Context`], [`Error`],
//! [`Diagnostic`], [`service_fn`] and [`run`] mean the same here, and the event types of
//! `aws_lambda_events` work. The function needs neither WIT files nor a binding generator.
//!
//! # A function
//!
//! A library with `crate-type = ["cdylib"]`, built by `cargo build --release --target
//! wasm32-wasip2`. The host calls it once for each event:
//!
//! ```
//! use lamina_sdk::{Error, LambdaEvent, handler};
//!
//! #[derive(serde::Deserialize)]
//! struct Request {
//!     name: String,
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Response {
//!     message: String,
//! }
//!
//! #[handler]
//! async fn greet(event: LambdaEvent<Request>) -> Result<Response, Error> {
//!     let message = format!("Hello, {}!", event.payload.name);
//!     Ok(Response { message })
//! }
//!
//! // A handler is an ordinary function, so a test calls it; no host is needed.
//! let event = LambdaEvent::new(Request { name: "Ada".into() }, Default::default());
//! let response = lamina_sdk::block_on(greet(event)).unwrap();
//! assert_eq!(response.message, "Hello, Ada!");
//! ```
//!
//! Work done once goes into an init function; each call borrows its return value:
//!
//! ```
//! use lamina_sdk::{Error, LambdaEvent, handler};
//! use serde_json::Value;
//!
//! struct Prices(Value);
//!
//! fn load() -> Result<Prices, Error> {
//!     let file = std::fs::read("/var/task/prices.json")?;
//!     Ok(Prices(serde_json::from_slice(&file)?))
//! }
//!
//! #[handler(init = load)]
//! fn price(event: LambdaEvent<String>, prices: &Prices) -> Result<Value, Error> {
//!     Ok(prices.0[&event.payload].clone())
//! }
//! ```
//!
//! # Streamed responses
//!
//! A [`streaming_handler`] writes its response instead of returning one. Each write reaches the
//! caller at once: through a function URL with InvokeMode RESPONSE_STREAM, or through
//! InvokeWithResponseStream.
//!
//! ```
//! use std::io::Write;
//! use lamina_sdk::{Error, LambdaEvent, MetadataPrelude, ResponseStream, streaming_handler};
//!
//! #[streaming_handler]
//! fn count(event: LambdaEvent<u32>, response: &mut ResponseStream) -> Result<(), Error> {
//!     response.set_metadata(&MetadataPrelude::new(200).header("content-type", "text/plain"))?;
//!     for number in 0..event.payload {
//!         writeln!(response, "{number}")?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Porting from `lambda_runtime`
//!
//! A program with its own `main` becomes a custom runtime, which polls the host for events in a
//! loop and is built as a binary. Only the import and the attribute of `main` change.
//!
//! ```no_run
//! use lamina_sdk::{Error, LambdaEvent, run, service_fn};
//! use serde_json::Value;
//!
//! #[lamina_sdk::main]
//! async fn main() -> Result<(), Error> {
//!     run(service_fn(echo)).await
//! }
//!
//! async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
//!     Ok(event.payload)
//! }
//! ```
//!
//! # Errors
//!
//! A [`Diagnostic`] holds the `errorType` and `errorMessage` that the caller sees. With [`Error`]
//! and
//! `?` any error works. An error type of your own is reported under its own name, or converted by
//! its
//! `From` implementation for [`Diagnostic`]. An event that does not fit its type is
//! `Runtime.UnmarshalError`, with the position of the error. With the feature `anyhow` an
//! `anyhow::Error` works too, and its message has the whole context.
//!
//! A panic cannot be caught in WebAssembly: its message goes to the log, the environment ends and
//! the caller sees `Runtime.ExitError`. In a custom runtime the caller sees the message too.
//!
//! # Logs
//!
//! `println!` and `eprintln!` write to the function's log. So do the macros of
//! [`lamina_sdk::tracing`], after `lamina_sdk::tracing::init_default_subscriber()`; they need the
//! default feature `tracing`.
//!
//! # Async runtime
//!
//! A component has one thread and handles one event at a time. `async` functions, `join!`,
//! `select!`, channels and streams work. Futures of `tokio::time` or `tokio::net` panic, because
//! they need a reactor. `std::thread::sleep`, `std::net` and `std::fs` work, and block.
//!
//! # Snapshots
//!
//! With SnapStart an environment is snapshotted after init and then copied. Open files and
//! sockets do not survive this: close them in `before_checkpoint` and open them again in
//! `after_restore`, both options of [`handler`]. Standard output, preopened directories and
//! environment variables are taken care of.
#![warn(missing_docs)]

extern crate self as lamina_sdk;

mod context;
mod diagnostic;
mod event;
mod executor;
pub mod extension;
#[cfg(target_family = "wasm")]
mod guest;
#[cfg(not(target_family = "wasm"))]
mod native;
mod outcome;
mod program;
mod response;
mod service;
#[cfg(feature = "tracing")]
pub mod tracing;

pub use context::{ClientApplication, ClientContext, CognitoIdentity, Config, Context};
pub use diagnostic::Diagnostic;
pub use event::LambdaEvent;
pub use executor::block_on;
pub use lamina_sdk_macro::{handler, main, streaming_handler};
pub use program::run;
pub use response::{MetadataPrelude, ResponseStream, WriteError};
pub use service::{ServiceFn, service_fn};
pub use tower_service::Service;

/// Boxed error, the target of `?`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Support code of the attribute macros. Not public API: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::string::String;
    pub use std::thread::LocalKey;

    pub use crate::diagnostic::{ByConversion, ByTypeName, Otherwise, Probe};
    pub use crate::event::{read_event, write_response};
    pub use crate::executor::block_on;
    #[cfg(target_family = "wasm")]
    pub use crate::guest::streaming::{
        ExportedStream, bindings as streaming_bindings, export as export_stream,
    };
    #[cfg(target_family = "wasm")]
    pub use crate::guest::{Exported, bindings, export, wit_bindgen};
    #[cfg(not(target_family = "wasm"))]
    pub use crate::native::{Exported, ExportedStream, export, export_stream};
    pub use crate::outcome::{Outcome, outcome};
    pub use crate::program::{Function, Handler, Slot, StreamingHandler, start};
}
