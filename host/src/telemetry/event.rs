//! Platform events of environments and invocations, in the terms of AWS's Telemetry API (schema
//! 2022-12-13). The host emits each event once; sinks turn it into log lines and counters.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::telemetry::level::Level;

/// Receiver of an environment's events. It runs on the invoke path, so it must neither block nor do
/// disk I/O.
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// Receives an event; calls are in order.
    fn receive(&self, event: &Event<'_>);

    /// Receives a line of the guest.
    fn line(&self, _text: &str) {}
}

/// A platform event. It borrows its data, so that emitting one allocates nothing.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// `platform.initStart`.
    InitStart(InitStart<'a>),
    /// `platform.initRuntimeDone`.
    InitRuntimeDone(InitEnd<'a>),
    /// `platform.initReport`.
    InitReport(InitReport<'a>),
    /// `platform.start`.
    Start(Start<'a>),
    /// Failure as described by the runtime or the platform. AWS has no such platform event; it is a
    /// log line.
    Fault(Fault<'a>),
    /// `platform.runtimeDone`.
    RuntimeDone(RuntimeDone<'a>),
    /// `platform.report`.
    Report(Report<'a>),
    /// `platform.extension`.
    Extension(Extension<'a>),
    /// `platform.logsDropped`.
    LogsDropped(LogsDropped),
}

/// Start of an environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitStart<'a> {
    /// Trigger of the initialization.
    pub initialization_type: InitializationType,
    /// Phase of the initialization.
    pub phase: Phase,
    /// Version of this host.
    pub runtime_version: &'a str,
    /// ARN of that version.
    pub runtime_version_arn: &'a str,
    /// Function name.
    pub function_name: &'a str,
    /// Version number or `$LATEST`.
    pub function_version: &'a str,
    /// Name of the log stream, as in AWS.
    pub instance_id: &'a str,
    /// Memory limit in bytes.
    pub instance_max_memory: u64,
}

/// End of an initialization.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitEnd<'a> {
    /// Trigger of the initialization.
    pub initialization_type: InitializationType,
    /// Phase of the initialization.
    pub phase: Phase,
    /// Outcome of `init`.
    #[serde(flatten)]
    pub status: Status<'a>,
}

/// End of an initialization, with its duration.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport<'a> {
    /// Outcome of `init`.
    #[serde(flatten)]
    pub end: InitEnd<'a>,
    /// Measurements.
    pub metrics: InitMetrics,
}

/// Measurements of an initialization.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitMetrics {
    /// Time since the environment was opened.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
}

/// Start of an invocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start<'a> {
    /// Request id.
    pub request_id: &'a str,
    /// ARN of the function, unqualified.
    pub function_arn: &'a str,
    /// Version number or `$LATEST`.
    pub version: &'a str,
    /// Tenant id of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
}

/// Failure of an invocation or an initialization.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// Request id; `None` for an initialization.
    pub request_id: Option<&'a str>,
    /// Source of the failure.
    pub origin: Origin,
    /// `errorType`.
    pub error_type: &'a str,
    /// `errorMessage`.
    pub message: &'a str,
    /// `stackTrace`.
    pub stack_trace: &'a [String],
}

/// Source of a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Error returned by the handler.
    Handler,
    /// End of the environment: a trap, an exit or a timeout.
    Environment,
}

/// Response of a function, or its failure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeDone<'a> {
    /// Request id.
    pub request_id: &'a str,
    /// Outcome.
    #[serde(flatten)]
    pub status: Status<'a>,
    /// Measurements.
    pub metrics: RuntimeMetrics,
    /// Tenant id of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
}

/// Measurements of a response.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeMetrics {
    /// Time from delivery of the event to the response.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
    /// Size of the response.
    pub produced_bytes: usize,
}

/// End of an invocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// Request id.
    pub request_id: &'a str,
    /// Measurements.
    pub metrics: Metrics,
    /// Outcome.
    #[serde(flatten)]
    pub status: Status<'a>,
    /// Tenant id of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
    /// True for a function error, which AWS's status does not show.
    #[serde(skip)]
    pub is_function_error: bool,
}

/// Measurements of an invocation.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Time from delivery of the event to the response.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
    /// Duration and init duration, rounded up to milliseconds.
    pub billed_duration_ms: u64,
    /// Configured memory of the function.
    #[serde(rename = "memorySizeMB")]
    pub memory_size_mb: u32,
    /// Peak memory of the environment so far.
    #[serde(rename = "maxMemoryUsedMB")]
    pub max_memory_used_mb: u64,
    /// Start time of the environment; `None` for a warm one.
    #[serde(
        rename = "initDurationMs",
        serialize_with = "optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub init_duration: Option<Duration>,
    /// Time to the beginning of a response that was streamed.
    #[serde(
        rename = "responseLatencyMs",
        serialize_with = "optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub response_latency: Option<Duration>,
    /// Bytes of a response that was streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamed_bytes: Option<u64>,
}

/// State change of an extension.
#[derive(Clone, Debug, Serialize)]
pub struct Extension<'a> {
    /// Extension name.
    pub name: &'a str,
    /// State, such as `Ready`.
    pub state: &'a str,
    /// Events that it registered for.
    pub events: &'a [&'a str],
}

/// Dropped log lines.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsDropped {
    /// Bytes dropped.
    pub dropped_bytes: u64,
    /// Lines dropped.
    pub dropped_records: u64,
    /// Reason.
    pub reason: &'static str,
}

/// Trigger of an initialization.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum InitializationType {
    /// Invocation without an idle environment.
    #[serde(rename = "on-demand")]
    OnDemand,
    /// Provisioned concurrency.
    #[serde(rename = "provisioned-concurrency")]
    ProvisionedConcurrency,
}

/// Phase of an initialization.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the first invocation.
    Init,
    /// Restart after the guest ended during an invocation.
    Invoke,
}

/// Outcome of an initialization or an invocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status<'a> {
    /// Success; a function error counts as one, as in AWS.
    Success,
    /// Environment ended.
    Error {
        /// Error type such as `Runtime.ExitError`.
        #[serde(rename = "errorType")]
        error_type: &'a str,
    },
    /// Timeout.
    Timeout,
}

impl Phase {
    /// Phase in AWS's log text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
        }
    }
}

impl Status<'_> {
    fn level(self, success: Level) -> Level {
        match self {
            Self::Success => success,
            Self::Error { .. } | Self::Timeout => Level::Warn,
        }
    }
}

impl Event<'_> {
    /// Log level that AWS assigns to the event.
    pub fn level(&self) -> Level {
        match self {
            Self::InitStart(_) | Self::Start(_) | Self::Extension(_) => Level::Info,
            Self::InitRuntimeDone(end) => end.status.level(Level::Debug),
            Self::InitReport(report) => report.end.status.level(report.end.success_level()),
            Self::RuntimeDone(done) => done.status.level(Level::Debug),
            Self::Report(report) => report.status.level(Level::Info),
            Self::Fault(_) => Level::Error,
            Self::LogsDropped(_) => Level::Warn,
        }
    }
}

impl InitEnd<'_> {
    fn success_level(&self) -> Level {
        match self.initialization_type {
            InitializationType::ProvisionedConcurrency => Level::Info,
            InitializationType::OnDemand => Level::Debug,
        }
    }
}

/// Milliseconds with three decimals, as in AWS.
fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    serializer.serialize_f64(millis)
}

fn optional_millis<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    millis(&duration.unwrap_or_default(), serializer)
}
