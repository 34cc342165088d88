//! The lines Lambda writes around an invocation: START, END, REPORT, and why it failed.

use std::fmt::Write;
use std::time::Duration;

use super::request::{Outcome, Usage};
use super::resolve::Resolved;
use crate::sandbox::{Cause, Failure};
use crate::telemetry::log::EnvironmentLog;

pub(super) fn start(resolved: &Resolved) -> String {
    format!(
        "START RequestId: {} Version: {}",
        resolved.invoke.request_id, resolved.version.label
    )
}

/// The line that tells why there was no answer. What a handler answered is its own affair.
pub(super) fn failure(log: &EnvironmentLog, resolved: &Resolved, failure: &Failure) {
    match failure.cause {
        Cause::Handler => {}
        Cause::Environment | Cause::Timeout => {
            let id = resolved.invoke.request_id;
            let message = failure
                .message
                .strip_prefix("RequestId: ")
                .unwrap_or(&failure.message);
            let message = message
                .strip_prefix(id.as_str())
                .unwrap_or(message)
                .trim_start();
            log.line(&format!("RequestId: {id} {message}"));
        }
    }
}

pub(super) fn end(log: &EnvironmentLog, resolved: &Resolved, outcome: &Outcome, usage: &Usage) {
    let id = resolved.invoke.request_id;
    log.line(&format!("END RequestId: {id}"));
    let billed = (usage.duration + usage.init.unwrap_or_default())
        .as_micros()
        .div_ceil(1_000);
    let mut line = String::with_capacity(256);
    let _ = write!(
        line,
        "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
         Max Memory Used: {} MB\t",
        millis(usage.duration),
        billed.max(1),
        resolved.version.settings.memory.get(),
        usage.memory_bytes_max.div_ceil(1 << 20).max(1),
    );
    if let Some(init) = usage.init {
        let _ = write!(line, "Init Duration: {:.2} ms\t", millis(init));
    }
    match outcome {
        Ok(_) => {}
        Err(Failure {
            cause: Cause::Timeout,
            ..
        }) => line.push_str("Status: timeout"),
        Err(Failure {
            cause: Cause::Environment,
            error_type,
            ..
        }) => {
            let _ = write!(line, "Status: error\tError Type: {error_type}");
        }
        Err(Failure {
            cause: Cause::Handler,
            ..
        }) => {}
    }
    log.line(&line);
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
