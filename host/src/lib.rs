//! Lamina runs AWS Lambda functions as WebAssembly components.

pub mod clock;
pub mod control;
pub mod invoke;
pub mod names;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod units;
