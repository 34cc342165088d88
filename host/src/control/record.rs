//! Records as JSON, and listings in pages. The meaning of a record is its own module's.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Control, Error};
use crate::store::{Expect, Key, Record, Write};

/// Maximum child records read or deleted at once: versions, aliases and policies of a function.
pub(super) const CHILDREN_MAX: usize = 100_000;

/// A page of a listing.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Marker of the next page, if there is one.
    pub next: Option<String>,
}

/// Unreadable record in the store.
#[derive(Debug, thiserror::Error)]
#[error("record {kind}/{id} is damaged: {source}")]
pub struct Damaged {
    kind: &'static str,
    id: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Damaged {
    pub(super) fn new(
        key: &Key,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind: key.kind,
            id: key.id.clone(),
            source: source.into(),
        }
    }
}

pub(super) fn encode(record: &impl Serialize) -> Bytes {
    serde_json::to_vec(record)
        .expect("a record has only string keys")
        .into()
}

pub(super) fn decode<T: DeserializeOwned>(record: &Record) -> Result<T, Error> {
    let read = serde_json::from_slice(&record.value);
    Ok(read.map_err(|error| Damaged::new(&record.key, error))?)
}

impl Control {
    /// Page of records whose ids start with `prefix`, after `prefix` plus `marker`.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        prefix: &str,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<T>, Error> {
        let after = marker.map(|marker| format!("{prefix}{marker}"));
        let records = &self.0.records;
        let mut found = records
            .list(kind, prefix, after.as_deref(), limit + 1)
            .await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.and_then(|record| record.key.id.strip_prefix(prefix).map(str::to_owned));
        let items = found.iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// All records whose ids start with `prefix`.
    pub(super) async fn children<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        prefix: &str,
    ) -> Result<Vec<T>, Error> {
        let found = self
            .0
            .records
            .list(kind, prefix, None, CHILDREN_MAX)
            .await?;
        found.iter().map(decode).collect()
    }

    /// The writes that delete all records whose ids start with `prefix`.
    pub(super) async fn deletions(
        &self,
        kind: &'static str,
        prefix: &str,
    ) -> Result<Vec<Write>, Error> {
        let found = self
            .0
            .records
            .list(kind, prefix, None, CHILDREN_MAX)
            .await?;
        let deletion = |record: Record| Write::Delete {
            key: record.key,
            expect: Expect::Any,
        };
        Ok(found.into_iter().map(deletion).collect())
    }
}
