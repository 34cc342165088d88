//! The queue in SQLite. Bodies beyond a few pages are files: in rows they would be written twice, to the log and to
//! the database.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies::Bodies;
use super::items::{self, NewBody, Row};
use super::writer::{Effect, Work};
use super::{Error, Sqlite, failed};
use crate::clock::Timestamp;
use crate::store::blob::Digest;
use crate::store::queue::{Change, Claim, Item, ItemBody, ItemId, Lane, NewItem, Queue, Wake};

/// Largest body in a row.
const INLINE_BYTES_MAX: usize = 16 << 10;

impl Sqlite {
    async fn apply(&self, rows: Vec<Row>) -> Result<items::Effect, Error> {
        match self.writer.commit(Work::Items(rows)).await? {
            Effect::Items(effect) => Ok(effect),
            Effect::Records(_) => unreachable!("the writer answers what it was asked"),
        }
    }

    /// The row of a change; a large body is written to a file.
    async fn row(&self, change: Change) -> Result<Row, Error> {
        let NewItem {
            lane,
            due,
            head,
            body,
        } = match change {
            Change::Add(new) => new,
            Change::End(id) => return Ok(Row::End(id)),
            Change::Delay { id, due, head } => return Ok(Row::Delay { id, due, head }),
        };
        let body = if body.len() <= INLINE_BYTES_MAX {
            NewBody::Inline(body)
        } else {
            NewBody::File(self.blocking(move |bodies| bodies.write(&body)).await?)
        };
        Ok(Row::Add {
            lane,
            due,
            head,
            body,
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Bodies>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let bodies = Arc::clone(&self.bodies);
        match tokio::task::spawn_blocking(move || work(&bodies)).await {
            Ok(done) => Ok(done?),
            // Runtime shutdown cancels the task; the caller is about to be dropped too.
            Err(ended) if ended.is_cancelled() => std::future::pending().await,
            Err(ended) => Err(failed(ended)),
        }
    }

    /// Deletes the files of items that have ended. One that stays is deleted after the next start.
    async fn remove_files(&self, files: Vec<Digest>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let removed = self.blocking(move |bodies| {
            bodies.remove(&files);
            Ok(())
        });
        removed.await
    }
}

#[async_trait]
impl Queue for Sqlite {
    async fn change(&self, changes: Vec<Change>) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(changes.len());
        for change in changes {
            rows.push(self.row(change).await?);
        }
        let effect = self.apply(rows).await?;
        self.remove_files(effect.files).await
    }

    async fn claim(&self, lane: &Lane, now: Timestamp, limit: usize) -> Result<Claim, Error> {
        let (shared, lane) = (Arc::clone(&self.shared), Arc::clone(lane));
        self.query(move |connection| shared.claim(connection, &lane, now, limit))
            .await
    }

    fn release(&self, item: &Item) {
        self.shared.release([item.id]);
    }

    async fn body(&self, item: &Item) -> Result<Bytes, Error> {
        match &item.body {
            ItemBody::Inline(bytes) => Ok(bytes.clone()),
            ItemBody::File { digest, .. } => {
                let digest = *digest;
                self.blocking(move |bodies| bodies.read(&digest)).await
            }
        }
    }

    async fn list(
        &self,
        lane: &Lane,
        after: Option<(Timestamp, ItemId)>,
        limit: usize,
    ) -> Result<Vec<Item>, Error> {
        let lane = Arc::clone(lane);
        self.query(move |connection| items::list(connection, &lane, after, limit))
            .await
    }

    async fn last(&self) -> Result<ItemId, Error> {
        self.query(items::last).await
    }

    async fn purge(&self, lane: &Lane, last: ItemId, limit: usize) -> Result<u64, Error> {
        let lane = Arc::clone(lane);
        let purge = Row::Purge { lane, last, limit };
        let effect = self.apply(vec![purge]).await?;
        self.remove_files(effect.files).await?;
        Ok(effect.deleted)
    }

    async fn sweep(&self) -> Result<(), Error> {
        let bodies = Arc::clone(&self.bodies);
        self.query(move |connection| Ok(bodies.sweep(|digest| items::has_file(connection, digest))))
            .await?
    }

    fn depths(&self) -> Vec<(Lane, u64)> {
        self.shared.depths()
    }

    fn on_change(&self, wake: Arc<dyn Wake>) {
        self.shared.on_change(wake);
    }
}
