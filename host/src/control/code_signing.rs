//! Code signing configurations: the profiles whose signatures a function's code must carry, and the policy for
//! code that does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Page, decode, encode};
use super::{Control, Error, tags};
use crate::clock::Timestamp;
use crate::names::hex;
use crate::store::{Expect, Key, Revision, Write};

mod attach;
mod error;
pub mod key;
pub mod profile;
pub mod sign;
pub mod signature;
#[cfg(test)]
mod tests;
mod verify;

pub(super) use attach::uses;
pub use error::CodeSigningError;
pub use verify::Signed;

/// Record kind. Ids are those of the configurations.
const KIND: &str = "code-signing-config";
/// Hexadecimal digits after `csc-` in an id.
const ID_DIGITS: usize = 17;

/// Stored record of a code signing configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeSigningConfig {
    /// Id: `csc-` and 17 hexadecimal digits.
    pub id: String,
    /// Free text; `None` if never set.
    pub description: Option<String>,
    /// ARNs of the allowed signing profile versions. They need not exist on this host.
    pub allowed_profiles: Vec<String>,
    /// The policy for code without a valid signature.
    pub policy: Policy,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Time of the last change.
    pub modified: Timestamp,
}

/// `UntrustedArtifactOnDeployment`: the policy for code without a valid signature.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Policy {
    /// The code is deployed, with a warning in the log.
    #[default]
    Warn,
    /// The code is refused.
    Enforce,
}

/// A new code signing configuration.
#[derive(Clone, Debug)]
pub struct Create {
    /// See [`CodeSigningConfig::description`].
    pub description: Option<String>,
    /// See [`CodeSigningConfig::allowed_profiles`].
    pub allowed_profiles: Vec<String>,
    /// See [`CodeSigningConfig::policy`].
    pub policy: Policy,
    /// See [`CodeSigningConfig::tags`].
    pub tags: BTreeMap<String, String>,
}

/// Changes of a code signing configuration; `None` keeps a member.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// See [`CodeSigningConfig::description`].
    pub description: Option<String>,
    /// See [`CodeSigningConfig::allowed_profiles`].
    pub allowed_profiles: Option<Vec<String>>,
    /// See [`CodeSigningConfig::policy`].
    pub policy: Option<Policy>,
}

impl Control {
    /// Creates a code signing configuration.
    ///
    /// # Errors
    /// Where it has too many tags.
    pub async fn create_code_signing_config(
        &self,
        create: Create,
    ) -> Result<CodeSigningConfig, Error> {
        tags::check_new(&create.tags)?;
        let config = CodeSigningConfig {
            id: self.new_code_signing_id(),
            description: create.description,
            allowed_profiles: create.allowed_profiles,
            policy: create.policy,
            tags: create.tags,
            modified: self.0.clock.now(),
        };
        let anchor = attach::anchor(&config.id, Expect::Absent);
        let batch = vec![put(&config, Expect::Absent), anchor];
        self.commit(batch).await?;
        Ok(config)
    }

