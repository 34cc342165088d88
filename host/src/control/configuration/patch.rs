//! Changes of a configuration. `rules` says which results are allowed.

use super::{Configuration, FileSystem, ImageConfig, LogLevels, Logging, Tracing, Vpc};
use crate::control::layer::LayerUse;
use crate::control::vault::{Sealed, Vault};
use crate::sandbox::Architecture;
use crate::units::Mib;

/// Changes of a configuration; `None` keeps a member.
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
    /// See [`Configuration::environment`]. In clear, in the order given.
    pub environment: Option<Vec<(String, String)>>,
    /// See [`Configuration::architecture`].
    pub architecture: Option<Architecture>,
    /// See [`Configuration::tracing`].
    pub tracing: Option<Tracing>,
    /// See [`Configuration::logging`].
    pub logging: Option<LoggingPatch>,
    /// See [`Configuration::dead_letter`]. An empty string removes it.
    pub dead_letter: Option<String>,
    /// See [`Configuration::vpc`].
    pub vpc: Option<Vpc>,
    /// See [`Configuration::kms_key_arn`]. An empty string removes it.
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

/// Changes of [`Logging`].
#[derive(Clone, Debug, Default)]
pub struct LoggingPatch {
    /// `LogFormat` is JSON.
    pub json: Option<bool>,
    /// See [`LogLevels::application`].
    pub application_level: Option<String>,
    /// See [`LogLevels::system`].
    pub system_level: Option<String>,
    /// See [`Logging::group`].
    pub group: Option<String>,
}

impl Configuration {
    /// Applies a change to this configuration.
    pub(in crate::control) fn patched(mut self, patch: Patch, vault: &Vault) -> Self {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
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
            // Encrypting equal variables again would make them look changed.
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
}

impl Logging {
    /// Changing to JSON sets both levels to INFO; changing to text removes them.
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
