//! Durable queue of items with due times, in lanes. A lane is a line of its own: a claim reads one lane, and its
//! cost depends neither on the length of that lane nor on other lanes.
//!
//! A claim is held by the process, not by the store: it ends with the process, so that items claimed at a crash are
//! claimed again at once after the restart, and claims write nothing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Error;
use super::blob::Digest;
use crate::clock::Timestamp;

#[cfg(test)]
pub mod memory;
#[cfg(test)]
mod tests;

/// Name of a lane.
pub type Lane = Arc<str>;

/// Id of an item, never used again while the process runs. Ids ascend in the order of commits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ItemId(pub u64);

/// An item to add.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewItem {
    /// Lane.
    pub lane: Lane,
    /// Time from which it can be claimed.
    pub due: Timestamp,
    /// Part that changes with each delay; small.
    pub head: Bytes,
    /// Part that never changes.
    pub body: Bytes,
}

/// An item of the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Id.
    pub id: ItemId,
    /// Lane.
    pub lane: Lane,
    /// Time from which it can be claimed.
    pub due: Timestamp,
    /// See [`NewItem::head`].
    pub head: Bytes,
    /// See [`NewItem::body`].
    pub body: ItemBody,
}

/// Body of an item. Large ones are read when they are needed: [`Queue::body`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ItemBody {
    /// The bytes.
    Inline(Bytes),
    /// File with the bytes, by its digest.
    File {
        /// Digest of the file.
        digest: Digest,
        /// Size of the body.
        size_bytes: u64,
    },
}

/// A change of the queue.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds an item.
    Add(NewItem),
    /// Deletes an item and ends its claim. An item that is gone already is no error.
    End(ItemId),
    /// Gives an item another due time and head, and ends its claim. An item that is gone is no error.
    Delay {
        /// Item.
        id: ItemId,
        /// Due time.
        due: Timestamp,
        /// Head.
        head: Bytes,
    },
}

/// Items that were claimed.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Items, by due time and id.
    pub items: Vec<Item>,
    /// Due time of the lane's next item that nobody has claimed; it may have passed.
    pub next_due: Option<Timestamp>,
}

/// Receives lanes with new due times after each commit. It must not block.
pub trait Wake: Send + Sync + fmt::Debug {
    /// Each lane has an item that is due at this time or later.
    fn wake(&self, lanes: &[(Lane, Timestamp)]);
}

/// A durable queue. An acknowledged change survives `kill -9` and power loss.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug {
    /// Applies changes atomically; returns once they are durable.
    async fn change(&self, changes: Vec<Change>) -> Result<(), Error>;

    /// Claims up to `limit` items of a lane that are due at `now`, the longest due first.
    async fn claim(&self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Claim, Error>;

    /// Gives a claim up: the item can be claimed again. Nothing is written.
    fn release(&self, item: &Item);

    /// Body of an item.
    async fn body(&self, item: &Item) -> Result<Bytes, Error>;

    /// Items of a lane, claimed or not, by due time and id, after this position.
    async fn list(
        &self,
        lane: &Lane,
        after: Option<(Timestamp, ItemId)>,
        limit: usize,
    ) -> Result<Vec<Item>, Error>;

    /// Id of the newest item of all lanes.
    async fn last(&self) -> Result<ItemId, Error>;

    /// Deletes items of a lane up to an id, and up to `limit` of them; returns their number. Claims of deleted items
    /// end with [`Change::End`], as others do.
    async fn purge(&self, lane: &Lane, last: ItemId, limit: usize) -> Result<u64, Error>;

    /// All lanes that have items, with their number of items.
    fn depths(&self) -> Vec<(Lane, u64)>;

    /// Deletes what a crash left beside the items. Called once, after the start: it may take long.
    async fn sweep(&self) -> Result<(), Error>;

    /// Names the receiver of due times; only the first call counts.
    fn on_change(&self, wake: Arc<dyn Wake>);
}
