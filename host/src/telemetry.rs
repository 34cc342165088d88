//! The host's account of itself and of its functions: platform events, and the logs that they and functions write.

pub mod event;
pub mod log;
