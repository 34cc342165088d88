//! The first and the last type of the pipeline: what is asked, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::reservation::Reservation;
use super::target::Target;
use crate::names::RequestId;
use crate::payload::Event;
use crate::sandbox::{Failure, FunctionResponse};

/// Invocation type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Runs the function and waits for its answer.
    RequestResponse,
    /// Only finds out whether it could run.
    DryRun,
    /// Queues the event; `events` runs it later.
    Event,
}

/// One invocation, as it was asked for.
#[derive(Debug)]
pub struct Invoke {
    /// The id it will have in the logs and everywhere else.
    pub request_id: RequestId,
    /// Target.
    pub target: Target,
    /// Invocation type.
    pub mode: Mode,
    /// Event.
    pub event: Event,
    /// True for a streamed response.
    pub streams: bool,
    /// True to return the log tail.
    pub log_tail: bool,
    /// A JSON document for the context.
    pub client_context: Option<String>,
    /// The tracing header.
    pub trace_id: Option<String>,
    /// The tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// Time limit of the caller, within the function's own.
    pub time_max: Option<Duration>,
    /// Permit that was reserved for it.
    pub reservation: Option<Reservation>,
}

impl Invoke {
    /// An invocation of `target` with `event`, and nothing else asked for.
    pub fn new(request_id: RequestId, target: Target, event: Event) -> Self {
        Self {
            request_id,
            target,
            mode: Mode::RequestResponse,
            event,
            streams: false,
            log_tail: false,
            client_context: None,
            trace_id: None,
            tenant_id: None,
            time_max: None,
            reservation: None,
        }
    }
}

/// Result of the function.
pub type Outcome = Result<FunctionResponse, Failure>;

/// An invocation that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// The version that ran: a number or `$LATEST`.
    pub executed_version: Arc<str>,
    /// The function's answer, or why there is none.
    pub outcome: Outcome,
    /// The end of its log, where it was asked for.
    pub log_tail: Option<Bytes>,
    /// Resource usage.
    pub usage: ResourceUsage,
}

/// Resource usage of an invocation, as in the REPORT line.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceUsage {
    /// From the event's arrival in the environment to the answer.
    pub duration: Duration,
    /// Start time of the environment; `None` for a warm one.
    pub init: Option<Duration>,
    /// The largest size of the environment's memories so far, in bytes.
    pub memory_bytes_max: u64,
    /// The response, where it went out as it was written.
    pub streamed: Option<Streamed>,
}

/// A response that went out as it was written, to its end or to the failure that broke it off.
#[derive(Clone, Copy, Debug)]
pub struct Streamed {
    /// Bytes that the function wrote.
    pub bytes: u64,
    /// Time from the event's arrival to the beginning of the response.
    pub latency: Duration,
}

impl Finished {
    /// Success of a dry run.
    pub(super) fn dry_run(executed_version: Arc<str>) -> Self {
        Self {
            executed_version,
            outcome: Ok(FunctionResponse::Json(Bytes::new())),
            log_tail: None,
            usage: ResourceUsage::default(),
        }
    }
}
