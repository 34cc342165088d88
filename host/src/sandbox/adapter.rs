//! One adapter for each interface a component may have: how it is instantiated and called.

pub(super) mod command;
mod contract;
pub(super) mod custom_runtime;
pub(super) mod handler;
pub(super) mod http;
pub(super) mod inspect;
pub(super) mod streaming;
