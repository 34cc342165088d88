//! A function and the records below it: versions, aliases, URLs, policies, settings. They are read in one
//! consistent read, and written so that none outlives the function, version or alias that it belongs to.

use super::alias::AliasRecord;
use super::concurrency::ProvisionedRecord;
use super::configuration::{FunctionRecord, VersionRecord};
use super::event_invoke::EventInvokeRecord;
use super::ledger::Shares;
use super::permission::PolicyRecord;
use super::record::decode;
use super::url::UrlRecord;
use super::{Control, Error, alias, concurrency, event_invoke, function, permission, url, version};
use crate::names::{FunctionName, Qualifier};
use crate::store::{Expect, Key, Range, Record, Records, Write};

/// Kinds of records that belong to one function: their ids are its name, a slash and the rest. Deletion,
/// publication and the list of functions that a batch touches all read this list; a test holds it complete.
pub(super) const KINDS_BELOW: [&str; 6] = [
    permission::KIND,
    url::KIND,
    version::KIND,
    alias::KIND,
    concurrency::KIND,
    event_invoke::KIND,
];

/// A function with its children, as of one moment.
#[derive(Debug)]
pub(super) struct FunctionRecords {
    pub(super) record: FunctionRecord,
    pub(super) versions: Vec<VersionRecord>,
    pub(super) aliases: Vec<AliasRecord>,
    pub(super) provisions: Vec<ProvisionedRecord>,
    pub(super) urls: Vec<UrlRecord>,
    pub(super) policies: Vec<PolicyRecord>,
    pub(super) event_invokes: Vec<EventInvokeRecord>,
}

impl FunctionRecords {
    pub(super) fn new(record: FunctionRecord) -> Self {
        Self {
            record,
            versions: Vec::new(),
            aliases: Vec::new(),
            provisions: Vec::new(),
            urls: Vec::new(),
            policies: Vec::new(),
            event_invokes: Vec::new(),
        }
    }

    /// Concurrency that no other function can have.
    pub(super) fn shares(&self) -> Shares {
        let provisions = self.provisions.iter();
        Shares {
            reserved: self.record.reserved,
            provisioned: provisions.map(|it| it.requested).sum(),
        }
    }

    /// Adds a record below the function.
    ///
    /// # Errors
    /// Where the record is damaged.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), Error> {
        match record.key.kind {
            version::KIND => self.versions.push(decode(record)?),
            alias::KIND => self.aliases.push(decode(record)?),
            concurrency::KIND => self.provisions.push(decode(record)?),
            url::KIND => self.urls.push(decode(record)?),
            permission::KIND => self.policies.push(decode(record)?),
            event_invoke::KIND => self.event_invokes.push(decode(record)?),
            kind => tracing::error!(
                kind,
                "a record is passed over: its kind is not below a function"
            ),
        }
        Ok(())
    }
}

/// The functions that a batch writes to, or below.
pub(super) fn functions_of(batch: &[Write]) -> Vec<FunctionName> {
    let keys = batch.iter().map(Write::key);
    let names = keys.filter(|key| key.kind == function::KIND || KINDS_BELOW.contains(&key.kind));
    let names = names.filter_map(|key| key.id.split('/').next());
    let mut names: Vec<_> = names
        .filter_map(|it| FunctionName::parse(it).ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The writes that delete a version or an alias with all that belongs to it.
pub(super) fn deletions(name: &FunctionName, qualifier: &Qualifier) -> Vec<Write> {
    let deletion = |kind| {
        let key = match qualifier {
            Qualifier::Version(number) if kind == version::KIND => version::key(name, *number),
            _ => Key {
                kind,
                id: format!("{name}/{qualifier}"),
            },
        };
        let expect = Expect::Any;
        Write::Delete { key, expect }
    };
    KINDS_BELOW.map(deletion).into()
}

/// Reads a function with its children, as of one moment, if there is one.
pub(super) async fn read(
    records: &dyn Records,
    name: &FunctionName,
) -> Result<Option<FunctionRecords>, Error> {
    let mut ranges = vec![Range::one(function::KIND, name.as_str())];
    let below = format!("{name}/");
    ranges.extend(KINDS_BELOW.map(|kind| Range::below(kind, &below)));
    let found = records.read(ranges).await?;
    let mut found = found.iter();
    let Some(first) = found.next().filter(|it| it.key.kind == function::KIND) else {
        return Ok(None);
    };
    let mut function = FunctionRecords::new(decode(first)?);
    found.try_for_each(|record| function.add(record))?;
    Ok(Some(function))
}

impl Control {
    /// A function with its children, if there is one.
    pub(super) async fn function_records(
        &self,
        name: &FunctionName,
    ) -> Result<Option<FunctionRecords>, Error> {
        read(&*self.0.records, name).await
    }

    /// Writes records below a function. The function's record is written with them, unchanged: every
    /// deletion of the function, or of anything below it that has children, writes that record too, so that
    /// one of two concurrent changes fails and is prepared again.
    ///
    /// # Errors
    /// As `prepare`, which has to refuse where there is no function; and where other changes keep
    /// getting ahead.
    pub(super) async fn write_below<T, F>(
        &self,
        name: &FunctionName,
        prepare: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Vec<Write>, T), Error>>,
    {
        self.update(|| async {
            let parent = self.load(name).await?;
            let (mut batch, prepared) = prepare().await?;
            // `prepare` refuses where there is no function, unless it was made between the two lines.
            let parent = match &parent {
                Some((function, read_at)) => function::put(function, Expect::Revision(*read_at)),
                None => return Err(self.in_progress(name)),
            };
            batch.push(parent);
            Ok((batch, prepared))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
