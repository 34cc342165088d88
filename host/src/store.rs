//! Durable storage: records, a queue, content-addressed blobs and trees, and objects in S3. It handles keys
//! and bytes, and knows nothing of functions or aliases.

use async_trait::async_trait;
use bytes::Bytes;

pub mod blob;
pub mod directory;
#[cfg(test)]
pub mod memory;
pub mod object;
pub mod queue;
pub mod sqlite;
#[cfg(test)]
mod tests;
pub mod tree;

/// Key of a record. Listings are ordered by id.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Key {
    /// Collection, such as `function`.
    pub kind: &'static str,
    /// Id within the collection; ordered bytewise.
    pub id: String,
}

/// Sequence number of a committed batch. A record carries that of its last write.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Revision(pub u64);

/// A record as last written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Key.
    pub key: Key,
    /// Revision of the last write.
    pub revision: Revision,
    /// Value.
    pub value: Bytes,
}

/// Precondition of a write on its record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// The record does not exist.
    Absent,
    /// The record's revision equals this one.
    Revision(Revision),
    /// The record exists.
    Present,
    /// No precondition.
    Any,
}

/// One write of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// Writes a record.
    Put {
        /// Key.
        key: Key,
        /// New value.
        value: Bytes,
        /// Precondition.
        expect: Expect,
    },
    /// Deletes a record.
    Delete {
        /// Key.
        key: Key,
        /// Precondition.
        expect: Expect,
    },
}

/// Failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Precondition failed. Nothing of the batch was written.
    #[error("record {}/{} was changed concurrently", .0.kind, .0.id)]
    Conflict(Key),
    /// Data directory of a newer release.
    #[error(
        "the data directory has schema version {found}; this release knows up to {known}. Start the release \
         that wrote it, or name another directory"
    )]
    Newer {
        /// Schema version found.
        found: u32,
        /// Newest schema version that this release can read.
        known: u32,
    },
    /// Data directory is locked by another process.
    #[error("the data directory {0} is in use by another process")]
    InUse(String),
    /// Disk full. Nothing of the batch was written.
    #[error(
        "the disk of the data directory is full. Delete functions, versions or layers that are not needed, or \
         make room on it"
    )]
    Full,
    /// Internal error, such as a damaged file.
    #[error("the store failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(Box::new(error)),
        }
    }
}

/// Records of one kind to read in a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Range {
    /// Collection.
    pub kind: &'static str,
    /// Ids.
    pub ids: Ids,
}

/// Ids of a [`Range`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ids {
    /// One id.
    One(String),
    /// All ids with this prefix.
    Below(String),
}

impl Range {
    /// The record with this id.
    pub fn one(kind: &'static str, id: &str) -> Self {
        let ids = Ids::One(id.to_owned());
        Self { kind, ids }
    }

    /// Records whose ids start with `prefix`.
    pub fn below(kind: &'static str, prefix: &str) -> Self {
        let ids = Ids::Below(prefix.to_owned());
        Self { kind, ids }
    }

    /// Smallest id of the range, and a membership test.
    fn bounds(&self) -> (&str, impl Fn(&str) -> bool) {
        let (Ids::One(text) | Ids::Below(text)) = &self.ids;
        let is_one = matches!(self.ids, Ids::One(_));
        let holds = move |id: &str| {
            if is_one {
                id == text
            } else {
                id.starts_with(text)
            }
        };
        (text, holds)
    }
}

impl Write {
    /// Key of the record written.
    pub fn key(&self) -> &Key {
        self.condition().0
    }

    /// Key and precondition.
    fn condition(&self) -> (&Key, Expect) {
        match self {
            Self::Put { key, expect, .. } | Self::Delete { key, expect } => (key, *expect),
        }
    }
}

impl Expect {
    /// Checks the precondition against the current revision; `None` is a missing record.
    fn holds(self, found: Option<Revision>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Revision(revision) => found == Some(revision),
            Self::Any => true,
        }
    }
}

/// Durable records with atomic, conditional batches. An acknowledged batch survives `kill -9` and
/// power loss; a refused one leaves no trace.
#[async_trait]
pub trait Records: Send + Sync + std::fmt::Debug {
    /// Record with this key.
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error>;

    /// Up to `limit` records of a kind whose ids start with `prefix` and follow `after`, ordered by
    /// id.
    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, Error>;

    /// All records of these ranges, from one consistent snapshot, in order of range and id.
    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, Error>;

    /// Applies all writes atomically; returns once they are durable.
    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, Error>;
}
