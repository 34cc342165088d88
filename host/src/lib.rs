//! Lamina runs AWS Lambda functions as WebAssembly components, inside any program.
//!
//! A [`Host`] has no globals, installs no signal handlers and runs on the caller's tokio runtime. It keeps functions in a
//! data directory, and runs them in sandboxes that start in microseconds:
//!
//! ```no_run
//! use lamina::{Function, Host, InvokeOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::builder().data_dir("functions").build().await?;
//! let component = std::fs::read("hello.wasm")?;
//! let hello = host.deploy(Function::from_bytes("hello", component).memory_mib(256)).await?;
//! let response = hello.invoke(r#"{"name": "edge"}"#, InvokeOptions::default()).await?;
//! println!("{}", String::from_utf8_lossy(&response.payload));
//! # Ok(())
//! # }
//! ```
//!
//! # In a server
//!
//! A [`FunctionHandle`] is a [`tower::Service`] for HTTP requests of any body. `poll_ready` reserves a permit; bodies stream
//! both ways. So hyper serves it (`examples/embed/src/bin/embed-hyper.rs`):
//!
//! ```no_run
//! # async fn example(
//! #     host: lamina::Host,
//! #     listener: tokio::net::TcpListener,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//! use hyper_util::server::conn::auto;
//! use hyper_util::service::TowerToHyperService;
//!
//! let web = host.function("web:live")?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let web = TowerToHyperService::new(web.clone());
//!     tokio::spawn(async move {
//!         let server = auto::Builder::new(TokioExecutor::new());
//!         let _ended = server.serve_connection(TokioIo::new(stream), web).await;
//!     });
//! }
//! # }
//! ```
//!
//! # In a router
//!
//! Its error is [`Infallible`](std::convert::Infallible): a failed function is a response, as of a function URL. So axum
//! routes to it (`examples/embed/src/bin/embed-axum.rs`):
//!
//! ```ignore
//! let router = axum::Router::new()
//!     .route("/health", get(async || "ok"))
//!     .fallback_service(host.function("web")?);
//! ```
//!
//! # In a proxy
//!
//! A function decides about a request on its head alone ([`FunctionHandle::decide`]): the request continues, with changes or
//! without, or is answered. `examples/filter` is such a function, `examples/embed/src/bin/embed-axum.rs` runs it in front of
//! a router, and `examples/embed/src/bin/embed-directory.rs` serves a directory of components and swaps them while it runs.
//!
//! ```no_run
//! # async fn example(
//! #     host: lamina::Host,
//! #     request: http::Request<lamina::Body>,
//! # ) -> Result<http::Response<lamina::Body>, Box<dyn std::error::Error>> {
//! use lamina::Decision;
//! use tower::Service;
//!
//! let (filter, mut web) = (host.function("filter")?, host.function("web")?);
//! let (mut head, body) = request.into_parts();
//! match filter.decide(&head).await? {
//!     Decision::Continue => {}
//!     Decision::Modify(changes) => changes.apply(&mut head),
//!     Decision::Respond(response) => return Ok(response),
//!     _ => return Err("a decision of a later release".into()),
//! }
//! let request = http::Request::from_parts(head, body);
//! Ok(web.ready().await?.call(request).await?)
//! # }
//! ```
//!
//! # Functions
//!
//! Functions come from bytes ([`Host::deploy`]), from a directory of components ([`Host::deploy_directory`]), from an earlier
//! run in the same data directory, or through the AWS Lambda API ([`Host::handle`], [`Host::handle_as_owner`]). A deployment
//! replaces the code while calls are in progress: each ends in the code that it began in. [`HostBuilder::temporary`] keeps
//! nothing on disk after the host.
//!
//! [`Host::function`] gives a handle of a function, a version or an alias; the function need not be there yet.
//! [`FunctionHandle::prewarm`] starts environments ahead of calls, and [`Host::drain`] ends the host gracefully.
//!
//! # Errors
//!
//! [`Error`] has a variant for each thing that an embedder can do something about: no such function, a limit reached, a
//! function that failed. [`Error::blame`] names the party at fault.
//!
//! # Compilation
//!
//! Components are compiled in this process by default: without limits of time and memory, so only for components that you
//! trust. [`Compiler::this_program`] compiles in limited child processes.
//!
//! # Telemetry
//!
//! [`HostBuilder::observer`] adds a receiver of the platform events. Logs of functions are in the data directory, and the
//! host's own go through `tracing`.
//!
//! # Features
//!
//! - `cli` (default): the `lamina` program with its command line.
//! - `server`: `Host::serve`, a listener with the limits and time-outs that an open port needs.
//! - `metrics`: `HostBuilder::metrics_facade`, metrics for a recorder of the `metrics` crate.
//!
//! Embedders with connections of their own need none: `default-features = false`.

mod api;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
mod config;
mod control;
mod disk;
mod event_source;
mod events;
// Two attributes: clippy allows `unwrap` below a plain `cfg(test)` only.
#[cfg(test)]
#[cfg(feature = "server")]
mod fuzz;
mod host;
mod invoke;
mod library;
mod names;
mod outbound;
mod payload;
mod policy;
mod sandbox;
#[cfg(feature = "server")]
mod server;
mod store;
mod telemetry;
mod units;

pub use api::Ends;
pub use config::{
    Aws, Broker, Config, CustomDomain, CustomTarget, Error as ConfigError, HostLog, ImageRegistry,
    Images, Key, Limits, LogFormat, Network, Runtimes, S3, SigningAlgorithm, SigningProfile, Tls,
    TlsCertificate, Trigger, TriggerSource, UrlDomain, UrlScheme, Urls,
};
#[cfg(feature = "server")]
pub use host::ReloadError;
pub use host::{
    Error, Function, FunctionError, FunctionErrorKind, FunctionHandle, Host, HostBuilder,
    InvokeOptions, InvokeResponse, Throttle, compiler_main,
};
pub use invoke::Blame;
pub use names::{AccountId, Region, UserName};
pub use outbound::host_name::HostName;
pub use payload::body::{Body, Broken};
pub use payload::decision::{Changes, Decision};
pub use policy::{Malformed as PolicyError, Policy};
pub use sandbox::compile::Compiler;
pub use sandbox::{
    AccessPointArn, Cidr, Destination, Egress, EgressAction, EgressRule, FileSystem, InvalidArn,
};
pub use telemetry::observer::Observer;

/// Platform events of environments and invocations, for an [`Observer`].
pub mod event {
    pub use crate::telemetry::event::{
        Event, Fault, InitEnd, InitMetrics, InitReport, InitStart, InitializationType, LogsDropped,
        Metrics, Origin, Phase, Report, RuntimeDone, RuntimeMetrics, Start, Status,
    };
    pub use crate::telemetry::observer::Source;
}
