//! The host's account of itself and of its functions: platform events, the logs that they and functions write, and
//! counters.

pub mod event;
pub mod log;
pub mod metrics;
