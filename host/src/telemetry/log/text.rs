//! Platform events as text log lines, in Lambda's format.

use std::fmt::{self, Write};
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
        // Joined: a formatted text is allocated anew while it grows.
        Event::Start(it) => {
            Some(["START RequestId: ", it.request_id, " Version: ", it.version].concat())
        }
        Event::Fault(it) => Some(fault(it)),
        Event::RuntimeDone(it) => Some(["END RequestId: ", it.request_id].concat()),
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
        "INIT_REPORT Init Duration: {} ms\tPhase: {}\t",
        Millis(report.metrics.duration),
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
        "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
         Max Memory Used: {} MB\t",
        report.request_id,
        Millis(metrics.duration),
        metrics.billed_duration_ms,
        metrics.memory_size_mb,
        metrics.max_memory_used_mb,
    );
    if let Some(init) = metrics.init_duration {
        let _ = write!(line, "Init Duration: {} ms\t", Millis(init));
    }
    if let Some(latency) = metrics.response_latency {
        let _ = write!(line, "Response Latency: {} ms\t", Millis(latency));
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

/// Milliseconds with two decimals; cheaper than a float's.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0.as_nanos() + 5_000) / 10_000;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_rounded_to_two_decimals() {
        for (nanos, shown) in [
            (0, "0.00"),
            (4_999, "0.00"),
            (5_000, "0.01"),
            (1_234_567, "1.23"),
            (60_000_000_000, "60000.00"),
        ] {
            assert_eq!(Millis(Duration::from_nanos(nanos)).to_string(), shown);
        }
    }
}
