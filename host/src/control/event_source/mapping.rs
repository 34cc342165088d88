//! What a mapping is: the record that is stored, its states, and what may be asked of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::source::{EventSource, SourceChoice};
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::names::{FunctionName, Home, Qualifier};

/// The stored record of a mapping.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MappingRecord {
    /// Its UUID.
    pub id: String,
    /// The function.
    pub function: FunctionName,
    /// Which code of it, if the caller said.
    pub qualifier: Option<Qualifier>,
    /// What is read.
    pub source: EventSource,
    /// How it is read.
    pub settings: Settings,
    /// Whether it is to be read.
    pub enabled: bool,
    /// How far its last change has come.
    pub state: State,
    /// When it was last changed, or its state was.
    pub modified: Timestamp,
    /// Tags of the mapping.
    pub tags: BTreeMap<String, String>,
}

/// How far the last change of a mapping has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// It is being made.
    Creating,
    /// It is being switched on.
    Enabling,
    /// It is on.
    Enabled,
    /// It is being switched off.
    Disabling,
    /// It is off.
    Disabled,
    /// Something else of it is being changed.
    Updating,
    /// It is being deleted.
    Deleting,
}

/// A new mapping.
#[derive(Debug)]
pub struct CreateMapping {
    /// The function.
    pub target: Target,
    /// What is to be read.
    pub source: SourceChoice,
    /// How it is to be read.
    pub settings: Settings,
    /// Whether it is to be read at once.
    pub enabled: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A change of a mapping. What is None stays as it is.
#[derive(Debug, Default)]
pub struct UpdateMapping {
    /// Another function.
    pub target: Option<Target>,
    /// How it is to be read.
    pub settings: Settings,
    /// Whether it is to be read.
    pub enabled: Option<bool>,
}

/// Which mappings a listing has.
#[derive(Debug, Default)]
pub struct MappingFilter {
    /// Those of this function, or of this version or alias of it.
    pub target: Option<Target>,
    /// Those that read this.
    pub source_arn: Option<String>,
}

impl MappingRecord {
    /// Its ARN.
    pub fn arn(&self, home: &Home) -> String {
        format!("{}{}", arn_prefix(home), self.id)
    }

    /// The ARN of its function, qualified if the caller's was.
    pub fn function_arn(&self, home: &Home) -> String {
        match &self.qualifier {
            None => home.function_arn(&self.function),
            Some(qualifier) => home.qualified_arn(&self.function, qualifier),
        }
    }
}

impl State {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }

    /// Whether a change is under way, and another one must wait.
    pub(super) fn is_settling(self) -> bool {
        !matches!(self, Self::Enabled | Self::Disabled)
    }
}

impl MappingFilter {
    pub(super) fn keeps(&self, record: &MappingRecord) -> bool {
        let target = self.target.as_ref().is_none_or(|target| {
            target.name == record.function && target.qualifier == record.qualifier
        });
        target && (self.source_arn.is_none() || self.source_arn == record.source.arn)
    }
}

/// What the ARN of every mapping begins with.
pub(super) fn arn_prefix(home: &Home) -> String {
    let Home { account, region } = home;
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:")
}
