//! Runs components: compiles them, opens environments, calls them. The only module that names
//! wasmtime, and none of its types appear in a signature here. It knows nothing of a function's
//! versions, queues or callers: those are `invoke`'s and `control`'s.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::names::RequestId;
use crate::telemetry::log::EnvironmentLog;
use crate::units::Mib;

/// How a component takes its events, found from what it exports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interface {
    /// `lambda:function/handler`.
    Handler,
    /// `lambda:function/streaming-handler`.
    StreamingHandler,
    /// `wasi:cli/run` that imports `lambda:function/runtime`.
    CustomRuntime,
    /// `wasi:http/incoming-handler`.
    Http,
    /// `wasi:cli/run` alone: event on stdin, result on stdout.
    Command,
}

/// What an environment is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Bound on all linear memories together.
    pub memory: Mib,
    /// Bound on what `/tmp` holds.
    pub ephemeral: Mib,
    /// Environment variables, Lambda's own included.
    pub variables: Arc<[(String, String)]>,
    /// Mounted read-only at `/var/task`.
    pub task_dir: PathBuf,
    /// Mounted read-only at `/opt`, where the function has layers.
    pub opt_dir: Option<PathBuf>,
    /// Where `/tmp` directories are made, one for each environment, deleted with it.
    pub scratch_dir: PathBuf,
}

/// What arrives at a function.
#[derive(Debug)]
pub enum Event {
    /// A JSON document; checked by whoever made it.
    Json(Bytes),
    /// An HTTP request, for programs whose interface is [`Interface::Http`] only.
    Http(http::Request<Bytes>),
}

/// What a function answers.
#[derive(Debug)]
pub enum Reply {
    /// A JSON document, or, of a streaming function, whatever it wrote.
    Json(Bytes),
    /// An HTTP response.
    Http(http::Response<Bytes>),
}

/// Facts about one invocation, for the guest.
#[derive(Clone, Debug)]
pub struct Context {
    /// The invocation.
    pub request_id: RequestId,
    /// When it times out.
    pub deadline: Timestamp,
    /// The ARN the caller used.
    pub invoked_arn: Arc<str>,
    /// What does not change between invocations of one version.
    pub function: Arc<FunctionFacts>,
    /// A JSON document from the caller.
    pub client_context: Option<String>,
    /// The tracing header.
    pub trace_id: Option<String>,
    /// The tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
}

/// What a guest may know of the function it runs as.
#[derive(Clone, Debug)]
pub struct FunctionFacts {
    /// The function's name.
    pub name: String,
    /// A number or `$LATEST`.
    pub version: String,
    /// The memory it is configured with.
    pub memory: Mib,
    /// Where its logs go.
    pub log_group: String,
}

/// Why there is no answer. The type and message are Lambda's own, as the caller will see them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// `errorType`.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
    /// `stackTrace`.
    pub stack_trace: Vec<String>,
    /// Whether the function said so itself, or its environment came to an end.
    pub cause: Cause,
}

/// Who ended an invocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The function answered with a failure; its environment may be used again.
    Handler,
    /// The environment ended: a trap, an exit, a limit. It is gone.
    Environment,
    /// The time was up. The environment is gone, its `/tmp` may be kept.
    Timeout,
}

#[derive(Debug)]
struct Unused(Arc<EnvironmentLog>);
