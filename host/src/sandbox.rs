//! Runs components: compiles them, opens environments, calls them. The only module that names
//! wasmtime, and none of its types appear in a signature here. It knows nothing of a function's
//! versions, queues or callers: those are `invoke`'s and `control`'s.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Clock, Timestamp};
use crate::names::RequestId;
use crate::outbound::Trust;
use crate::units::Mib;

mod adapter;
mod bindings;
mod budget;
mod capability;
pub mod compile;
mod deadline;
mod descriptors;
mod egress;
mod engine;
mod engine_kind;
mod environment;
mod extension;
mod failure;
#[cfg(test)]
pub mod fake;
mod file_system;
mod filesystem;
#[cfg(test)]
pub mod fuzz;
mod guest;
mod limits;
mod network;
pub mod outlet;
mod program;
mod scheduler;
mod stack;
mod stdio;
mod target;
mod tls;
mod turnover;

pub use budget::{Admission, Balance, Budgets, Demand, Evict, Grant, Resource, Shortage};
pub use egress::{Cidr, Destination, Egress, EgressAction, EgressRule, address_check};
pub use engine_kind::EngineKind;
#[cfg(not(test))]
pub use environment::Environment;
pub use extension::{ExtensionLines, ExtensionSetup, Telemetry};
#[cfg(test)]
pub use fake::{Environment, Program, WeakProgram};
pub use file_system::{
    AccessPointArn, FileSystem, FileSystemMount, InvalidArn, MountError, MountProblem,
};
pub use filesystem::clear;
pub use program::{Failures, ProgramExtension, ProgramFiles, RuntimeFiles, TaskMount};
#[cfg(not(test))]
pub use program::{Program, WeakProgram};
pub use scheduler::{Scheduled, Scheduler, Share, leave_network, lower_priority};
pub use target::{Architecture, Target};

/// Configuration of a sandbox.
#[derive(Clone, Debug)]
pub struct Config {
    /// Environments that may live at once, busy or idle.
    pub environments_max: u32,
    /// Memory of all environments together. Without it, three quarters of what the machine and its control
    /// groups give this process.
    pub memory_bytes: Option<u64>,
    /// Where environments keep their `/tmp`.
    pub scratch_dir: PathBuf,
    /// Files in the `/tmp`s of all environments together. Without it, half of what is free on the disk.
    pub scratch_bytes: Option<u64>,
    /// Egress policy of guests.
    pub egress: Egress,
    /// Further addresses blocked with [`Egress::Public`].
    pub egress_near: Vec<Cidr>,
    /// Rules that decide before the policy.
    pub egress_rules: Vec<EgressRule>,
    /// Certificate authorities for requests of guests.
    pub trust: Trust,
    /// Access points that functions may mount.
    pub file_systems: Vec<FileSystem>,
}

/// The engines; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<engine::Engines>);

/// A component that [`compile::compile`] compiled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Artifact {
    /// The file.
    pub path: PathBuf,
    /// Engine that it was compiled for.
    pub kind: EngineKind,
}

