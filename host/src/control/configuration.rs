//! Records of functions and versions as they are stored. `api::rest` translates them to AWS's wire shapes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::code_signing::Signed;
use super::layer::LayerUse;
use super::revision::RevisionId;
use super::vault::Sealed;
use crate::clock::{Clock, Timestamp};
use crate::library::{CodeRef, Wanted, runtime};
use crate::names::{FunctionName, Qualifier};
use crate::sandbox::Architecture;
use crate::store::blob::Digest;
use crate::telemetry::log::{Format, Level, Levels};
use crate::units::Mib;

mod error;
mod patch;

pub use error::ConfigurationError;
pub use patch::{LoggingPatch, Patch};

/// The stored record of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Its name.
    pub name: FunctionName,
    /// The unpublished version.
    pub latest: VersionRecord,
    /// The unpublished version as invocations get it, where an update of it is in progress or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Box<VersionRecord>>,
    /// Tags of the function.
    pub tags: BTreeMap<String, String>,
    /// The number of the newest version ever published: numbers are not used again.
    pub last_version: u64,
    /// The version that was published last, unless it is deleted.
    pub published: Option<Published>,
    /// Published versions that are still being made ready.
    pub settling_versions: BTreeSet<u64>,
    /// Reserved concurrency: the guarantee and the limit of this function.
    pub reserved: Option<u32>,
    /// `RecursiveLoop`.
    pub recursion: Recursion,
    /// The ARN of the code signing configuration that its packages must satisfy.
    pub code_signing: Option<String>,
}

/// A published version, and what the unpublished one was when it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// Names the configuration and code it was made from.
    pub content: Digest,
}

/// Handling of a function that calls itself through other services.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Recursion {
    /// The loop goes on.
    Allow,
    /// The loop is stopped.
    #[default]
    Terminate,
}

/// The stored record of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Its number. None is the unpublished version.
    pub number: Option<u64>,
    /// The configuration.
    pub configuration: Configuration,
    /// The deployment package.
    pub code: CodeRef,
    /// The signature of the package, if a configuration asked for one.
    pub signed: Option<Signed>,
    /// Names this configuration and code: environments are reused as long as it stays the same.
    pub deployment: RevisionId,
    /// `State`.
    pub state: State,
    /// `LastUpdateStatus`. None until the first state is Active.
    pub last_update: Option<LastUpdate>,
    /// Reason of a failed state or update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StateReason>,
    /// Names this state of the record.
    pub revision: RevisionId,
    /// When it was last changed.
    pub modified: Timestamp,
    /// When its runtime is brought up to date.
    pub runtime_updates: RuntimeUpdates,
}

/// When AWS would bring the runtime of a version up to date. This host has one engine; the choice
/// is kept and shown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum RuntimeUpdates {
    /// When there is a new one.
    #[default]
    Auto,
    /// When the function is updated.
    FunctionUpdate,
    /// Never: this runtime version is used.
    Manual(String),
}

/// The `State` of a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// The version is being created.
    Pending,
    /// The version can be invoked.
    Active,
    /// The version was idle for so long that it must be made ready again.
    Inactive,
    /// The creation failed.
    Failed,
}

/// The `LastUpdateStatus` of a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum LastUpdate {
    /// The update is not complete.
    InProgress,
    /// The update is complete.
    Successful,
    /// The update failed; invocations get the version before.
    Failed,
}

/// Reason of a failed state or update, as AWS has it: a code and a text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct StateReason {
    /// `StateReasonCode` or `LastUpdateStatusReasonCode`.
    pub code: String,
    /// `StateReason` or `LastUpdateStatusReason`.
    pub text: String,
}

/// The configuration of a version: all but its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Free text.
    pub description: String,
    /// The ARN of the execution role. This host keeps and shows it, and does not assume it.
    pub role: String,
    /// Names the component in the package.
    pub handler: String,
    /// One of AWS's runtime identifiers, or `wasip2`.
    pub runtime: String,
    /// Time limit of one invocation.
    pub timeout_seconds: u32,
    /// Memory of one environment.
    pub memory: Mib,
    /// Size of `/tmp` of one environment.
    pub ephemeral: Mib,
    /// The author's environment variables, sealed. None where none were ever given.
    pub environment: Option<Sealed>,
    /// The instruction set asked for.
    pub architecture: Architecture,
    /// `TracingConfig.Mode`.
    pub tracing: Tracing,
    /// `LoggingConfig`.
    pub logging: Logging,
    /// The ARN of the queue or topic for events that were given up.
    pub dead_letter: Option<String>,
    /// The network it asks to be in. This host has one network; the choice is kept and shown.
    pub vpc: Option<Vpc>,
    /// `KMSKeyArn`. This host encrypts with its own key, and keeps and shows this one.
    pub kms_key_arn: Option<String>,
    /// Its layers, in the order they are merged.
    pub layers: Vec<LayerUse>,
    /// File systems and where they are mounted.
    pub file_systems: Vec<FileSystem>,
    /// `ImageConfig`.
    pub image: Option<ImageConfig>,
    /// `SnapStart.ApplyOn` is `PublishedVersions`.
    pub snap_start: bool,
    /// Tenants do not share environments.
    pub tenant_isolation: bool,
}