    /// Code signing configuration by ARN.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn code_signing_config(&self, arn: &str) -> Result<CodeSigningConfig, Error> {
        Ok(self.existing_code_signing_config(arn).await?.0)
    }

    /// The code signing configuration of a function.
    ///
    /// # Errors
    /// Where there is none, in the words AWS has for this case.
    pub async fn require_code_signing_config(&self, arn: &str) -> Result<CodeSigningConfig, Error> {
        let found = self.find_code_signing_config(arn).await?;
        found
            .map(|(config, _)| config)
            .ok_or_else(|| not_attachable(arn))
    }

    /// Page of code signing configurations, ordered by id.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn code_signing_configs(
        &self,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<CodeSigningConfig>, Error> {
        self.page(KIND, "", marker, limit).await
    }

    /// Changes a code signing configuration. It applies to functions from their next deployment on.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn update_code_signing_config(
        &self,
        arn: &str,
        patch: Patch,
    ) -> Result<CodeSigningConfig, Error> {
        let now = self.0.clock.now();
        self.change_code_signing_config(arn, |config| {
            if patch.description.is_some() {
                config.description.clone_from(&patch.description);
            }
            if let Some(allowed) = &patch.allowed_profiles {
                config.allowed_profiles.clone_from(allowed);
            }
            config.policy = patch.policy.unwrap_or(config.policy);
            config.modified = now;
            Ok(())
        })
        .await
    }

    /// Tags of a code signing configuration.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn code_signing_config_tags(
        &self,
        arn: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        Ok(self.code_signing_config(arn).await?.tags)
    }

    /// Changes the tags of a code signing configuration.
    ///
    /// # Errors
    /// Where there is none, or it would have too many tags.
    pub async fn tag_code_signing_config(
        &self,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>),
    ) -> Result<(), Error> {
        self.change_code_signing_config(arn, |config| {
            change(&mut config.tags);
            Ok(tags::check(&config.tags)?)
        })
        .await
        .map(drop)
    }

    /// Deletes a code signing configuration.
    ///
    /// # Errors
    /// Where there is none, or a function has it.
    pub async fn delete_code_signing_config(&self, arn: &str) -> Result<(), Error> {
        self.update(|| async {
            let config = self.code_signing_config(arn).await?;
            let anchor = attach::anchor_key(&config.id);
            // Read before the uses: attaching a function writes the anchor, so that the batch below
            // then conflicts.
            let found = self.0.records.get(&anchor).await?;
            let at = found.map_or(Expect::Absent, |found| Expect::Revision(found.revision));
            let users = self.functions_of_code_signing_config(arn, None, 1).await?;
            if !users.items.is_empty() {
                return Err(CodeSigningError::InUse(arn.to_owned()).into());
            }
            let delete = |key, expect| Write::Delete { key, expect };
            let batch = vec![delete(key(&config.id), Expect::Present), delete(anchor, at)];
            Ok((batch, ()))
        })
        .await
    }

    /// ARN of a code signing configuration.
    pub fn code_signing_config_arn(&self, id: &str) -> String {
        let home = self.home();
        let (region, account) = (&home.region, &home.account);
        format!("arn:aws:lambda:{region}:{account}:code-signing-config:{id}")
    }

    async fn change_code_signing_config(
        &self,
        arn: &str,
        change: impl Fn(&mut CodeSigningConfig) -> Result<(), Error>,
    ) -> Result<CodeSigningConfig, Error> {
        let change = &change;
        self.update(|| async move {
            let (mut config, read_at) = self.existing_code_signing_config(arn).await?;
            change(&mut config)?;
            Ok((vec![put(&config, Expect::Revision(read_at))], config))
        })
        .await
    }

    async fn existing_code_signing_config(
        &self,
        arn: &str,
    ) -> Result<(CodeSigningConfig, Revision), Error> {
        let found = self.find_code_signing_config(arn).await?;
        let missing = || CodeSigningError::NotFound(arn.to_owned());
        Ok(found.ok_or_else(missing)?)
    }

    async fn find_code_signing_config(
        &self,
        arn: &str,
    ) -> Result<Option<(CodeSigningConfig, Revision)>, Error> {
        let Some(id) = arn.strip_prefix(&self.code_signing_config_arn("")) else {
            return Ok(None);
        };
        let Some(record) = self.0.records.get(&key(id)).await? else {
            return Ok(None);
        };
        Ok(Some((decode(&record)?, record.revision)))
    }

    fn new_code_signing_id(&self) -> String {
        let digits = hex(&self.0.clock.random::<9>());
        format!("csc-{}", &digits[..ID_DIGITS])
    }
}

fn not_attachable(arn: &str) -> Error {
    CodeSigningError::NotAttachable(arn.to_owned()).into()
}

fn put(config: &CodeSigningConfig, expect: Expect) -> Write {
    Write::Put {
        key: key(&config.id),
        value: encode(config),
        expect,
    }
}

fn key(id: &str) -> Key {
    Key {
        kind: KIND,
        id: id.to_owned(),
    }
}
