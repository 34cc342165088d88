//! Provisioned concurrency of versions and aliases. The reserved concurrency of functions is in `reserve`.

use serde::{Deserialize, Serialize};

use super::configuration::FunctionRecord;
use super::ledger::Shares;
use super::record::{Page, decode, encode};
use super::{Control, Error, kind};
use crate::clock::Timestamp;
use crate::invoke::provision::Provision;
use crate::names::{AliasName, FunctionName, Qualifier};
use crate::store::{Expect, Key, Write};

pub(super) mod error;
mod reserve;

pub use error::ConcurrencyError;

/// The stored record of provisioned concurrency.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvisionedRecord {
    /// The version or alias.
    pub qualifier: Qualifier,
    /// `RequestedProvisionedConcurrentExecutions`.
    pub requested: u32,
    /// When this was asked for.
    pub modified: Timestamp,
    /// When its alias was led to another version, if that was later.
    #[serde(default)]
    pub moved: Option<Timestamp>,
    /// Environments that were ready then.
    #[serde(default)]
    pub ready_before: u32,
}

/// Provisioned concurrency, and how far it has come.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// The request.
    pub record: ProvisionedRecord,
    /// The environments that are ready.
    pub progress: Provision,
    /// The status is still shown as in progress, however many environments are ready.
    pub is_settling: bool,
}

impl Control {
    pub(super) async fn provisioned_total(&self, name: &FunctionName) -> Result<u32, Error> {
        let records: Vec<ProvisionedRecord> = self
            .children(kind::PROVISIONED, &format!("{name}/"))
            .await?;
        Ok(records.iter().map(|record| record.requested).sum())
    }

