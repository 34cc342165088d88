//! A function and the records below it: versions, aliases, URLs, policies, settings. They are read in one
//! consistent read, and written so that none outlives the function, version or alias that it belongs to.

use super::alias::AliasRecord;
use super::concurrency::ProvisionedRecord;
use super::configuration::{FunctionRecord, VersionRecord};
use super::event_invoke::EventInvokeRecord;
use super::function::record;
use super::ledger::Shares;
use super::permission::PolicyRecord;
use super::record::decode;
use super::url::UrlRecord;
use super::{Control, Error, kind};
use crate::names::FunctionName;
use crate::store::{Expect, Range, Record, Records, Write};

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
            kind::VERSION => self.versions.push(decode(record)?),
            kind::ALIAS => self.aliases.push(decode(record)?),
            kind::PROVISIONED => self.provisions.push(decode(record)?),
            kind::URL => self.urls.push(decode(record)?),
            kind::POLICY => self.policies.push(decode(record)?),
            kind::EVENT_INVOKE => self.event_invokes.push(decode(record)?),
            // Only autoscaling reads it.
            kind::SCALING => {}
            other => tracing::error!(
                kind = other,
                "a record is passed over: its kind is not below a function"
            ),
        }
        Ok(())
    }
}

/// Reads a function with its children, as of one moment, if there is one.
pub(super) async fn read(
    records: &dyn Records,
    name: &FunctionName,
) -> Result<Option<FunctionRecords>, Error> {
    let mut ranges = vec![Range::one(kind::FUNCTION, name.as_str())];
    let below = format!("{name}/");
    ranges.extend(kind::BELOW_FUNCTION.map(|below_function| Range::below(below_function, &below)));
    let found = records.read(ranges).await?;
    let mut found = found.iter();
    let Some(first) = found.next().filter(|it| it.key.kind == kind::FUNCTION) else {
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
                Some((function, read_at)) => record::put(function, Expect::Revision(*read_at)),
                None => return Err(self.in_progress(name)),
            };
            batch.push(parent);
            Ok((batch, prepared))
        })
        .await
    }
}
