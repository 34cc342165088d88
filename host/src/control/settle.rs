//! The end of a change. AWS takes a moment to carry out a change, and clients written for it rely on
//! seeing `Pending` and `InProgress`; so a change stays in progress for a set time, after which
//! the data plane gets it and its record says so.

use super::configuration::{FunctionRecord, LastUpdate, State};
use super::revision::RevisionId;
use super::{Control, Error};
use crate::names::FunctionName;
use crate::store::Expect;

impl FunctionRecord {
    /// Whether a change of it is in progress.
    pub(super) fn is_settling(&self) -> bool {
        self.latest.state == State::Pending
            || self.latest.last_update == Some(LastUpdate::InProgress)
    }
}

impl Control {
    /// Tells the data plane what it may know of a change now, and the rest later.
    pub(super) async fn published_and_settling(&self, name: &FunctionName) -> Result<(), Error> {
        self.publish(name).await?;
        self.settle_later(name.clone());
        Ok(())
    }

    pub(super) fn settle_later(&self, name: FunctionName) {
        let control = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(control.0.config.settle).await;
            if let Err(error) = control.settle(&name).await {
                tracing::error!(%name, %error, "a change could not be completed; restart to retry");
            }
        });
    }

    /// Completes the change of a function that is in progress, if one is. Safe to repeat. The data
    /// plane gets it first: who reads that a function is active can invoke it.
    async fn settle(&self, name: &FunctionName) -> Result<(), Error> {
        loop {
            let Some((mut record, read_at)) = self.load(name).await? else {
                return self.publish(name).await;
            };
            if !record.is_settling() {
                return Ok(());
            }
            record.latest.state = State::Active;
            record.latest.last_update = Some(LastUpdate::Successful);
            record.latest.revision = RevisionId::new(&self.0.clock);
            self.publish_settled(&record).await;
            match self.save(&record, Expect::Revision(read_at)).await {
                // Someone was faster; what was just published may not be the last word.
                Err(Error::Conflict(_)) => {}
                saved => return saved,
            }
        }
    }
}
