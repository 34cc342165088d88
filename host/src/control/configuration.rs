//! What a version of a function is: the record that is stored, and the changes that may be asked
//! of it. Not AWS's wire shapes: `api::rest` translates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::code::CodeRef;
use super::code_signing::Signed;
use super::revision::RevisionId;
use crate::clock::Timestamp;
use crate::names::FunctionName;
use crate::units::Mib;

/// The stored record of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Its name.
    pub name: FunctionName,
    /// The unpublished version.
    pub latest: VersionRecord,
    /// Tags of the function.
    pub tags: BTreeMap<String, String>,
    /// The ARN of the code signing configuration that its packages must satisfy.
    #[serde(default)]
    pub code_signing: Option<String>,
}

/// The stored record of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// What the author chose.
    pub configuration: Configuration,
    /// The deployment package.
    pub code: CodeRef,
    /// Who signed the package, if it had to be and was.
    #[serde(default)]
    pub signed: Option<Signed>,
    /// Whether it can be invoked.
    pub state: State,
    /// How its last change went. None until the first state is Active.
    pub last_update: Option<LastUpdate>,
    /// Names this state of the record.
    pub revision: RevisionId,
    /// When it was last changed.
    pub modified: Timestamp,
}

/// Whether a version can be invoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// It is being created.
    Pending,
    /// It can.
    Active,
}

/// How the last change of a version went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum LastUpdate {
    /// It is not yet done.
    InProgress,
    /// It is done.
    Successful,
}

/// What an author chooses of a function, besides its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Free text.
    pub description: String,
    /// The ARN of the execution role. Not assumed by this host; shown to whoever asks.
    pub role: String,
    /// Names the component in the package.
    pub handler: String,
    /// One of AWS's runtime identifiers, or `wasip2`.
    pub runtime: String,
    /// How long one invocation may take.
    pub timeout_seconds: u32,
    /// Memory of one environment.
    pub memory: Mib,
    /// Size of `/tmp` of one environment.
    pub ephemeral: Mib,
    /// The author's environment variables, in the order given. None where none were ever given.
    pub environment: Option<Vec<(String, String)>>,
    /// The instruction set asked for.
    pub architecture: Architecture,
    /// `TracingConfig.Mode`.
    pub tracing: Tracing,
    /// Where the logs go.
    pub log_group: Option<String>,
}

/// The instruction set a function is compiled for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// `x86_64`
    X86_64,
    /// `arm64`
    Arm64,
}

/// Which invocations are traced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tracing {
    /// Those that a sampled header came with.
    PassThrough,
    /// Those and a share of the rest.
    Active,
}

/// A change of a configuration: what is None stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// See [`Configuration::description`].
    pub description: Option<String>,
    /// See [`Configuration::role`].
    pub role: Option<String>,
    /// See [`Configuration::handler`].
    pub handler: Option<String>,
    /// See [`Configuration::runtime`].
    pub runtime: Option<String>,
    /// See [`Configuration::timeout_seconds`].
    pub timeout_seconds: Option<u32>,
    /// See [`Configuration::memory`].
    pub memory: Option<Mib>,
    /// See [`Configuration::ephemeral`].
    pub ephemeral: Option<Mib>,
    /// See [`Configuration::environment`].
    pub environment: Option<Vec<(String, String)>>,
    /// See [`Configuration::architecture`].
    pub architecture: Option<Architecture>,
    /// See [`Configuration::tracing`].
    pub tracing: Option<Tracing>,
    /// See [`Configuration::log_group`].
    pub log_group: Option<String>,
}

impl Configuration {
    /// What AWS assumes of a function of which only the required members were given.
    pub fn new(role: String, handler: String, runtime: String) -> Self {
        Self {
            description: String::new(),
            role,
            handler,
            runtime,
            timeout_seconds: 3,
            memory: Mib::new(128),
            ephemeral: Mib::new(512),
            environment: None,
            architecture: Architecture::X86_64,
            tracing: Tracing::PassThrough,
            log_group: None,
        }
    }

    /// This configuration with a change applied.
    pub fn patched(mut self, patch: Patch) -> Self {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut self.description, patch.description);
        set(&mut self.role, patch.role);
        set(&mut self.handler, patch.handler);
        set(&mut self.runtime, patch.runtime);
        set(&mut self.timeout_seconds, patch.timeout_seconds);
        set(&mut self.memory, patch.memory);
        set(&mut self.ephemeral, patch.ephemeral);
        set(&mut self.architecture, patch.architecture);
        set(&mut self.tracing, patch.tracing);
        if patch.environment.is_some() {
            self.environment = patch.environment;
        }
        if patch.log_group.is_some() {
            self.log_group = patch.log_group;
        }
        self
    }

    /// The log group, the default one where none was chosen.
    pub fn log_group(&self, name: &FunctionName) -> String {
        self.log_group
            .clone()
            .unwrap_or_else(|| format!("/aws/lambda/{name}"))
    }
}
