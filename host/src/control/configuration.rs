//! What a version of a function is: the record that is stored. Not AWS's wire shapes: `api::rest`
//! translates.

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
    /// What was published last, as long as that version is there.
    pub published: Option<Published>,
    /// Published versions that are still being made ready.
    pub settling_versions: BTreeSet<u64>,
    /// Invocations at once that are set aside for this function, and all it may have.
    pub reserved: Option<u32>,
    /// Whether the function may be called in a loop that it is a part of.
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

/// What happens to a function that calls itself through other services.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Recursion {
    /// It goes on.
    Allow,
    /// It is stopped.
    #[default]
    Terminate,
}

/// The stored record of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Its number. None is the unpublished version.
    pub number: Option<u64>,
    /// What the author chose.
    pub configuration: Configuration,
    /// The deployment package.
    pub code: CodeRef,
    /// Who signed the package, if it had to be and was.
    pub signed: Option<Signed>,
    /// Names this configuration and code: environments are reused as long as it stays the same.
    pub deployment: RevisionId,
    /// Whether it can be invoked.
    pub state: State,
    /// How its last change went. None until the first state is Active.
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

/// Whether a version can be invoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// It is being created.
    Pending,
    /// It can.
    Active,
    /// It was not invoked for so long that it must be made ready again.
    Inactive,
    /// Its creation failed.
    Failed,
}

/// How the last change of a version went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum LastUpdate {
    /// It is not yet done.
    InProgress,
    /// It is done.
    Successful,
    /// It failed; invocations get the version before.
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
    /// The author's environment variables, sealed. None where none were ever given.
    pub environment: Option<Sealed>,
    /// The instruction set asked for.
    pub architecture: Architecture,
    /// `TracingConfig.Mode`.
    pub tracing: Tracing,
    /// How and where it logs.
    pub logging: Logging,
    /// The ARN of the queue or topic for events that were given up.
    pub dead_letter: Option<String>,
    /// The network it asks to be in. This host has one network; the choice is kept and shown.
    pub vpc: Option<Vpc>,
    /// The key its variables shall be encrypted with. This host has its own; the choice is shown.
    pub kms_key_arn: Option<String>,
    /// Its layers, in the order they are merged.
    pub layers: Vec<LayerUse>,
    /// File systems and where they are mounted.
    pub file_systems: Vec<FileSystem>,
    /// What would be run of a container image.
    pub image: Option<ImageConfig>,
    /// Whether published versions start from a snapshot.
    pub snap_start: bool,
    /// Whether tenants never share an environment.
    pub tenant_isolation: bool,
}

/// How and where a function logs.
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

/// Which invocations are traced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tracing {
    /// Those that a sampled header came with.
    PassThrough,
    /// Those and a share of the rest.
    Active,
}

impl FunctionRecord {
    /// A function that has never been anything else.
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

    /// What qualifies it in ARNs and logs.
    pub fn qualifier(&self) -> Qualifier {
        self.number.map_or(Qualifier::Latest, Qualifier::Version)
    }

    /// Names all that would be different in another published version.
    pub fn content(&self) -> Digest {
        let content = serde_json::to_vec(&(&self.configuration, &self.code, &self.runtime_updates));
        Digest::of(&content.expect("a record has only string keys"))
    }

    /// Whether a change of it is in progress.
    pub fn is_settling(&self) -> bool {
        self.state == State::Pending || self.last_update == Some(LastUpdate::InProgress)
    }
}

impl Configuration {
    /// How a package is run under this configuration.
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
    /// How logs are to be written.
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
