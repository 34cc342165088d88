//! Extensions: programs that run beside a function, in each of its environments.
//!
//! ```no_run
//! use lamina_sdk::Error;
//! use lamina_sdk::extension::{Event, Extension};
//!
//! fn main() -> Result<(), Error> {
//!     Extension::new().run(|event| {
//!         match event {
//!             Event::Invoke(invocation) => println!("{} begins", invocation.request_id),
//!             Event::Telemetry(_) => {}
//!             Event::Shutdown(_) => println!("the environment ends"),
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Build it as a binary for `wasm32-wasip2`, and publish it in a layer at `extensions/<name>.wasm`. The environment
//! is busy until the closure returns, within the timeout of the function; the function's caller does not wait for it.

#[cfg(target_family = "wasm")]
use crate::guest::extension as host;
#[cfg(not(target_family = "wasm"))]
use crate::native::extension as host;
use crate::{Diagnostic, Error};

/// An extension before it has registered.
#[derive(Clone, Debug)]
pub struct Extension {
    pub(crate) invoke: bool,
    pub(crate) telemetry: Vec<Telemetry>,
    pub(crate) buffering: Option<Buffering>,
}

/// Event of an extension.
#[derive(Clone, Debug)]
pub enum Event {
    /// The function is invoked.
    Invoke(Invocation),
    /// Records of the subscription: a JSON array, in the schema of AWS's Telemetry API.
    Telemetry(String),
    /// The environment ends; the program exits once the closure returns.
    Shutdown(Ending),
}

/// An invocation of the function, which begins at the same time.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Request id.
    pub request_id: String,
    /// Deadline of the invocation and of the work for it, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// Invoked ARN.
    pub invoked_function_arn: String,
    /// X-Ray tracing header.
    pub trace_id: Option<String>,
    /// Tenant id, for functions with tenant isolation.
    pub tenant_id: Option<String>,
}

/// End of an environment.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its reason.
    pub reason: Reason,
    /// Time at which the extension is stopped, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// Reason for the end of an environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is not needed any more.
    Spindown,
    /// An invocation, or an extension's work for it, timed out.
    Timeout,
    /// The function or an extension ended.
    Failure,
}

/// Kinds of telemetry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Telemetry {
    /// Platform events, such as `platform.start` and `platform.report`.
    Platform,
    /// Lines that the function writes to its log.
    Function,
    /// Lines that extensions write to the log.
    Extension,
}

/// Conditions of the delivery of telemetry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Buffering {
    /// Records: 1,000 to 10,000.
    pub max_items: u32,
    /// Bytes: 262,144 to 1,048,576.
    pub max_bytes: u32,
    /// Milliseconds since the first record: 25 to 30,000.
    pub timeout_ms: u32,
}

impl Default for Extension {
    fn default() -> Self {
        Self {
            invoke: true,
            telemetry: Vec::new(),
            buffering: None,
        }
    }
}

impl Extension {
    /// An extension that gets all events but telemetry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gets no event of invocations, which then cost it nothing.
    pub fn without_invoke(mut self) -> Self {
        self.invoke = false;
        self
    }

    /// Subscribes to telemetry.
    pub fn telemetry(mut self, kinds: &[Telemetry]) -> Self {
        self.telemetry = kinds.to_vec();
        self
    }

    /// Sets when telemetry is delivered. Default: 10,000 records, 262,144 bytes or 1,000 ms.
    pub fn buffering(mut self, buffering: Buffering) -> Self {
        self.buffering = Some(buffering);
        self
    }

    /// Registers, and handles one event after the other until the environment ends.
    ///
    /// # Errors
    ///
    /// If the closure fails, which ends the environment; if the host refuses the subscription; or in a native build,
    /// which has no host.
    pub fn run(self, mut handle: impl FnMut(Event) -> Result<(), Error>) -> Result<(), Error> {
        host::register(&self)?;
        loop {
            let event = host::next();
            let is_last = matches!(event, Event::Shutdown(_));
            if let Err(error) = handle(event) {
                let diagnostic = Diagnostic::from(error);
                host::exit_error(&diagnostic.error_type, &diagnostic.error_message);
                return Err(diagnostic.error_message.into());
            }
            if is_last {
                return Ok(());
            }
        }
    }
}