/// Error of an engine that did not start, or a program that was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An engine could not be started.
    #[error("the WebAssembly engine could not be started: {0}")]
    Engine(String),
    /// A compiled component could not be loaded.
    #[error("the compiled component {path} could not be loaded: {problem}")]
    Load {
        /// The file.
        path: PathBuf,
        /// Problem with the component.
        problem: String,
    },
    /// A directory that guests are given could not be opened.
    #[error("the directory {path} could not be opened: {source}")]
    Mount {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl Sandbox {
    /// Starts the engines.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn new(config: Config, clock: Clock) -> Result<Self, Error> {
        engine::Engines::start(config, clock).map(|engines| Self(Arc::new(engines)))
    }

    /// CPU scheduler of this sandbox's guests.
    pub fn scheduler(&self) -> Arc<Scheduler> {
        self.0.scheduler()
    }

    /// Clock of this sandbox.
    pub fn clock(&self) -> Clock {
        self.0.clock()
    }

    /// Budgets of all environments of this sandbox.
    pub fn budgets(&self) -> Arc<Budgets> {
        self.0.budgets()
    }

    /// Name of an engine and a target, for compiled components: version and settings of the engine, and the machines.
    pub fn compatibility(&self, target: Target, kind: EngineKind) -> &str {
        self.0.compatibility(target, kind)
    }

    /// Loads a component that was compiled for these engines; or for any machine of this one's
    /// architecture, for the same engines there.
    ///
    /// # Errors
    /// Where the file is not one, or a directory is not there.
    pub fn load(&self, artifact: &Artifact, source: ProgramFiles) -> Result<Program, Error> {
        let shared = |artifact: &Artifact| Arc::clone(self.0.shared.get(artifact.kind));
        let mut extensions = Vec::with_capacity(source.extensions.len());
        for extension in &source.extensions {
            let (artifact, alone) = (&extension.artifact, source.without_extensions());
            let shared = shared(artifact);
            let program = program::Program::load(shared, &artifact.path, alone, Vec::new())?;
            extensions.push(program.as_extension(&extension.name));
        }
        let loaded = program::Program::load(shared(artifact), &artifact.path, source, extensions)?;
        #[cfg_attr(
            not(test),
            expect(clippy::useless_conversion, reason = "tests have fake programs too")
        )]
        Ok(loaded.into())
    }
}

/// Interface of a component, detected from its exports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interface {
    /// `lambda:function/handler`.
    Handler,
    /// `lambda:function/streaming-handler`.
    StreamingHandler,
    /// `wasi:cli/run` that imports `lambda:function/runtime`.
    CustomRuntime,
    /// `wasi:http/incoming-handler` of WASI 0.2.
    Http,
    /// `wasi:http/handler` of WASI 0.3.
    HttpService,
    /// `wasi:cli/run` that imports `lambda:extension/lifecycle`: no function, but beside one.
    Extension,
    /// `wasi:cli/run` alone: event on stdin, result on stdout.
    Command,
}

impl Interface {
    /// True if events are HTTP requests.
    pub fn takes_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpService)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "lambda:function/handler",
            Self::StreamingHandler => "lambda:function/streaming-handler",
            Self::Http => "wasi:http/incoming-handler",
            Self::HttpService => "wasi:http/handler",
            Self::CustomRuntime | Self::Extension | Self::Command => "wasi:cli/run",
        })
    }
}

/// Parameters of a new environment.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The function.
    pub function: Arc<FunctionFacts>,
    /// Tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
    /// Bound on all linear memories together.
    pub memory: Mib,
    /// Size of the `/tmp`.
    pub tmp: Mib,
    /// Access point that is mounted.
    pub file_system: Option<Arc<FileSystemMount>>,
    /// Telemetry and log of its extensions, if it has any.
    pub extensions: Option<ExtensionSetup>,
    /// Environment variables, Lambda's own included.
    pub variables: Variables,
}

/// A guest's environment variables.
#[derive(Clone, Debug)]
pub struct Variables {
    /// Variables shared by all environments of a version.
    pub shared: Arc<[(String, String)]>,
    /// Variables of one environment; they override shared ones.
    pub own: Vec<(String, String)>,
    /// Arguments and directory; `None` for packages, whose guests have neither.
    pub process: Option<Arc<Process>>,
}

/// Arguments and working directory of a guest from an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Arguments, the program's name first.
    pub arguments: Vec<String>,
    /// Working directory; empty where the image names none.
    pub directory: String,
}

impl Variables {
    fn arguments(&self) -> Vec<String> {
        let process = self.process.as_ref();
        process.map_or_else(Vec::new, |it| it.arguments.clone())
    }

    fn directory(&self) -> Option<String> {
        let directory = &self.process.as_ref()?.directory;
        (!directory.is_empty()).then(|| directory.clone())
    }
}

