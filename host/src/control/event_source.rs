//! Event source mappings: a stream, queue or topic, the function that gets its records, and the settings of the
//! polling. This module keeps mappings and their states; it polls nothing.

use super::record::{Page, decode, encode};
use super::{Control, Error, tags};
use crate::invoke::Target;
use crate::names::RequestId;
use crate::store::{self, Expect, Key, Revision, Write};

mod claim;
mod error;
mod filter;
mod kind;
pub mod mapping;
mod merge;
mod rules;
mod selective;
mod settle;
pub mod source;
mod tag;

pub use error::EventSourceError;
use mapping::{CreateMapping, MappingFilter, MappingRecord, State, UpdateMapping};

/// The kind of the records of this resource. Their ids are the mappings'. A mapping outlives its
/// function, so the function's name is not in them.
pub(super) const KIND: &str = "event_source";

/// Mappings that a listing looks at in one go.
const SCAN: usize = 1_000;

impl Control {
    /// Makes a mapping. When this returns, it is durable and on its way to be enabled.
    ///
    /// # Errors
    /// Where the choices are not allowed, there is no such function, or it has such a mapping.
    pub async fn create_event_source_mapping(
        &self,
        create: CreateMapping,
    ) -> Result<MappingRecord, Error> {
        let now = self.0.clock.now();
        let source = rules::recognise(create.source, &create.settings)?;
        rules::has_been(&source, now)?;
        let id = RequestId::random(&self.0.clock).as_str().to_owned();
        let assumed = source.kind.defaults(&id);
        let settings = assumed.overlaid(create.settings.clone());
        let settings = source.kind.completed(settings);
        rules::check(&source, &settings)?;
        rules::filters(&create.settings)?;
        tags::check_new(&create.tags)?;
        self.require_mapping_target(&create.target).await?;
        let record = MappingRecord {
            id,
            function: create.target.name,
            qualifier: create.target.qualifier,
            source,
            settings,
            enabled: create.enabled,
            // AWS shows at once that nothing is going to happen.
            state: match create.enabled {
                true => State::Creating,
                false => State::Disabled,
            },
            modified: now,
            tags: create.tags,
            processed: None,
        };
        let mut batch = record.claiming();
        batch.push(put(&record, Expect::Absent));
        self.commit_claims(&record, batch).await?;
        Ok(record)
    }

    /// The mapping with this id.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn event_source_mapping(&self, id: &str) -> Result<MappingRecord, Error> {
        Ok(self.existing_mapping(id).await?.0)
    }

    /// Mappings in the order of their ids, after `marker`, at most `limit`.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn event_source_mappings(
        &self,
        filter: &MappingFilter,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<MappingRecord>, Error> {
        let mut marker = marker.map(str::to_owned);
        let mut items: Vec<MappingRecord> = Vec::new();
        loop {
            let page: Page<MappingRecord> = self.page(KIND, "", marker.as_deref(), SCAN).await?;
            for mut record in page.items.into_iter().filter(|it| filter.keeps(it)) {
                record.processed = self.processed().get(&record.id).cloned();
                if items.len() == limit {
                    let next = items.last().map(|last| last.id.clone());
                    return Ok(Page { items, next });
                }
                items.push(record);
            }
            if page.next.is_none() {
                return Ok(Page { items, next: None });
            }
            marker = page.next;
        }
    }

    /// Changes a mapping.
    ///
    /// # Errors
    /// Where there is none, another change is under way, what it would be is not allowed, there is
    /// no such function, or it has such a mapping.
    pub async fn update_event_source_mapping(
        &self,
        id: &str,
        update: UpdateMapping,
    ) -> Result<MappingRecord, Error> {
        let (before, read_at) = self.existing_mapping(id).await?;
        rules::check_change(&before.source, &update.settings)?;
        let mut record = before.clone();
        let settings = record.settings.overlaid(update.settings);
        record.settings = record.source.kind.completed(settings);
        rules::check(&record.source, &record.settings)?;
        if let Some(target) = update.target {
            self.require_mapping_target(&target).await?;
            record.function = target.name;
            record.qualifier = target.qualifier;
        }
        if before.state.is_settling() {
            return Err(EventSourceError::InUse("update").into());
        }
        let enabled = update.enabled.unwrap_or(before.enabled);
        record.state = match (before.enabled, enabled) {
            (false, true) => State::Enabling,
            (true, false) => State::Disabling,
            _ => State::Updating,
        };
        record.enabled = enabled;
        record.modified = self.0.clock.now();
        let mut batch = before.releasing();
        batch.extend(record.claiming());
        batch.push(put(&record, Expect::Revision(read_at)));
        self.commit_claims(&record, batch).await?;
        Ok(record)
    }

    /// Begins to delete a mapping.
    ///
    /// # Errors
    /// Where there is none, or a change is under way.
    pub async fn delete_event_source_mapping(&self, id: &str) -> Result<MappingRecord, Error> {
        let (mut record, read_at) = self.existing_mapping(id).await?;
        if record.state.is_settling() {
            return Err(EventSourceError::InUse("delete").into());
        }
        record.state = State::Deleting;
        record.modified = self.0.clock.now();
        let write = put(&record, Expect::Revision(read_at));
        match self.commit(vec![write]).await {
            Err(store::Error::Conflict(_)) => return Err(EventSourceError::InUse("delete").into()),
            committed => committed?,
        };
        Ok(record)
    }

    /// Notes the result of a poller of a mapping, as `LastProcessingResult` shows it until the host ends.
    pub fn note_processed(&self, id: &str, result: &str) {
        let mut processed = self.processed();
        if processed.get(id).is_none_or(|known| known != result) {
            processed.insert(id.to_owned(), result.to_owned());
        }
    }

    /// Forgets the results of mappings that are no more.
    pub fn retain_processed(&self, is_known: impl Fn(&str) -> bool) {
        self.processed().retain(|id, _| is_known(id));
    }

    fn processed(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, String>> {
        let processed = self.0.processed.lock();
        processed.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn require_mapping_target(&self, target: &Target) -> Result<(), Error> {
        let found = self
            .existing_at(&target.name, target.qualifier.as_ref())
            .await;
        match found {
            Err(error) if error.is_function_missing() => {
                Err(EventSourceError::FunctionMissing.into())
            }
            found => found.map(drop),
        }
    }

    async fn existing_mapping(&self, id: &str) -> Result<(MappingRecord, Revision), Error> {
        Ok(self
            .load_mapping(id)
            .await?
            .ok_or(EventSourceError::NotFound)?)
    }

    pub(super) async fn load_mapping(
        &self,
        id: &str,
    ) -> Result<Option<(MappingRecord, Revision)>, Error> {
        let Some(record) = self.0.records.get(&key(id)).await? else {
            return Ok(None);
        };
        let mut mapping: MappingRecord = decode(&record)?;
        mapping.processed = self.processed().get(&mapping.id).cloned();
        Ok(Some((mapping, record.revision)))
    }
}

fn put(record: &MappingRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.id),
        value: encode(record),
        expect,
    }
}

/// The mappings that a batch writes or deletes.
pub(super) fn mappings_of(batch: &[Write]) -> impl Iterator<Item = String> {
    let keys = batch.iter().map(Write::key).filter(|key| key.kind == KIND);
    keys.map(|key| key.id.clone())
}

fn key(id: &str) -> Key {
    Key {
        kind: KIND,
        id: id.to_owned(),
    }
}
