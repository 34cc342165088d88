//! The events of AWS's Telemetry API, as CloudWatch shows them of functions that log in JSON. Each has
//! the level that AWS gives it.

use std::time::Duration;

use serde::Serialize;

use super::{RUNTIME_VERSION, billed, memory_used};
use crate::invoke::lease::Initialization;
use crate::invoke::request::{Outcome, Usage};
use crate::invoke::resolve::Resolved;
use crate::invoke::snapshot::Version;
use crate::sandbox::{Cause, Failure, Reply};
use crate::telemetry::log::{EnvironmentLog, Level};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitStart<'a> {
    initialization_type: &'static str,
    phase: &'static str,
    runtime_version: &'static str,
    function_name: &'a str,
    function_version: &'a str,
    instance_id: &'a str,
    instance_max_memory: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitEnd<'a> {
    initialization_type: &'static str,
    phase: &'static str,
    #[serde(flatten)]
    status: Status<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<InitMetrics>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitMetrics {
    duration_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    request_id: &'a str,
    function_arn: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeDone<'a> {
    request_id: &'a str,
    #[serde(flatten)]
    status: Status<'a>,
    metrics: RuntimeMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeMetrics {
    duration_ms: f64,
    produced_bytes: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    request_id: &'a str,
    metrics: Metrics,
    #[serde(flatten)]
    status: Status<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    duration_ms: f64,
    billed_duration_ms: u64,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: u32,
    #[serde(rename = "maxMemoryUsedMB")]
    max_memory_used_mb: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_duration_ms: Option<f64>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
}

impl<'a> Status<'a> {
    /// A failure that a handler answers with is an answer.
    fn of(failure: Option<&'a Failure>) -> Self {
        let (status, error_type) = match failure {
            None => ("success", None),
            Some(failure) => match failure.cause {
                Cause::Handler => ("success", None),
                Cause::Timeout => ("timeout", None),
                Cause::Environment => ("error", Some(failure.error_type.as_str())),
            },
        };
        Self { status, error_type }
    }

    /// The level of an event that has one of its own where all went well.
    fn level(self, well: Level) -> Level {
        match self.status {
            "success" => well,
            _ => Level::Warn,
        }
    }
}

pub(super) fn init_start(
    log: &EnvironmentLog,
    version: &Version,
    log_stream: &str,
    initialization: Initialization,
) {
    let record = InitStart {
        initialization_type: initialization.name(),
        phase: initialization.phase(),
        runtime_version: RUNTIME_VERSION,
        function_name: &version.facts.name,
        function_version: &version.facts.version,
        instance_id: log_stream,
        instance_max_memory: version.settings.memory.bytes(),
    };
    log.event(Level::Info, "platform.initStart", &record);
}

pub(super) fn init_end(
    log: &EnvironmentLog,
    initialization: Initialization,
    duration: Duration,
    failure: Option<&Failure>,
) {
    let status = match failure {
        // Here even what the function says of itself is a failure: there is no environment.
        Some(failure) if failure.cause == Cause::Handler => Status {
            status: "error",
            error_type: Some(&failure.error_type),
        },
        failure => Status::of(failure),
    };
    let mut record = InitEnd {
        initialization_type: initialization.name(),
        phase: initialization.phase(),
        status,
        metrics: None,
    };
    let level = status.level(Level::Debug);
    log.event(level, "platform.initRuntimeDone", &record);
    record.metrics = Some(InitMetrics {
        duration_ms: millis(duration),
    });
    let level = match initialization {
        Initialization::Provisioned => status.level(Level::Info),
        Initialization::OnDemand | Initialization::Again => level,
    };
    log.event(level, "platform.initReport", &record);
}

pub(super) fn start(log: &EnvironmentLog, resolved: &Resolved) {
    let record = Start {
        request_id: resolved.invoke.request_id.as_str(),
        function_arn: &resolved.function.arn,
        version: &resolved.version.label,
        tenant_id: resolved.tenant_id(),
    };
    log.event(Level::Info, "platform.start", &record);
}

pub(super) fn end(log: &EnvironmentLog, resolved: &Resolved, outcome: &Outcome, usage: &Usage) {
    let request_id = resolved.invoke.request_id.as_str();
    let status = Status::of(outcome.as_ref().err());
    let done = RuntimeDone {
        request_id,
        status,
        metrics: RuntimeMetrics {
            duration_ms: millis(usage.duration),
            produced_bytes: produced(outcome),
        },
        tenant_id: resolved.tenant_id(),
    };
    log.event(status.level(Level::Debug), "platform.runtimeDone", &done);
    let report = Report {
        request_id,
        metrics: Metrics {
            duration_ms: millis(usage.duration),
            billed_duration_ms: billed(usage),
            memory_size_mb: resolved.version.settings.memory.get(),
            max_memory_used_mb: memory_used(usage),
            init_duration_ms: usage.init.map(millis),
        },
        status,
        tenant_id: resolved.tenant_id(),
    };
    log.event(status.level(Level::Info), "platform.report", &report);
}

fn produced(outcome: &Outcome) -> usize {
    match outcome {
        Ok(Reply::Json(document)) => document.len(),
        Ok(Reply::Http(response)) => response.body().len(),
        Err(_) => 0,
    }
}

/// Milliseconds to three places, as AWS has them.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
