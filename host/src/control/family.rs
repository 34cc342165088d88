//! A function and what is below it: its versions, aliases, URLs and settings. They are written
//! together, so that nothing is written for a function, a version or an alias that is deleted meanwhile
//! and the next of its name does not find what it never asked for.

use super::{Control, Error, function};
use crate::names::FunctionName;
use crate::store::{self, Expect, Write};

/// How often it is tried again what another change of the same function got ahead of. At each try one
/// of those who try is done.
pub(super) const ATTEMPTS_MAX: usize = 32;

impl Control {
    /// Writes records below a function. What `prepare` finds to be there still is when its writes are
    /// done: they are done together with one that leaves the function's record as it is, and every
    /// deletion of the function or of anything below it that has children writes that record too.
    /// Where another change got ahead, all is prepared again.
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
        for _ in 0..ATTEMPTS_MAX {
            let parent = self.load(name).await?;
            let (writes, prepared) = prepare().await?;
            let Some((function, read_at)) = parent else {
                // It was made just now, between the two lines before.
                continue;
            };
            let mut batch = vec![function::put(&function, Expect::Revision(read_at))];
            batch.extend(writes);
            match self.0.records.commit(batch).await {
                Err(store::Error::Conflict(key)) if key.kind == function::KIND => {}
                committed => return Ok(committed.map(|_| prepared)?),
            }
        }
        Err(self.in_progress(name))
    }
}
