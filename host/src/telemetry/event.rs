//! Platform events: the story of an environment and of its invocations, typed, in the terms of AWS's Telemetry API
//! (schema 2022-12-13). The host emits each once; sinks turn it into lines, counters and whatever else follows.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::telemetry::log::Level;

/// A receiver of the events of one environment. It is called on the way of invocations: it neither waits nor touches the
/// disk.
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// Receives an event, in the order of the story.
    fn receive(&self, event: &Event<'_>);
}

/// One event. It borrows what it says, so that emitting one allocates nothing.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// `platform.initStart`
    InitStart(InitStart<'a>),
    /// `platform.initRuntimeDone`
    InitRuntimeDone(InitEnd<'a>),
    /// `platform.initReport`
    InitReport(InitReport<'a>),
    /// `platform.start`
    Start(Start<'a>),
    /// A failure, as the runtime or the platform describes it. AWS has no platform event of it: it is a line of the log.
    Fault(Fault<'a>),
    /// `platform.runtimeDone`
    RuntimeDone(RuntimeDone<'a>),
    /// `platform.report`
    Report(Report<'a>),
    /// `platform.extension`
    #[cfg_attr(not(test), expect(dead_code, reason = "no extension runs yet"))]
    Extension(Extension<'a>),
    /// `platform.logsDropped`
    LogsDropped(LogsDropped),
}

/// An environment begins.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitStart<'a> {
    /// Why it begins.
    pub initialization_type: InitializationType,
    /// When, in the life of its first invocation.
    pub phase: Phase,
    /// The version of this host.
    pub runtime_version: &'a str,
    /// Its ARN.
    pub runtime_version_arn: &'a str,
    /// The function's name.
    pub function_name: &'a str,
    /// A number or `$LATEST`.
    pub function_version: &'a str,
    /// The name of the log stream, as in AWS.
    pub instance_id: &'a str,
    /// In bytes.
    pub instance_max_memory: u64,
}

/// An environment is ready, or is not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitEnd<'a> {
    /// Why it began.
    pub initialization_type: InitializationType,
    /// When it began.
    pub phase: Phase,
    /// How `init` ended.
    #[serde(flatten)]
    pub status: Status<'a>,
}

/// The same with its duration.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport<'a> {
    /// How `init` ended.
    #[serde(flatten)]
    pub end: InitEnd<'a>,
    /// How long it took.
    pub metrics: InitMetrics,
}

/// Measurements of an initialization.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitMetrics {
    /// From the opening of the environment.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
}

/// An invocation begins.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start<'a> {
    /// The invocation.
    pub request_id: &'a str,
    /// The function, without a qualifier.
    pub function_arn: &'a str,
    /// A number or `$LATEST`.
    pub version: &'a str,
    /// The tenant of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
}

/// Why an invocation, or an initialization, failed.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// The invocation; `None` for an initialization.
    pub request_id: Option<&'a str>,
    /// Who says so.
    pub origin: Origin,
    /// `errorType`
    pub error_type: &'a str,
    /// `errorMessage`
    pub message: &'a str,
    /// `stackTrace`
    pub stack_trace: &'a [String],
}

/// The source of a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The function returned an error.
    Handler,
    /// The environment came to an end: a trap, an exit, a time-out.
    Environment,
}

/// The function is done with an invocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeDone<'a> {
    /// The invocation.
    pub request_id: &'a str,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status<'a>,
    /// Its measurements.
    pub metrics: RuntimeMetrics,
    /// The tenant of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
}

/// Measurements of a runtime.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeMetrics {
    /// From the arrival of the event in the environment to the answer.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
    /// Bytes of the answer.
    pub produced_bytes: usize,
}

/// An invocation has ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    /// The invocation.
    pub request_id: &'a str,
    /// Its measurements.
    pub metrics: Metrics,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status<'a>,
    /// The tenant of a function with tenant isolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<&'a str>,
    /// Whether the function answered with an error, which AWS's status does not say.
    #[serde(skip)]
    pub is_function_error: bool,
}

/// Measurements of an invocation.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// From the arrival of the event in the environment to the answer.
    #[serde(rename = "durationMs", serialize_with = "millis")]
    pub duration: Duration,
    /// Duration and initialization, in started milliseconds.
    pub billed_duration_ms: u64,
    /// The memory of the function.
    #[serde(rename = "memorySizeMB")]
    pub memory_size_mb: u32,
    /// The memory that the environment used, so far.
    #[serde(rename = "maxMemoryUsedMB")]
    pub max_memory_used_mb: u64,
    /// How long the environment took to start, if this invocation started it.
    #[serde(
        rename = "initDurationMs",
        serialize_with = "optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub init_duration: Option<Duration>,
}

/// The state of an extension changed.
#[derive(Clone, Debug, Serialize)]
pub struct Extension<'a> {
    /// Its name.
    pub name: &'a str,
    /// `Ready` and the like.
    pub state: &'a str,
    /// Events that it registered for.
    pub events: &'a [&'a str],
}

/// Lines that were not kept.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsDropped {
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Their number.
    pub dropped_records: u64,
    /// Why.
    pub reason: &'static str,
}

/// Why an environment begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum InitializationType {
    /// For an invocation.
    #[serde(rename = "on-demand")]
    OnDemand,
    /// Ahead of invocations.
    #[serde(rename = "provisioned-concurrency")]
    ProvisionedConcurrency,
}

/// When an environment begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before its first invocation.
    Init,
    /// Again, after the guest ended in an invocation.
    Invoke,
}

/// How something ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status<'a> {
    /// Well; an error that a function answers with is an answer.
    Success,
    /// The environment ended.
    Error {
        /// `Runtime.ExitError` and the like.
        #[serde(rename = "errorType")]
        error_type: &'a str,
    },
    /// The time was up.
    Timeout,
}

impl Phase {
    /// Its name in AWS's words.
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
    /// The level that AWS gives it.
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

/// Milliseconds to three places, as AWS has them.
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
