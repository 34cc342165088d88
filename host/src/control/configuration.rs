//! Records of functions and versions as they are stored. `api::rest` translates them to AWS's wire shapes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::code_signing::Signed;
use super::layer::LayerUse;
use super::revision::RevisionId;
use super::vault::Sealed;
use crate::clock::{Clock, Timestamp};
use crate::config::Runtimes;
use crate::library::image::Overrides;
use crate::library::{CodeRef, RequiredProgram, Requirements, runtime};
use crate::names::{FunctionName, Qualifier};
use crate::sandbox::Architecture;
use crate::store::blob::Digest;
use crate::telemetry::level::Level;
use crate::telemetry::log::{Format, Levels};
use crate::units::Mib;

mod error;
mod patch;

pub use error::ConfigurationError;
pub use patch::{LoggingPatch, Patch};

/// Stored record of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Function name.
    pub name: FunctionName,
    /// Unpublished version, `$LATEST`.
    pub latest: VersionRecord,
    /// `$LATEST` as invocations get it while an update is in progress or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Box<VersionRecord>>,
    /// Tags of the function.
    pub tags: BTreeMap<String, String>,
    /// Highest version number ever published; numbers are not reused.
    pub last_version: u64,
    /// The version that was published last, unless it is deleted.
    pub published: Option<Published>,
    /// Published versions that are still Pending.
    pub settling_versions: BTreeSet<u64>,
    /// Reserved concurrency: the guarantee and the limit of this function.
    pub reserved: Option<u32>,
    /// `RecursiveLoop`.
    pub recursion: Recursion,
    /// ARN of the code signing configuration.
    pub code_signing: Option<String>,
}

/// A published version, with the content that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Version number.
    pub number: u64,
    /// Digest of configuration and code.
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

/// Stored record of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Version number; `None` is `$LATEST`.
    pub number: Option<u64>,
    /// The configuration.
    pub configuration: Configuration,
    /// The deployment package.
    pub code: CodeRef,
    /// The signature of the package, if a configuration asked for one.
    pub signed: Option<Signed>,
    /// Id of this configuration and code; environments are reused as long as it is the same.
    pub deployment: RevisionId,
    /// `State`.
    pub state: State,
    /// `LastUpdateStatus`. None until the first state is Active.
    pub last_update: Option<LastUpdate>,
    /// Reason of a failed state or update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StateReason>,
    /// `RevisionId` of this state of the record.
    pub revision: RevisionId,
    /// Time of the last change.
    pub modified: Timestamp,
    /// Runtime management.
    pub runtime_updates: RuntimeUpdates,
}

/// Runtime management. This host has one engine; the choice is only stored and shown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum RuntimeUpdates {
    /// Update automatically.
    #[default]
    Auto,
    /// When the function is updated.
    FunctionUpdate,
    /// Pinned runtime version.
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
    /// Handler, which names the component in the package. Empty for images.
    pub handler: String,
    /// AWS's runtime identifier, or `wasip2`. Empty for images.
    pub runtime: String,
    /// Time limit of one invocation.
    pub timeout_seconds: u32,
    /// Memory of an environment.
    pub memory: Mib,
    /// Size of an environment's `/tmp`.
    pub ephemeral: Mib,
    /// Encrypted environment variables; `None` if never set.
    pub environment: Option<Sealed>,
    /// Architecture.
    pub architecture: Architecture,
    /// `TracingConfig.Mode`.
    pub tracing: Tracing,
    /// `LoggingConfig`.
    pub logging: Logging,
    /// ARN of the dead-letter queue or topic.
    pub dead_letter: Option<String>,
    /// VPC configuration. Only stored and shown, because this host has one network.
    pub vpc: Option<Vpc>,
    /// `KMSKeyArn`. This host encrypts with its own key, and keeps and shows this one.
    pub kms_key_arn: Option<String>,
    /// Layers, in merge order.
    pub layers: Vec<LayerUse>,
    /// File systems and their mount paths.
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
    /// Levels of JSON logs; `None` is text.
    pub json: Option<LogLevels>,
    /// Log group; `None` is the function's own.
    pub group: Option<String>,
}

/// Minimum log levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLevels {
    /// Level of application lines.
    pub application: String,
    /// Level of platform events.
    pub system: String,
}

/// VPC configuration of a function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vpc {
    /// `SubnetIds`.
    pub subnets: Vec<String>,
    /// `SecurityGroupIds`.
    pub security_groups: Vec<String>,
    /// `Ipv6AllowedForDualStack`.
    pub ipv6: bool,
}

/// A file system of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileSystem {
    /// ARN of the access point.
    pub arn: String,
    /// Mount path, below `/mnt/`.
    pub path: String,
}

/// `ImageConfig`, as requested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `EntryPoint`.
    pub entry_point: Option<Vec<String>>,
    /// `Command`.
    pub command: Option<Vec<String>>,
    /// `WorkingDirectory`.
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
    /// `$LATEST` of a new function.
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
        let code = self.code.named();
        let content = serde_json::to_vec(&(&self.configuration, &code, &self.runtime_updates));
        Digest::of(&content.expect("a record has only string keys"))
    }

    /// True while a change of it is in progress.
    pub fn is_settling(&self) -> bool {
        self.state == State::Pending || self.last_update == Some(LastUpdate::InProgress)
    }
}

impl Configuration {
    /// The requirements on a package under this configuration.
    pub(super) fn requirements(&self, runtimes: Runtimes) -> Requirements {
        let program = match runtime::find(&self.runtime).map(|runtime| runtime.kind) {
            Some(runtime::Kind::Component) => RequiredProgram::Component {
                handler: self.handler.clone(),
            },
            Some(runtime::Kind::Managed(runtime)) => RequiredProgram::Managed {
                runtime,
                is_required: runtimes == Runtimes::Refuse,
            },
            None => RequiredProgram::Missing,
        };
        Requirements {
            program,
            architecture: self.architecture,
            layers: LayerUse::packages(&self.layers),
        }
    }

    /// True for a function of package type Image: it has no runtime, which every package has.
    pub fn is_of_image(&self) -> bool {
        self.runtime.is_empty()
    }

    /// Settings over those of the image.
    pub(super) fn overrides(&self) -> Overrides {
        let image = self.image.clone().unwrap_or_default();
        Overrides {
            entry_point: image.entry_point,
            command: image.command,
            working_directory: image.working_directory,
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

    /// Log group, by default the function's own.
    pub fn log_group(&self, name: &FunctionName) -> String {
        let group = self.logging.group.clone();
        group.unwrap_or_else(|| format!("/aws/lambda/{name}"))
    }
}

impl Logging {
    /// Format of the logs.
    pub fn format(&self) -> Format {
        // Names are validated against the model.
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
