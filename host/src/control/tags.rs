//! Tags: labels that resources carry for those who own them. Each kind of resource keeps its tags in
//! its own record; the rules are the same for all.

use std::collections::BTreeMap;

use super::revision::RevisionId;
use super::{Control, Error};
use crate::names::FunctionName;

/// Tags of one resource at most.
const TAGS_MAX: usize = 50;

/// Tag keys with this prefix are written by AWS's services alone.
const RESERVED_PREFIX: &str = "aws:";

/// Error of tags.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// No tag was given.
    #[error("An error occurred and the request cannot be processed.")]
    Empty,
    /// The resource would have too many.
    #[error("Number of tags exceeds resource tag limit.")]
    TooMany,
    /// A key that AWS keeps for its own services.
    #[error("aws: prefixed tag key names are not allowed for external use.")]
    ReservedKey,
    /// No capacity provider of this ARN.
    #[error("Capacity provider not found: {0}")]
    NoCapacityProvider(String),
    /// No resource of a kind that this host does not have.
    #[error("The resource you requested does not exist.")]
    NotFound,
}

/// Tags by their keys.
pub type Tags = BTreeMap<String, String>;

/// A resource that can carry tags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tagged {
    /// A function as a whole: its versions and aliases have no tags of their own.
    Function(FunctionName),
    /// A code signing configuration, by its ARN.
    CodeSigningConfig(String),
    /// An event source mapping, by its ARN.
    EventSourceMapping(String),
    /// A capacity provider, by its ARN. This host has none.
    CapacityProvider(String),
    /// A network connector. This host has none.
    Elsewhere,
}

impl Control {
    /// The tags of a resource.
    ///
    /// # Errors
    /// Where there is no such resource.
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

    /// Gives a resource tags; those it had under the same keys go.
    ///
    /// # Errors
    /// Where there is no such resource, no tag is given, or it would have too many.
    pub async fn tag(&self, resource: &Tagged, tags: &Tags) -> Result<(), Error> {
        if tags.is_empty() {
            return Err(TagError::Empty.into());
        }
        require_own_keys(tags)?;
        self.change_tags(resource, |own| own.extend(tags.clone()))
            .await
    }

    /// Takes tags from a resource. That it has no such tag is no error.
    ///
    /// # Errors
    /// Where there is no such resource.
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
                // Tags are no part of a configuration: the function may be changing. Its revision is
                // another afterwards all the same, as in AWS.
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

/// Checks the tags that a new resource is given.
pub(super) fn check_new(tags: &Tags) -> Result<(), TagError> {
    require_own_keys(tags)?;
    check(tags)
}

/// Checks the number of tags that a resource would have.
pub(super) fn check(tags: &Tags) -> Result<(), TagError> {
    if tags.len() > TAGS_MAX {
        return Err(TagError::TooMany);
    }
    Ok(())
}

/// Refuses keys that AWS keeps for its own services, in whatever case.
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