/// Response of a function.
#[derive(Debug)]
pub enum FunctionResponse {
    /// A JSON document, or, of a streaming function, whatever it wrote.
    Json(Bytes),
    /// An HTTP response.
    Http(http::Response<Bytes>),
    /// Streamed response, by its size in bytes.
    Streamed(u64),
}

/// Trailers of an HTTP response, in its extensions.
#[derive(Clone, Debug)]
pub struct Trailers(pub http::HeaderMap);

impl FunctionResponse {
    /// The bytes of a reply that is whole.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Json(document) => document,
            Self::Http(response) => response.into_body(),
            Self::Streamed(_) => Bytes::new(),
        }
    }
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
    /// Facts that are constant for a version.
    pub function: Arc<FunctionFacts>,
    /// The log stream of the environment.
    pub log_stream: Arc<str>,
    /// A JSON document from the caller.
    pub client_context: Option<String>,
    /// The tracing header.
    pub trace_id: Option<String>,
    /// The tenant, for functions with tenant isolation.
    pub tenant_id: Option<String>,
}

/// Function facts visible to a guest.
#[derive(Clone, Debug, PartialEq)]
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

/// Failed invocation. The type and message are Lambda's own, as the caller sees them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// `errorType`.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
    /// `stackTrace`.
    pub stack_trace: Vec<String>,
    /// Form of its document.
    pub form: FailureForm,
    /// Cause: reported by the function, or end of its environment.
    pub cause: Cause,
}

impl Failure {
    /// The JSON document that a caller gets in place of the function's answer.
    pub fn document(&self) -> Bytes {
        self.to_json().into()
    }

    /// The same document as a text.
    pub fn to_json(&self) -> String {
        let kind = ("errorType", self.error_type.as_str().into());
        let message = ("errorMessage", self.message.as_str().into());
        let frames = serde_json::Value::from(self.stack_trace.clone());
        let members = match &self.form {
            FailureForm::Plain if self.stack_trace.is_empty() => vec![kind, message],
            FailureForm::Plain => vec![kind, message, ("stackTrace", frames)],
            FailureForm::Python(id) => {
                let id = ("requestId", id.as_str().into());
                vec![message, kind, id, ("stackTrace", frames)]
            }
            FailureForm::Node => vec![kind, message, ("trace", frames)],
        };
        let members = members.into_iter().map(|(name, it)| (name.to_owned(), it));
        serde_json::Value::Object(members.collect()).to_string()
    }

    /// True if its runtime has written it to the log.
    pub fn is_logged(&self) -> bool {
        self.form == FailureForm::Node
    }
}

/// Form of a failure's document: members and their order are those of AWS's runtimes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FailureForm {
    /// `errorType`, `errorMessage`, and `stackTrace` if there are frames.
    #[default]
    Plain,
    /// That of the Python runtime, which names the request.
    Python(RequestId),
    /// That of the Node.js runtime, whose frames are `trace`. It writes its failures to the log itself.
    Node,
}

/// Error of an environment that was not opened.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// The guest exited or reported an error during `init`. The caller gets this failure.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// The machine has no more file descriptors or memory, or the engine no slot. Later there may be some.
    #[error("{0}")]
    NoRoom(String),
    /// Its file system could not be mounted.
    #[error(transparent)]
    Mount(MountError),
    /// The host is not in order.
    #[error(transparent)]
    Broken(Error),
}

/// Cause of a failed invocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The function answered with a failure; its environment may be used again.
    Handler,
    /// The environment ended: a trap, an exit, a limit. Only its `/tmp` is left.
    Environment,
    /// The function's response is none that can be sent; its environment may be used again.
    Response,
    /// The time was up. Only the environment's `/tmp` is left.
    Timeout,
    /// The host refused the guest what it may have, and the guest ended. Only the environment's `/tmp` is left.
    Host,
}
