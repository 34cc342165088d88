//! Platform events as text log lines, in Lambda's format.

use std::fmt::Write;
use std::time::Duration;

use crate::telemetry::event::{Event, Fault, InitReport, Origin, Report, Status};

/// Text line of an event; `None` if it has none.
pub(super) fn line(event: &Event<'_>) -> Option<String> {
    match event {
        Event::InitStart(it) => Some(format!(
            "INIT_START Runtime Version: {}\tRuntime Version ARN: {}",
            it.runtime_version, it.runtime_version_arn
        )),
        // Successful initializations show their duration in REPORT.
        Event::InitReport(it) => (it.end.status != Status::Success).then(|| init_report(it)),
        Event::Start(it) => Some(format!(
            "START RequestId: {} Version: {}",
            it.request_id, it.version
        )),
        Event::Fault(it) => Some(fault(it)),
        Event::RuntimeDone(it) => Some(format!("END RequestId: {}", it.request_id)),
        Event::Report(it) => Some(report(it)),
        Event::Extension(it) => Some(format!(
            "EXTENSION\tName: {}\tState: {}\tEvents: [{}]",
            it.name,
            it.state,
            it.events.join(", ")
        )),
        Event::LogsDropped(it) => Some(format!(
            "[lamina] {} lines ({} bytes) were dropped: {}",
            it.dropped_records, it.dropped_bytes, it.reason
        )),
        Event::InitRuntimeDone(_) => None,
    }
}

fn init_report(report: &InitReport<'_>) -> String {
    let mut line = format!(
        "INIT_REPORT Init Duration: {:.2} ms\tPhase: {}\t",
        millis(report.metrics.duration),
        report.end.phase.name(),
    );
    write_status(&mut line, report.end.status);
    line
}

fn report(report: &Report<'_>) -> String {
    let metrics = &report.metrics;
    let mut line = String::with_capacity(256);
    let _ = write!(
        line,
        "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
         Max Memory Used: {} MB\t",
        report.request_id,
        millis(metrics.duration),
        metrics.billed_duration_ms,
        metrics.memory_size_mb,
        metrics.max_memory_used_mb,
    );
    if let Some(init) = metrics.init_duration {
        let _ = write!(line, "Init Duration: {:.2} ms\t", millis(init));
    }
    if let Some(latency) = metrics.response_latency {
        let _ = write!(line, "Response Latency: {:.2} ms\t", millis(latency));
    }
    if let Some(bytes) = metrics.streamed_bytes {
        let _ = write!(line, "Streamed: {bytes} B\t");
    }
    write_status(&mut line, report.status);
    line
}

fn write_status(line: &mut String, status: Status<'_>) {
    match status {
        Status::Success => {}
        Status::Timeout => line.push_str("Status: timeout"),
        Status::Error { error_type } => {
            let _ = write!(line, "Status: error\tError Type: {error_type}");
        }
    }
}

/// Function errors have the format of AWS's runtimes; platform failures name the request id.
fn fault(fault: &Fault<'_>) -> String {
    if fault.origin == Origin::Handler {
        let mut line = format!("[ERROR] {}: {}", fault.error_type, fault.message);
        // Python indents its frames itself.
        let is_python = fault
            .stack_trace
            .first()
            .is_some_and(|it| it.starts_with("  File "));
        if is_python {
            line.push_str("\nTraceback (most recent call last):");
        }
        for frame in fault.stack_trace {
            let indent = if is_python { "" } else { "  " };
            let _ = write!(line, "\n{indent}{}", frame.trim_end());
        }
        return line;
    }
    match fault.request_id {
        Some(id) => format!("RequestId: {id} {}", reason(id, fault.message)),
        None => fault.message.to_owned(),
    }
}

/// Strips the request id with which most messages begin.
pub(super) fn reason<'a>(id: &str, message: &'a str) -> &'a str {
    let message = message.strip_prefix("RequestId: ").unwrap_or(message);
    message.strip_prefix(id).unwrap_or(message).trim_start()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
