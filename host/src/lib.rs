//! Lamina runs AWS Lambda functions as WebAssembly components.

pub mod api;
#[doc(hidden)]
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod invoke;
pub mod names;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod units;