/// The `LoggingConfig` of a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    /// The levels of JSON logs. None is text.
    pub json: Option<LogLevels>,
    /// Where the logs go; None is the function's own group.
    pub group: Option<String>,
}

/// The least level that is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLevels {
    /// Of the function's own lines.
    pub application: String,
    /// Of the host's lines.
    pub system: String,
}

/// The network a function asks to be in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// `SubnetIds`
    pub subnets: Vec<String>,
    /// `SecurityGroupIds`
    pub security_groups: Vec<String>,
    /// `Ipv6AllowedForDualStack`
    pub ipv6: bool,
}

/// A file system of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSystem {
    /// The ARN of its access point.
    pub arn: String,
    /// Where it is mounted, below `/mnt/`.
    pub path: String,
}

/// `ImageConfig`, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `EntryPoint`
    pub entry_point: Option<Vec<String>>,
    /// `Command`
    pub command: Option<Vec<String>>,
    /// `WorkingDirectory`
    pub working_directory: Option<String>,
}

/// `TracingConfig.Mode`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tracing {
    /// Invocations that come with a sampled trace header are traced.
    PassThrough,
    /// A share of the other invocations is traced, too.
    Active,
}

impl FunctionRecord {
    /// The record of a new function.
    pub fn new(name: FunctionName, latest: VersionRecord, tags: BTreeMap<String, String>) -> Self {
        Self {
            name,
            latest,
            serving: None,
            tags,
            last_version: 0,
            published: None,
            settling_versions: BTreeSet::new(),
            reserved: None,
            recursion: Recursion::default(),
            code_signing: None,
        }
    }
}

impl VersionRecord {
    /// The unpublished version of a new function.
    pub fn new(configuration: Configuration, code: CodeRef, clock: &Clock) -> Self {
        Self {
            number: None,
            configuration,
            code,
            signed: None,
            deployment: RevisionId::new(clock),
            state: State::Pending,
            last_update: None,
            reason: None,
            revision: RevisionId::new(clock),
            modified: clock.now(),
            runtime_updates: RuntimeUpdates::default(),
        }
    }

    /// The qualifier in ARNs and logs.
    pub fn qualifier(&self) -> Qualifier {
        self.number.map_or(Qualifier::Latest, Qualifier::Version)
    }

    /// Digest of everything by which published versions differ.
    pub fn content(&self) -> Digest {
        let content = serde_json::to_vec(&(&self.configuration, &self.code, &self.runtime_updates));
        Digest::of(&content.expect("a record has only string keys"))
    }

    /// True while a change of it is in progress.
    pub fn is_settling(&self) -> bool {
        self.state == State::Pending || self.last_update == Some(LastUpdate::InProgress)
    }
}

impl Configuration {
    /// The requirements on a package under this configuration.
    pub(super) fn wanted(&self) -> Wanted {
        let is_component = matches!(
            runtime::find(&self.runtime).map(|runtime| runtime.kind),
            Some(runtime::Kind::Component)
        );
        Wanted {
            handler: is_component.then(|| self.handler.clone()),
            architecture: self.architecture,
        }
    }

    /// The configuration with AWS's defaults for all members that are not required.
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
            logging: Logging::default(),
            dead_letter: None,
            vpc: None,
            kms_key_arn: None,
            layers: Vec::new(),
            file_systems: Vec::new(),
            image: None,
            snap_start: false,
            tenant_isolation: false,
        }
    }

    /// The log group, the default one where none was chosen.
    pub fn log_group(&self, name: &FunctionName) -> String {
        let group = self.logging.group.clone();
        group.unwrap_or_else(|| format!("/aws/lambda/{name}"))
    }
}

impl Logging {
    /// Format of the logs.
    pub fn format(&self) -> Format {
        // The model allows no other names than those of levels.
        let level = |name: &str| Level::parse(name).unwrap_or(Level::Info);
        self.json.as_ref().map_or(Format::Text, |levels| {
            Format::Json(Levels {
                application: level(&levels.application),
                system: level(&levels.system),
            })
        })
    }
}

impl Default for LogLevels {
    fn default() -> Self {
        Self {
            application: "INFO".into(),
            system: "INFO".into(),
        }
    }
}
