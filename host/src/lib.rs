//! Lamina runs AWS Lambda functions as WebAssembly components.
//!
//! This is the library that the `lamina` program is made of; an edge proxy or a test links it the
//! same way. A [`Host`] has no globals, installs no signal handlers and runs on the caller's tokio
//! runtime. Functions are managed through the AWS Lambda API, which [`Host::serve`] offers on a
//! socket and [`Host::handle`] answers request by request; they are called through that API,
//! through their URLs, or directly:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = lamina::Host::open(lamina::Config::default()).await?;
//! let hello = host.function("hello")?;
//! let answer = hello.invoke(r#"{"name": "edge"}"#.into()).await?;
//! println!("{}", String::from_utf8_lossy(&answer.payload));
//! # Ok(())
//! # }
//! ```
//!
//! Two things to know: functions compile in a child process when [`Compiler::Child`] says which
//! program to run, and in this process otherwise; and a [`Host`] is over when it is dropped.

mod api;
#[doc(hidden)]
pub mod cli;
mod clock;
mod config;
mod control;
mod disk;
mod event_source;
mod events;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod host;
mod invoke;
mod library;
mod names;
mod outbound;
mod payload;
mod policy;
mod sandbox;
mod server;
mod store;
mod telemetry;
mod units;

pub use config::{
    Aws, Config, CustomDomain, CustomTarget, Error as ConfigError, Key, Limits, Network, Runtimes,
    S3, SigningAlgorithm, SigningProfile, Tls, TlsCertificate, UrlDomain, UrlScheme, Urls,
};
pub use host::{Error, FunctionHandle, Host, InvokeResponse, ReloadError};
pub use names::{AccountId, Region, UserName};
pub use outbound::host_name::HostName;
pub use payload::body::{Body, Broken};
pub use policy::{Malformed as PolicyError, Policy};
pub use sandbox::compile::Compiler;
pub use sandbox::{Cidr, Destination, Egress, EgressAction, EgressRule};
