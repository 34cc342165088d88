//! What a version of a function is: the record that is stored, and the changes that may be asked
//! of it. Not AWS's wire shapes: `api::rest` translates.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::code::{CodeRef, LayerUse};
use super::code_signing::Signed;
use super::revision::RevisionId;
use super::vault::{Sealed, Vault};
use crate::clock::{Clock, Timestamp};
use crate::names::{FunctionName, Qualifier};
use crate::sandbox::Architecture;
use crate::store::blob::Digest;
use crate::telemetry::log::{Format, Level, Levels};
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
    /// See [`Configuration::environment`]. Not yet sealed, in the order given.
    pub environment: Option<Vec<(String, String)>>,
    /// See [`Configuration::architecture`].
    pub architecture: Option<Architecture>,
    /// See [`Configuration::tracing`].
    pub tracing: Option<Tracing>,
    /// See [`Configuration::logging`].
    pub logging: Option<LoggingPatch>,
    /// See [`Configuration::dead_letter`]. An empty one takes it away.
    pub dead_letter: Option<String>,
    /// See [`Configuration::vpc`].
    pub vpc: Option<Vpc>,
    /// See [`Configuration::kms_key_arn`]. An empty one takes it away.
    pub kms_key_arn: Option<String>,
    /// See [`Configuration::layers`].
    pub layers: Option<Vec<LayerUse>>,
    /// See [`Configuration::file_systems`].
    pub file_systems: Option<Vec<FileSystem>>,
    /// See [`Configuration::image`].
    pub image: Option<ImageConfig>,
    /// See [`Configuration::snap_start`].
    pub snap_start: Option<bool>,
    /// See [`Configuration::tenant_isolation`].
    pub tenant_isolation: Option<bool>,
}

/// A change of [`Logging`].
#[derive(Clone, Debug, Default)]
pub struct LoggingPatch {
    /// Whether logs shall be JSON.
    pub json: Option<bool>,
    /// See [`LogLevels::application`].
    pub application_level: Option<String>,
    /// See [`LogLevels::system`].
    pub system_level: Option<String>,
    /// See [`Logging::group`].
    pub group: Option<String>,
}

impl FunctionRecord {
    /// A function that has never been anything else.
    pub fn new(name: FunctionName, latest: VersionRecord, tags: BTreeMap<String, String>) -> Self {
        Self {
            name,
            latest,
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

    /// This configuration with a change applied.
    pub(super) fn patched(mut self, patch: Patch, vault: &Vault) -> Self {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        let optional = |text: String| (!text.is_empty()).then_some(text);
        set(&mut self.description, patch.description);
        set(&mut self.role, patch.role);
        set(&mut self.handler, patch.handler);
        set(&mut self.runtime, patch.runtime);
        set(&mut self.timeout_seconds, patch.timeout_seconds);
        set(&mut self.memory, patch.memory);
        set(&mut self.ephemeral, patch.ephemeral);
        set(&mut self.architecture, patch.architecture);
        set(&mut self.tracing, patch.tracing);
        if let Some(variables) = patch.environment {
            // Sealed anew, the same variables would look like others.
            let same = |sealed: &Sealed| vault.open_sealed(sealed).is_ok_and(|it| it == variables);
            let kept = self.environment.take().filter(same);
            self.environment = Some(kept.unwrap_or_else(|| vault.seal(&variables)));
        }
        set(&mut self.dead_letter, patch.dead_letter.map(optional));
        set(&mut self.vpc, patch.vpc.map(Some));
        set(&mut self.kms_key_arn, patch.kms_key_arn.map(optional));
        set(&mut self.layers, patch.layers);
        set(&mut self.file_systems, patch.file_systems);
        set(&mut self.image, patch.image.map(Some));
        set(&mut self.snap_start, patch.snap_start);
        set(&mut self.tenant_isolation, patch.tenant_isolation);
        if let Some(logging) = patch.logging {
            self.logging.patch(logging);
        }
        self
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

    /// Logs that become JSON begin with both levels at INFO; logs that become text lose them.
    fn patch(&mut self, patch: LoggingPatch) {
        match patch.json {
            Some(true) if self.json.is_none() => self.json = Some(LogLevels::default()),
            Some(false) => self.json = None,
            _ => {}
        }
        if let Some(levels) = &mut self.json {
            if let Some(level) = patch.application_level {
                levels.application = level;
            }
            if let Some(level) = patch.system_level {
                levels.system = level;
            }
        }
        if patch.group.is_some() {
            self.group = patch.group;
        }
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
