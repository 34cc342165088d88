//! Telemetry: platform events, function logs and metrics.

pub mod event;
pub mod level;
pub mod log;
pub mod metrics;
pub mod observer;
