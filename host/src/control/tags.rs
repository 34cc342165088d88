//! Tags of resources. Each resource type stores tags in its own record; the rules are shared.

use std::collections::BTreeMap;

use super::revision::RevisionId;
use super::{Control, Error};
use crate::names::FunctionName;

/// Maximum tags per resource.
const TAGS_MAX: usize = 50;

/// Tag key prefix reserved by AWS.
const RESERVED_PREFIX: &str = "aws:";

/// Error of tags.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// No tag given.
    #[error("An error occurred and the request cannot be processed.")]
    Empty,
    /// Too many tags.
    #[error("Number of tags exceeds resource tag limit.")]
    TooMany,
    /// Reserved key prefix.
    #[error("aws: prefixed tag key names are not allowed for external use.")]
    ReservedKey,
    /// No capacity provider of this ARN.
    #[error("Capacity provider not found: {0}")]
    NoCapacityProvider(String),
    /// No resource of a kind that this host does not have.
    #[error("The resource you requested does not exist.")]
    NotFound,
}

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// A taggable resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tagged {
    /// A function; versions and aliases have no tags.
    Function(FunctionName),
    /// A code signing configuration, by ARN.
    CodeSigningConfig(String),
    /// An event source mapping, by ARN.
    EventSourceMapping(String),
    /// A capacity provider, by ARN. This host has none.
    CapacityProvider(String),
    /// A network connector. This host has none.
    Elsewhere,
}

impl Control {
    /// Tags of a resource.
    ///
    /// # Errors
    /// If there is no such resource.
    pub async fn tags(&self, resource: &Tagged) -> Result<Tags, Error> {
        match resource {
            Tagged::Function(name) => Ok(self.existing(name).await?.0.tags),
            Tagged::CodeSigningConfig(arn) => self.code_signing_config_tags(arn).await,
            Tagged::EventSourceMapping(arn) => {
                Ok(self.event_source_mapping_by_arn(arn).await?.tags)
            }
            Tagged::CapacityProvider(arn) => Err(TagError::NoCapacityProvider(arn.clone()).into()),
            Tagged::Elsewhere => Err(TagError::NotFound.into()),
        }
    }

    /// Adds tags to a resource; equal keys are overwritten.
    ///
    /// # Errors
    /// If the resource does not exist, no tag is given, or there would be too many.
    pub async fn tag(&self, resource: &Tagged, tags: &Tags) -> Result<(), Error> {
        if tags.is_empty() {
            return Err(TagError::Empty.into());
        }
        require_own_keys(tags)?;
        self.change_tags(resource, |own| own.extend(tags.clone()))
            .await
    }

    /// Removes tags. Missing tags are ignored.
    ///
    /// # Errors
    /// If there is no such resource.
    pub async fn untag(&self, resource: &Tagged, keys: &[String]) -> Result<(), Error> {
        self.change_tags(resource, |own| own.retain(|key, _| !keys.contains(key)))
            .await
    }

    async fn change_tags(
        &self,
        resource: &Tagged,
        change: impl Fn(&mut Tags),
    ) -> Result<(), Error> {
        match resource {
            Tagged::Function(name) => {
                // Tags are not part of the configuration, so they may change during an update. The
                // revision changes all the same, as in AWS.
                self.change(name, |function, _| {
                    change(&mut function.tags);
                    function.latest.revision = RevisionId::new(&self.0.clock);
                    Ok(check(&function.tags)?)
                })
                .await?;
                Ok(())
            }
            Tagged::CodeSigningConfig(arn) => self.tag_code_signing_config(arn, change).await,
            Tagged::EventSourceMapping(arn) => self.tag_event_source_mapping(arn, change).await,
            Tagged::CapacityProvider(arn) => Err(TagError::NoCapacityProvider(arn.clone()).into()),
            Tagged::Elsewhere => Err(TagError::NotFound.into()),
        }
    }
}

/// Validates the tags of a new resource.
pub(super) fn check_new(tags: &Tags) -> Result<(), TagError> {
    require_own_keys(tags)?;
    check(tags)
}

/// Validates the number of tags.
pub(super) fn check(tags: &Tags) -> Result<(), TagError> {
    if tags.len() > TAGS_MAX {
        return Err(TagError::TooMany);
    }
    Ok(())
}

/// Refuses reserved key prefixes, ignoring case.
fn require_own_keys(tags: &Tags) -> Result<(), TagError> {
    let is_reserved = |key: &String| {
        let prefix = key.get(..RESERVED_PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
    };
    if tags.keys().any(is_reserved) {
        return Err(TagError::ReservedKey);
    }
    Ok(())
}
