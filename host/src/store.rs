//! What must outlive the process: records, and the blobs they name; and objects that others keep. It
//! knows keys and bytes; what a function or an alias is, it does not know.

use async_trait::async_trait;
use bytes::Bytes;

pub mod blob;
pub mod directory;
#[cfg(test)]
mod memory;
pub mod object;
pub mod sqlite;
#[cfg(test)]
mod tests;
pub mod tree;

/// Names a record: its kind, then its place within the kind. Both are plain text; ids order a listing.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Key {
    /// The collection, such as `function`.
    pub kind: &'static str,
    /// The record within its collection. Ordered by bytes.
    pub id: String,
}

/// Counts committed batches. Each record carries the revision of the batch that wrote it last.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Revision(pub u64);

/// A record as it was last written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// The batch that wrote it.
    pub revision: Revision,
    /// What was written.
    pub value: Bytes,
}

/// What must hold of a record for a batch to be applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// The record is as this batch left it.
    Revision(Revision),
    /// There is such a record, whatever it says.
    Present,
    /// Nothing.
    Any,
}

/// One write of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// Writes the record.
    Put {
        /// Its name.
        key: Key,
        /// What it shall say.
        value: Bytes,
        /// What must hold before.
        expect: Expect,
    },
    /// Deletes the record.
    Delete {
        /// Its name.
        key: Key,
        /// What must hold before.
        expect: Expect,
    },
}

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record was not as the batch expected. Nothing of the batch was written.
    #[error("record {}/{} was changed by someone else", .0.kind, .0.id)]
    Conflict(Key),
    /// The data directory was written by a newer release.
    #[error(
        "the data directory has schema version {found}; this release knows up to {known}. Start the release \
         that wrote it, or name another directory"
    )]
    Newer {
        /// The version found.
        found: u32,
        /// The newest version this release can read.
        known: u32,
    },
    /// Another process has the data directory open.
    #[error("the data directory {0} is in use by another process")]
    InUse(String),
    /// The disk has no room for what was to be written. Nothing of the batch was written.
    #[error(
        "the disk of the data directory is full. Delete functions, versions or layers that are not needed, or \
         make room on it"
    )]
    Full,
    /// The store's own trouble, such as a damaged file.
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

/// Records of a kind that are read together with others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Range {
    /// The collection.
    pub kind: &'static str,
    /// The ids.
    pub ids: Ids,
}

/// Ids of a [`Range`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ids {
    /// This one.
    One(String),
    /// All that start with this.
    Below(String),
}

impl Range {
    /// The record of this id.
    pub fn one(kind: &'static str, id: &str) -> Self {
        let ids = Ids::One(id.to_owned());
        Self { kind, ids }
    }

    /// Records whose ids start with `prefix`.
    pub fn below(kind: &'static str, prefix: &str) -> Self {
        let ids = Ids::Below(prefix.to_owned());
        Self { kind, ids }
    }

    /// The least id, and whether an id is in the range.
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
    /// The record that is written.
    pub fn key(&self) -> &Key {
        self.condition().0
    }

    /// The record this is about, and what must hold of it.
    fn condition(&self) -> (&Key, Expect) {
        match self {
            Self::Put { key, expect, .. } | Self::Delete { key, expect } => (key, *expect),
        }
    }
}

impl Expect {
    /// Whether it holds of a record that is at this revision, or is not there.
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
    /// The record of this name.
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error>;

    /// Records of a kind whose ids start with `prefix` and come after `after`, in the order of their
    /// ids, at most `limit` of them.
    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, Error>;

    /// All records of these ranges as of one moment, in the order of the ranges and of their ids.
    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, Error>;

    /// Applies all writes or none, and returns when they are durable.
    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, Error>;
}
