//! Write AWS Lambda functions in Rust as WebAssembly components.
//!
//! A function is a library (`crate-type = ["cdylib"]`) with one handler:
//!
//! ```
//! use lamina_sdk::{Error, LambdaEvent, handler};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Request {
//!     name: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Response {
//!     message: String,
//! }
//!
//! #[handler]
//! async fn greet(event: LambdaEvent<Request>) -> Result<Response, Error> {
//!     Ok(Response { message: format!("Hello, {}!", event.payload.name) })
//! }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2`; the `.wasm` file is the function.
//!
//! * **Init once, then many invokes.** `#[handler(init = setup)]` runs `fn setup() -> Result<State, E>`
//!   once in each environment; the handler gets `&State` as its second argument.
//! * **Errors.** Any error type will do: its name becomes `errorType` and its text `errorMessage`. Return a
//!   [`Diagnostic`] to choose both.
//! * **Async** handlers are polled to their end. There are no timers or sockets to await in
//!   this crate yet; what is ready at once works.
//! * **Logs.** Whatever goes to stdout or stderr is in the function's log. The feature `tracing` brings
//!   a subscriber: see `tracing::init_default_subscriber`.
//!
//! A program with a `main` works too, as it does with AWS's `lambda_runtime`: see [`run`].

mod bindings;
mod context;
mod diagnostic;
mod execute;
mod runtime;
#[cfg(feature = "tracing")]
pub mod tracing;

pub use context::{Config, Context, Identity};
pub use diagnostic::{Diagnostic, Error};
pub use lamina_sdk_macro::handler;
pub use runtime::{run, service_fn};

/// An event and its context.
#[derive(Clone, Debug)]
pub struct LambdaEvent<T> {
    /// The event.
    pub payload: T,
    /// Facts about the invocation.
    pub context: Context,
}

impl<T> LambdaEvent<T> {
    /// An event with its context.
    pub fn new(payload: T, context: Context) -> Self {
        Self { payload, context }
    }

    /// The event and its context.
    pub fn into_parts(self) -> (T, Context) {
        (self.payload, self.context)
    }
}

/// What the code that [`handler`] makes needs. Not for anyone else.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::function;
    pub use crate::execute::{block_on, initialise, invoke};
}
