//! Versions: what was published of a function stays as it was.

use std::sync::Arc;

use super::configuration::{FunctionRecord, Published, State, VersionRecord};
use super::function::record;
use super::function::record::Found;
use super::record::{Page, decode, encode};
use super::revision::RevisionId;
use super::{Control, Error, kind};
use crate::clock::Clock;
use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Revision, Write};

/// The kind of the records of this resource. Their ids are `function/number`, the number with
/// Error of a published version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The code is not what the caller means to publish.
    #[error(
        "CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({current}). Please try \
         again with the CodeSHA256 in $LATEST."
    )]
    OtherCode {
        /// The digest that the caller gave.
        wanted: String,
        /// The digest of the unpublished version's package.
        current: String,
    },
    /// Aliases lead to the version.
    #[error("Unable to delete version because the following aliases reference it: [{0}]")]
    Referenced(String),
}

/// A request to publish a version.
#[derive(Debug, Default)]
pub struct Publish {
    /// Description, if it is not to be the function's.
    pub description: Option<String>,
    /// The digest that the code must have, in base64.
    pub code_sha256: Option<String>,
    /// `RevisionId` of the function's state that the caller means.
    pub revision: Option<String>,
}

impl Control {
    /// Publishes the unpublished version. If nothing changed since the last one, AWS answers with that one.
    ///
    /// # Errors
    /// Where there is no such function, it is being changed, or it is not what the caller means.
    pub async fn publish_version(
        &self,
        name: &FunctionName,
        publish: Publish,
    ) -> Result<Found, Error> {
        let (function, _) = self.existing(name).await?;
        self.require_meant(&function, &publish)?;
        if let Some(published) = function
            .published
            .as_ref()
            .filter(|_| is_published(&function))
        {
            let version = self.version(name, published.number).await?;
            return Ok(Found { function, version });
        }
        let granted = self.grant_code_bytes(function.latest.code.size_bytes, 0);
        let granted = Arc::new(granted.await?);
        let (function, version) = self
            .change_holding(name, &granted, |function, batch| {
                self.require_meant(function, &publish)?;
                let description = publish.description.clone();
                let version = self::publish(function, description, &self.0.clock);
                batch.push(put(name, &version, Expect::Absent));
                Ok(version)
            })
            .await?;
        Ok(Found { function, version })
    }

    fn require_meant(&self, function: &FunctionRecord, publish: &Publish) -> Result<(), Error> {
        function
            .latest
            .revision
            .expect(publish.revision.as_deref())?;
        let current = function.latest.code.package.base64();
        if let Some(wanted) = publish.code_sha256.clone().filter(|it| *it != current) {
            return Err(VersionError::OtherCode { wanted, current }.into());
        }
        self.require_settled(function)
    }

    /// The published versions of a function in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn versions(
        &self,
        name: &FunctionName,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<VersionRecord>, Error> {
        self.page(kind::VERSION, &format!("{name}/"), marker, limit)
            .await
    }

    /// Every version of every function: of each the unpublished one first, then the others in order.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn functions_and_versions(
        &self,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<(FunctionName, VersionRecord)>, Error> {
        let mut items = Vec::new();
        let (mut after, number) = marker.and_then(|it| it.split_once('/')).unzip();
        let mut name = after.and_then(|name| FunctionName::parse(name).ok());
        if let Some(name) = &name {
            let more = self.versions(name, number, limit + 1).await?.items;
            items.extend(more.into_iter().map(|version| (name.clone(), version)));
        }
        while items.len() <= limit {
            let page = self.functions(after, 1).await?;
            let Some(function) = page.items.into_iter().next() else {
                break;
            };
            let versions = self.versions(&function.name, None, limit).await?.items;
            let all = std::iter::once(function.latest).chain(versions);
            items.extend(all.map(|version| (function.name.clone(), version)));
            name = Some(function.name);
            after = name.as_ref().map(FunctionName::as_str);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next = last
            .map(|(name, version)| format!("{name}/{:010}", version.number.unwrap_or_default()));
        Ok(Page { items, next })
    }

    /// Deletes a published version, if it exists.
    ///
    /// # Errors
    /// Where there is no such function, or an alias leads to the version.
    pub async fn delete_version(&self, name: &FunctionName, number: u64) -> Result<(), Error> {
        let qualifier = Qualifier::Version(number);
        self.update(|| async {
            let (mut function, read_at) = self.existing(name).await?;
            self.require_unused(name, number).await?;
            if self.load_version(name, number).await?.is_none() {
                return Ok((Vec::new(), ()));
            }
            let released = self.ledger_release_of(&function, &qualifier).await?;
            let gone = function.published.as_ref();
            if gone.is_some_and(|published| published.number == number) {
                function.published = None;
            }
            function.settling_versions.remove(&number);
            // The aliases were read at this state of the record. Every batch that makes an alias writes the
            // record, so it and this one cannot both succeed.
            let mut batch = vec![record::put(&function, Expect::Revision(read_at))];
            batch.extend(kind::deletions(name, &qualifier));
            batch.extend(released);
            Ok((batch, ()))
        })
        .await?;
        self.0.library.collect_soon();
        Ok(())
    }

    /// Refuses a version that an alias leads to.
    async fn require_unused(&self, name: &FunctionName, number: u64) -> Result<(), Error> {
        let aliases = self.all_aliases(name).await?;
        let using: Vec<&str> = aliases
            .iter()
            .filter(|alias| alias.leads_to(number))
            .map(|alias| alias.name.as_str())
            .collect();
        if using.is_empty() {
            return Ok(());
        }
        Err(VersionError::Referenced(using.join(", ")).into())
    }

    /// A published version that is known to be there.
    pub(super) async fn version(
        &self,
        name: &FunctionName,
        number: u64,
    ) -> Result<VersionRecord, Error> {
        let found = self.load_version(name, number).await?;
        let missing = || self.not_found_at(name, Some(&Qualifier::Version(number)));
        found.map(|(version, _)| version).ok_or_else(missing)
    }

    pub(super) async fn load_version(
        &self,
        name: &FunctionName,
        number: u64,
    ) -> Result<Option<(VersionRecord, Revision)>, Error> {
        let found = self.0.records.get(&kind::version_key(name, number)).await?;
        found
            .map(|record| Ok((decode(&record)?, record.revision)))
            .transpose()
    }
}

/// True if nothing changed since the last version was published.
pub(super) fn is_published(function: &FunctionRecord) -> bool {
    let published = function.published.as_ref();
    published.is_some_and(|published| published.content == function.latest.content())
}

/// Publishes `$LATEST`. The version is Active at once if the function is; during an update, or
/// where AWS would snapshot first, it becomes Active afterwards.
pub(super) fn publish(
    function: &mut FunctionRecord,
    description: Option<String>,
    clock: &Clock,
) -> VersionRecord {
    let number = function.last_version + 1;
    let mut version = function.latest.clone();
    version.number = Some(number);
    version.revision = RevisionId::new(clock);
    if function.latest.is_settling() || version.configuration.snap_start {
        version.state = State::Pending;
        version.last_update = None;
        function.settling_versions.insert(number);
    }
    if let Some(description) = description {
        version.configuration.description = description;
    }
    function.last_version = number;
    function.published = Some(Published {
        number,
        content: function.latest.content(),
    });
    function.latest.revision = RevisionId::new(clock);
    version
}

/// The write of a published version.
pub(super) fn put(name: &FunctionName, version: &VersionRecord, expect: Expect) -> Write {
    let number = version
        .number
        .expect("only published versions are kept apart");
    Write::Put {
        key: kind::version_key(name, number),
        value: encode(version),
        expect,
    }
}
