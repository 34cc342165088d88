//! Events of environments and invocations: the pipeline's types in the terms of `telemetry::event`.

use std::time::Duration;

use super::initialization::Initialization;
use super::request::{Outcome, ResourceUsage};
use super::resolve::Resolved;
use super::snapshot::Version;
use crate::sandbox::{Cause, Failure, FunctionResponse};
use crate::telemetry::event::{
    Event, Fault, InitEnd, InitMetrics, InitReport, InitStart, InitializationType, Metrics, Origin,
    Phase, Report, RuntimeDone, RuntimeMetrics, Start, Status,
};
use crate::telemetry::log::EnvironmentLog;

/// The version of this host, in place of that of a runtime that functions bring themselves.
const RUNTIME_VERSION: &str = concat!("lamina:", env!("CARGO_PKG_VERSION"));

/// An environment begins.
pub(super) fn init_start(
    log: &EnvironmentLog,
    version: &Version,
    log_stream: &str,
    initialization: Initialization,
    runtime_version: Option<&str>,
    runtime_version_arn: &str,
) {
    log.emit(&Event::InitStart(InitStart {
        initialization_type: kind(initialization),
        phase: phase(initialization),
        runtime_version: runtime_version.unwrap_or(RUNTIME_VERSION),
        runtime_version_arn,
        function_name: &version.facts.name,
        function_version: &version.facts.version,
        instance_id: log_stream,
        instance_max_memory: version.settings.memory.bytes(),
    }));
}

/// An environment is ready, or is not.
pub(super) fn init_end(
    log: &EnvironmentLog,
    initialization: Initialization,
    duration: Duration,
    failure: Option<&Failure>,
) {
    if let Some(failure) = failure.filter(|it| !it.is_logged()) {
        log.emit(&Event::Fault(fault(None, failure)));
    }
    let end = InitEnd {
        initialization_type: kind(initialization),
        phase: phase(initialization),
        status: match failure {
            // Without an environment, an error that `init` returns is no answer.
            Some(failure) if failure.cause == Cause::Handler => Status::Error {
                error_type: &failure.error_type,
            },
            failure => status(failure),
        },
    };
    log.emit(&Event::InitRuntimeDone(end.clone()));
    let metrics = InitMetrics { duration };
    log.emit(&Event::InitReport(InitReport { end, metrics }));
}

/// An invocation begins.
pub(super) fn start(log: &EnvironmentLog, resolved: &Resolved) {
    log.emit(&Event::Start(Start {
        request_id: resolved.invoke.request_id.as_str(),
        function_arn: &resolved.function.arn,
        version: &resolved.version.label,
        tenant_id: resolved.tenant_id(),
    }));
}

/// An invocation failed.
pub(super) fn failure(log: &EnvironmentLog, resolved: &Resolved, failure: &Failure) {
    if !failure.is_logged() {
        let id = resolved.invoke.request_id.as_str();
        log.emit(&Event::Fault(fault(Some(id), failure)));
    }
}

/// An invocation has ended.
pub(super) fn end(
    log: &EnvironmentLog,
    resolved: &Resolved,
    outcome: &Outcome,
    usage: &ResourceUsage,
) {
    let request_id = resolved.invoke.request_id.as_str();
    let failure = outcome.as_ref().err();
    log.emit(&Event::RuntimeDone(RuntimeDone {
        request_id,
        status: status(failure),
        metrics: RuntimeMetrics {
            duration: usage.duration,
            produced_bytes: produced(outcome, usage),
        },
        tenant_id: resolved.tenant_id(),
    }));
    log.emit(&Event::Report(Report {
        request_id,
        metrics: Metrics {
            duration: usage.duration,
            billed_duration_ms: billed(usage),
            memory_size_mb: resolved.version.settings.memory.get(),
            max_memory_used_mb: usage.memory_bytes_max.div_ceil(1 << 20).max(1),
            init_duration: usage.init,
            response_latency: usage.streamed.map(|it| it.latency),
            streamed_bytes: usage.streamed.map(|it| it.bytes),
        },
        status: status(failure),
        tenant_id: resolved.tenant_id(),
        is_function_error: failure.is_some_and(|it| it.cause == Cause::Handler),
    }));
}

fn fault<'a>(request_id: Option<&'a str>, failure: &'a Failure) -> Fault<'a> {
    Fault {
        request_id,
        origin: match failure.cause {
            Cause::Handler => Origin::Handler,
            Cause::Response | Cause::Environment | Cause::Timeout | Cause::Host => {
                Origin::Environment
            }
        },
        error_type: &failure.error_type,
        message: &failure.message,
        stack_trace: &failure.stack_trace,
    }
}

/// The status of AWS: an error that a handler returns is a success of the runtime.
fn status(failure: Option<&Failure>) -> Status<'_> {
    match failure.map(|failure| (failure.cause, failure)) {
        None | Some((Cause::Handler, _)) => Status::Success,
        Some((Cause::Timeout, _)) => Status::Timeout,
        Some((Cause::Response | Cause::Environment | Cause::Host, failure)) => Status::Error {
            error_type: &failure.error_type,
        },
    }
}

/// Started milliseconds of the invocation and of the initialization that it waited for.
fn billed(usage: &ResourceUsage) -> u64 {
    let time = usage.duration + usage.init.unwrap_or_default();
    let millis = time.as_micros().div_ceil(1_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

fn produced(outcome: &Outcome, usage: &ResourceUsage) -> usize {
    if let Some(streamed) = usage.streamed {
        return usize::try_from(streamed.bytes).unwrap_or(usize::MAX);
    }
    match outcome {
        Ok(FunctionResponse::Json(document)) => document.len(),
        Ok(FunctionResponse::Http(response)) => response.body().len(),
        Ok(FunctionResponse::Streamed(bytes)) => usize::try_from(*bytes).unwrap_or(usize::MAX),
        Err(_) => 0,
    }
}

fn kind(initialization: Initialization) -> InitializationType {
    match initialization {
        Initialization::OnDemand | Initialization::Again => InitializationType::OnDemand,
        Initialization::Provisioned => InitializationType::ProvisionedConcurrency,
    }
}

fn phase(initialization: Initialization) -> Phase {
    match initialization {
        Initialization::OnDemand | Initialization::Provisioned => Phase::Init,
        Initialization::Again => Phase::Invoke,
    }
}
