//! What Lamina itself writes to a function's log, around what the function writes: in text or in JSON,
//! as the log is.

use std::time::Duration;

use super::lease::Initialization;
use super::request::{Outcome, Usage};
use super::resolve::Resolved;
use super::snapshot::Version;
use crate::sandbox::{Cause, Failure};
use crate::telemetry::log::{EnvironmentLog, Format};

mod json;
mod text;

/// The version of this host, as the version of the runtime.
const RUNTIME_VERSION: &str = concat!("lamina:", env!("CARGO_PKG_VERSION"));

/// An environment begins.
pub(super) fn init_start(
    log: &EnvironmentLog,
    version: &Version,
    log_stream: &str,
    initialization: Initialization,
    runtime_version_arn: &str,
) {
    match log.format() {
        Format::Text => log.line(&text::init_start(runtime_version_arn)),
        Format::Json(_) => json::init_start(log, version, log_stream, initialization),
    }
}

/// An environment is there, or did not come up. In text, REPORT has how long it took, and only a failure is told.
pub(super) fn init_end(
    log: &EnvironmentLog,
    initialization: Initialization,
    duration: Duration,
    failure: Option<&Failure>,
) {
    match log.format() {
        Format::Text => failure.into_iter().for_each(|failure| {
            text::init_failed(log, initialization, duration, failure);
        }),
        Format::Json(_) => json::init_end(log, initialization, duration, failure),
    }
}

/// An invocation begins.
pub(super) fn start(log: &EnvironmentLog, resolved: &Resolved) {
    match log.format() {
        Format::Text => log.line(&text::start(resolved)),
        Format::Json(_) => json::start(log, resolved),
    }
}

/// Tells why there is no answer. What a handler answers is its own affair.
pub(super) fn failure(log: &EnvironmentLog, resolved: &Resolved, failure: &Failure) {
    if failure.cause == Cause::Handler {
        return;
    }
    let id = &resolved.invoke.request_id;
    match log.format() {
        Format::Text => log.failure(&text::failure(id, failure)),
        Format::Json(_) => log.failure(text::reason(id, failure)),
    }
}

/// An invocation has ended.
pub(super) fn end(log: &EnvironmentLog, resolved: &Resolved, outcome: &Outcome, usage: &Usage) {
    match log.format() {
        Format::Text => text::end(log, resolved, outcome, usage),
        Format::Json(_) => json::end(log, resolved, outcome, usage),
    }
}

/// What an invocation would be billed, in milliseconds.
fn billed(usage: &Usage) -> u64 {
    let time = usage.duration + usage.init.unwrap_or_default();
    let millis = time.as_micros().div_ceil(1_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The memory an environment has used, in the unit that is reported.
fn memory_used(usage: &Usage) -> u64 {
    usage.memory_bytes_max.div_ceil(1 << 20).max(1)
}