    /// Provisioned concurrency of the other versions and aliases of a function.
    async fn provisioned_besides(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<u32, Error> {
        let own = self.provisioned_for(name, qualifier).await?;
        Ok(self.provisioned_total(name).await?.saturating_sub(own))
    }

    /// Environments that are provisioned under this qualifier.
    pub(super) async fn provisioned_for(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<u32, Error> {
        let found = self.load_provisioned(name, qualifier).await?;
        Ok(found.map_or(0, |record| record.requested))
    }

    /// Asks for environments of a version that are ready before they are needed.
    ///
    /// # Errors
    /// Where there is no such version or alias, or too little would be left for the others.
    pub async fn provision(
        &self,
        name: &FunctionName,
        qualifier: Qualifier,
        requested: u32,
    ) -> Result<ProvisionedRecord, Error> {
        self.provision_with(name, qualifier, requested, None).await
    }

    /// The same, with one more write in the commit.
    pub(super) async fn provision_with(
        &self,
        name: &FunctionName,
        qualifier: Qualifier,
        requested: u32,
        also: Option<Write>,
    ) -> Result<ProvisionedRecord, Error> {
        if qualifier == Qualifier::Latest {
            return Err(ConcurrencyError::Unpublished.into());
        }
        let record = ProvisionedRecord {
            ready_before: self.progress_of(name, &qualifier).available,
            qualifier,
            requested,
            modified: self.0.clock.now(),
            moved: None,
        };
        self.write_below(name, || async {
            let function = self.provisionable(name, &record.qualifier).await?;
            self.require_no_weights(name, &record.qualifier).await?;
            let others = self.provisioned_besides(name, &record.qualifier).await?;
            self.require_within_limits(&function, requested, others)?;
            self.require_not_twice(name, &record.qualifier).await?;
            let before = self.shares(&function).await?;
            let after = Shares {
                provisioned: others.saturating_add(requested),
                ..before
            };
            let ledger = self
                .ledger_write(before, after, "ConcurrentExecutions")
                .await?;
            let put = Write::Put {
                key: key(name, &record.qualifier),
                value: encode(&record),
                expect: Expect::Any,
            };
            let also = also.clone();
            Ok(([put].into_iter().chain(ledger).chain(also).collect(), ()))
        })
        .await?;
        Ok(record)
    }

    /// The write that restarts the provisioned concurrency of an alias that is led to another version.
    pub(super) async fn provision_moves(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        version: Option<u64>,
    ) -> Result<Option<Write>, Error> {
        let qualifier = Qualifier::Alias(alias.clone());
        let key = key(name, &qualifier);
        let Some(found) = self.0.records.get(&key).await? else {
            return Ok(None);
        };
        let version = version.ok_or(ConcurrencyError::Unpublished)?;
        let version = Qualifier::Version(version);
        if self.load_provisioned(name, &version).await?.is_some() {
            return Err(ConcurrencyError::VersionIsProvisioned.into());
        }
        let mut record: ProvisionedRecord = decode(&found)?;
        record.ready_before = self.progress_of(name, &qualifier).available;
        record.moved = Some(self.0.clock.now());
        Ok(Some(Write::Put {
            key,
            value: encode(&record),
            expect: Expect::Revision(found.revision),
        }))
    }

    /// The function, if it has this version or alias.
    async fn provisionable(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<FunctionRecord, Error> {
        // AWS reports a missing alias before a missing function.
        if let Qualifier::Alias(alias) = qualifier {
            match self.load_alias(name, alias).await? {
                None => return Err(self.no_alias(name, alias)),
                Some((record, _)) if record.version.is_none() => {
                    return Err(ConcurrencyError::Unpublished.into());
                }
                Some(_) => {}
            }
        }
        let function = self.existing_at(name, Some(qualifier)).await?;
        if function.latest.configuration.tenant_isolation {
            return Err(ConcurrencyError::TenantIsolation.into());
        }
        Ok(function)
    }

    /// Refuses more than the reserve or the account allows; `others` is provisioned for the function's other
    /// versions and aliases.
    fn require_within_limits(
        &self,
        function: &FunctionRecord,
        requested: u32,
        others: u32,
    ) -> Result<(), Error> {
        if function
            .reserved
            .is_some_and(|reserved| reserved < requested.saturating_add(others))
        {
            return Err(ConcurrencyError::AboveReserve.into());
        }
        let limit = self.0.config.concurrency;
        if requested > limit {
            return Err(ConcurrencyError::AboveAccount(limit).into());
        }
        Ok(())
    }

    /// Refuses a weighted alias. AWS allows adding weights to a provisioned alias, as gradual
    /// deployments do; its provisioned concurrency cannot be changed meanwhile.
    async fn require_no_weights(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<(), Error> {
        let Qualifier::Alias(alias) = qualifier else {
            return Ok(());
        };
        match self.alias(name, alias).await?.additional {
            None => Ok(()),
            Some(_) => Err(ConcurrencyError::Weights.into()),
        }
    }

    /// A version is provisioned under its number or under an alias, not both.
    async fn require_not_twice(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<(), Error> {
        match qualifier {
            Qualifier::Alias(alias) => {
                let version = self.alias(name, alias).await?.version;
                let version = version.map(Qualifier::Version);
                if let Some(version) = version
                    && self.load_provisioned(name, &version).await?.is_some()
                {
                    return Err(ConcurrencyError::VersionIsProvisioned.into());
                }
            }
            Qualifier::Version(number) => {
                for alias in self.all_aliases(name).await? {
                    let by_alias = Qualifier::Alias(alias.name.clone());
                    if alias.version == Some(*number)
                        && self.load_provisioned(name, &by_alias).await?.is_some()
                    {
                        return Err(ConcurrencyError::AliasIsProvisioned.into());
                    }
                }
            }
            Qualifier::Latest => {}
        }
        Ok(())
    }

    /// Provisioned concurrency of a version or alias.
    ///
    /// # Errors
    /// Where there is no such version or alias, or nothing is provisioned for it.
    pub async fn provisioned(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<Provisioned, Error> {
        require_published(qualifier)?;
        self.provisionable(name, qualifier).await?;
        let found = self.load_provisioned(name, qualifier).await?;
        let record = found.ok_or(ConcurrencyError::NotProvisioned)?;
        Ok(self.with_progress(name, record))
    }

    /// Provisioned concurrency of all versions and aliases of a function.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn all_provisioned(
        &self,
        name: &FunctionName,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<Provisioned>, Error> {
        self.existing(name).await?;
        let page = self
            .page(kind::PROVISIONED, &format!("{name}/"), marker, limit)
            .await?;
        let items = page.items.into_iter();
        Ok(Page {
            items: items
                .map(|record| self.with_progress(name, record))
                .collect(),
            next: page.next,
        })
    }

    /// Deletes the provisioned concurrency of a version or alias, if there is any.
    ///
    /// # Errors
    /// Where there is no such version or alias.
    pub async fn unprovision(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<(), Error> {
        self.unprovision_with(name, qualifier, None).await
    }

    /// The same, with one more write in the commit.
    pub(super) async fn unprovision_with(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
        also: Option<Write>,
    ) -> Result<(), Error> {
        require_published(qualifier)?;
        self.write_below(name, || async {
            let function = self.provisionable(name, qualifier).await?;
            let ledger = self.ledger_release_of(&function, qualifier).await?;
            let deletion = deletion(name, qualifier);
            let also = also.clone();
            Ok((
                [deletion].into_iter().chain(ledger).chain(also).collect(),
                (),
            ))
        })
        .await
    }

    /// Shows the status as in progress for a set time: clients written for AWS wait to see the transition.
    fn with_progress(&self, name: &FunctionName, record: ProvisionedRecord) -> Provisioned {
        let mut progress = self.progress_of(name, &record.qualifier);
        let begun = record.moved.unwrap_or(record.modified);
        let is_settling = self.0.clock.now() < begun.after(self.0.config.settle);
        // Another qualifier may have environments of the same version.
        progress.requested = record.requested;
        progress.available = match is_settling {
            true => record.ready_before,
            false => progress.available.min(record.requested),
        };
        Provisioned {
            record,
            progress,
            is_settling,
        }
    }

    fn progress_of(&self, name: &FunctionName, qualifier: &Qualifier) -> Provision {
        self.0.live.provision_of(name, qualifier)
    }

    async fn load_provisioned(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<Option<ProvisionedRecord>, Error> {
        let found = self.0.records.get(&key(name, qualifier)).await?;
        found.as_ref().map(decode).transpose()
    }
}

/// The write that deletes provisioned concurrency.
fn deletion(name: &FunctionName, qualifier: &Qualifier) -> Write {
    Write::Delete {
        key: key(name, qualifier),
        expect: Expect::Any,
    }
}

fn require_published(qualifier: &Qualifier) -> Result<(), ConcurrencyError> {
    match qualifier {
        Qualifier::Latest => Err(ConcurrencyError::NotPublished),
        Qualifier::Version(_) | Qualifier::Alias(_) => Ok(()),
    }
}

fn key(name: &FunctionName, qualifier: &Qualifier) -> Key {
    Key {
        kind: kind::PROVISIONED,
        id: format!("{name}/{qualifier}"),
    }
}
