//! The one way to write records. A commit publishes every function and mapping that it touches, and so starts
//! the jobs that their records wait for. It runs as a task of its own: a caller that leaves loses the answer
//! only.

use std::sync::Arc;

use super::lifecycle::Subject;
use super::{Control, Error, event_source, kind};
use crate::store::{self, Revision, Write};

impl Control {
    /// Commits a batch, and returns when the data plane has what it changes.
    ///
    /// # Errors
    /// Where a record was changed meanwhile, or the store fails. Nothing was written then.
    pub(super) async fn commit(&self, batch: Vec<Write>) -> Result<Revision, store::Error> {
        self.commit_holding(batch, ()).await
    }

    /// The same, where `held` keeps files from being collected that no record names before.
    pub(super) async fn commit_holding(
        &self,
        batch: Vec<Write>,
        held: impl Send + 'static,
    ) -> Result<Revision, store::Error> {
        let plane = Arc::clone(&self.0);
        let functions = kind::functions_of(&batch).into_iter();
        let mappings = event_source::mappings_of(&batch);
        let changed = functions.map(Subject::Function);
        let changed = changed.chain(mappings.map(Subject::Mapping)).collect();
        // Marked before the commit: a read that finds the new record waits for its publication.
        let marks = plane.publisher.mark(changed);
        let committed = tokio::spawn(async move {
            let _held = held;
            let revision = plane.records.commit(batch).await?;
            let published = marks.committed();
            published.wait(&plane.clock).await;
            Ok(revision)
        });
        committed.await.unwrap_or_else(|ended| {
            // The runtime comes down, or the store panicked.
            Err(store::Error::Failed(Box::new(ended)))
        })
    }

    /// Reads a record, changes it and writes it, again where another change got ahead. `attempt` reads,
    /// checks and prepares the writes, which must be conditional on all that it read; none changes nothing.
    ///
    /// # Errors
    /// As `attempt`; and where other changes got ahead of every attempt.
    pub(super) async fn update<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<(Vec<Write>, T), Error>>,
    {
        self.update_holding(&Arc::new(()), attempt).await
    }

    /// The same, where `held` keeps files from being collected that no record names before.
    pub(super) async fn update_holding<T, F>(
        &self,
        held: &Arc<impl Send + Sync + 'static>,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Vec<Write>, T), Error>>,
    {
        let mut conflict = None;
        for _ in 0..ATTEMPTS_MAX {
            let (batch, changed) = attempt().await?;
            if batch.is_empty() {
                return Ok(changed);
            }
            match self.commit_holding(batch, Arc::clone(held)).await {
                Err(store::Error::Conflict(key)) => conflict = Some(key),
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(changed),
            }
        }
        let key = conflict.expect("an attempt that neither failed nor was done had a conflict");
        Err(store::Error::Conflict(key).into())
    }
}

/// Attempts at one change. In each round of concurrent attempts on one record one succeeds, so that this
/// is also how many callers may change one record at once.
const ATTEMPTS_MAX: usize = 32;
