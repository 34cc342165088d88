//! The stored record of an event source mapping, its states, and the requests to make and change it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::source::SourceChoice;
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::invoke::snapshot::event_source::settings::Settings;
use crate::invoke::snapshot::event_source::{EventSource, Mapping};
use crate::names::{FunctionName, Home, Qualifier};

/// The stored record of a mapping.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MappingRecord {
    /// Its UUID.
    pub id: String,
    /// The function.
    pub function: FunctionName,
    /// The version or alias, if the request named one.
    pub qualifier: Option<Qualifier>,
    /// The source.
    pub source: EventSource,
    /// The settings.
    pub settings: Settings,
    /// `Enabled`.
    pub enabled: bool,
    /// The state.
    pub state: State,
    /// When it was last changed, or its state was.
    pub modified: Timestamp,
    /// Tags of the mapping.
    pub tags: BTreeMap<String, String>,
    /// Result of the last batch since the start of the host. Not stored.
    #[serde(skip)]
    pub processed: Option<String>,
}

/// The `State` of a mapping.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// The mapping is being made.
    Creating,
    /// Polling is being started.
    Enabling,
    /// The source is polled.
    Enabled,
    /// Polling is being stopped.
    Disabling,
    /// The source is not polled.
    Disabled,
    /// Other settings are being changed.
    Updating,
    /// The mapping is being deleted.
    Deleting,
}

/// A new mapping.
#[derive(Debug)]
pub struct CreateMapping {
    /// The function.
    pub target: Target,
    /// The source.
    pub source: SourceChoice,
    /// The settings.
    pub settings: Settings,
    /// `Enabled`.
    pub enabled: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Changes of a mapping; `None` keeps a member.
#[derive(Debug, Default)]
pub struct UpdateMapping {
    /// Another function.
    pub target: Option<Target>,
    /// The settings.
    pub settings: Settings,
    /// `Enabled`.
    pub enabled: Option<bool>,
}

/// Filter of a listing.
#[derive(Debug, Default)]
pub struct MappingFilter {
    /// Mappings of this function, version or alias.
    pub target: Option<Target>,
    /// Mappings of this source.
    pub source_arn: Option<String>,
}

impl MappingRecord {
    /// The mapping as the data plane sees it.
    pub(in crate::control) fn published(&self) -> Mapping {
        let is_polled = matches!(self.state, State::Enabled | State::Updating);
        Mapping {
            target: Target {
                name: self.function.clone(),
                qualifier: self.qualifier.clone(),
            },
            source: self.source.clone(),
            settings: self.settings.clone(),
            is_enabled: self.enabled && is_polled,
        }
    }

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
    /// The name in the API.
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

    /// True while a change is in progress; another one is refused until it is complete.
    pub(in crate::control) fn is_settling(self) -> bool {
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

/// Prefix of the ARNs of all mappings.
pub(super) fn arn_prefix(home: &Home) -> String {
    let Home { account, region } = home;
    format!("arn:aws:lambda:{region}:{account}:event-source-mapping:")
}
