//! Platform events and errors as JSON log lines. Shapes are AWS's: of the Telemetry API for events,
//! of the runtimes for function errors.

use serde::Serialize;
use serde_json::json;

use super::format::{self, Invocation, Levels};
use super::text;
use crate::clock::Timestamp;
use crate::telemetry::event::{Event, Fault, Origin};
use crate::telemetry::level::Level;

/// JSON line of an event; `None` if its level is filtered out.
pub(super) fn line(
    event: &Event<'_>,
    levels: Levels,
    at: Timestamp,
    invocation: Option<&Invocation>,
) -> Option<String> {
    if let Event::Fault(it) = event {
        return fault(it, levels, at, invocation);
    }
    if event.level() < levels.system {
        return None;
    }
    event.to_record(at)
}

impl Event<'_> {
    /// Record of the event in the schema of the Telemetry API; `None` for a failure, which is a line there.
    pub fn to_record(&self, at: Timestamp) -> Option<String> {
        Some(match self {
            Event::InitStart(it) => object("platform.initStart", it, at),
            Event::InitRuntimeDone(it) => object("platform.initRuntimeDone", it, at),
            Event::InitReport(it) => object("platform.initReport", it, at),
            Event::Start(it) => object("platform.start", it, at),
            Event::RuntimeDone(it) => object("platform.runtimeDone", it, at),
            Event::Report(it) => object("platform.report", it, at),
            Event::Extension(it) => object("platform.extension", it, at),
            Event::LogsDropped(it) => object("platform.logsDropped", it, at),
            Event::Fault(_) => return None,
        })
    }
}

/// Record of the Telemetry API.
pub fn object(kind: &str, record: &impl Serialize, at: Timestamp) -> String {
    json!({"time": format::time(at), "type": kind, "record": record}).to_string()
}

fn fault(
    fault: &Fault<'_>,
    levels: Levels,
    at: Timestamp,
    invocation: Option<&Invocation>,
) -> Option<String> {
    let level = Level::Error;
    if fault.origin == Origin::Environment {
        let message = match fault.request_id {
            Some(id) => text::reason(id, fault.message),
            None => fault.message,
        };
        return Some(format::message(level, message, at, invocation));
    }
    // Function errors are written by the runtime in AWS, so the application level applies.
    if level < levels.application {
        return None;
    }
    let mut line = json!({"timestamp": format::time(at), "level": level.name()});
    if let Some(id) = fault.request_id {
        line["requestId"] = id.into();
    }
    line["errorType"] = fault.error_type.into();
    line["errorMessage"] = fault.message.into();
    if !fault.stack_trace.is_empty() {
        line["stackTrace"] = fault.stack_trace.into();
    }
    if let Some(tenant_id) = invocation.and_then(|it| it.tenant_id.as_deref()) {
        line["tenantId"] = tenant_id.into();
    }
    Some(line.to_string())
}
