//! The lines Lambda writes around an invocation in text: START, END, REPORT, and why it failed.

use std::fmt::Write;
use std::time::Duration;

use super::{RUNTIME_VERSION, billed, memory_used};
use crate::invoke::lease::Initialization;
use crate::invoke::request::{Outcome, Usage};
use crate::invoke::resolve::Resolved;
use crate::names::RequestId;
use crate::sandbox::{Cause, Failure};
use crate::telemetry::log::EnvironmentLog;

pub(super) fn init_start(runtime_version_arn: &str) -> String {
    format!(
        "INIT_START Runtime Version: {RUNTIME_VERSION}\tRuntime Version ARN: {runtime_version_arn}"
    )
}

/// Why an environment did not come up, and AWS's line for that.
pub(super) fn init_failed(
    log: &EnvironmentLog,
    initialization: Initialization,
    duration: Duration,
    failure: &Failure,
) {
    let (error_type, message) = (&failure.error_type, &failure.message);
    match failure.cause {
        Cause::Handler => log.failure(&format!("{error_type}: {message}")),
        Cause::Environment | Cause::Timeout => log.failure(message),
    }
    log.line(&format!(
        "INIT_REPORT Init Duration: {:.2} ms\tPhase: {}\t{}",
        millis(duration),
        initialization.phase(),
        status(failure)
    ));
}

pub(super) fn start(resolved: &Resolved) -> String {
    format!(
        "START RequestId: {} Version: {}",
        resolved.invoke.request_id, resolved.version.label
    )
}

pub(super) fn failure(id: &RequestId, failure: &Failure) -> String {
    format!("RequestId: {id} {}", reason(id, failure))
}

/// The message of a failure without the id of the invocation, which most begin with.
pub(super) fn reason<'a>(id: &RequestId, failure: &'a Failure) -> &'a str {
    let message = failure.message.as_str();
    let message = message.strip_prefix("RequestId: ").unwrap_or(message);
    message
        .strip_prefix(id.as_str())
        .unwrap_or(message)
        .trim_start()
}

pub(super) fn end(log: &EnvironmentLog, resolved: &Resolved, outcome: &Outcome, usage: &Usage) {
    let id = resolved.invoke.request_id;
    log.line(&format!("END RequestId: {id}"));
    let mut line = String::with_capacity(256);
    let _ = write!(
        line,
        "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
         Max Memory Used: {} MB\t",
        millis(usage.duration),
        billed(usage),
        resolved.version.settings.memory.get(),
        memory_used(usage),
    );
    if let Some(init) = usage.init {
        let _ = write!(line, "Init Duration: {:.2} ms\t", millis(init));
    }
    // What a handler says is its own affair.
    if let Err(failure) = outcome
        && failure.cause != Cause::Handler
    {
        line.push_str(&status(failure));
    }
    log.line(&line);
}

fn status(failure: &Failure) -> String {
    match failure.cause {
        Cause::Timeout => "Status: timeout".to_owned(),
        Cause::Handler | Cause::Environment => {
            format!("Status: error\tError Type: {}", failure.error_type)
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
