//! The end of a change. AWS takes a moment to carry out a change, and clients written for it rely on
//! seeing `Pending` and `InProgress`; so a change stays in progress for a set time, after which
//! the data plane gets it and its record says so.

use std::time::Duration;

use super::configuration::{FunctionRecord, LastUpdate, State, VersionRecord};
use super::revision::RevisionId;
use super::{Control, Error, function, version};
use crate::clock::Clock;
use crate::names::FunctionName;
use crate::store::Expect;

/// How long it takes until a change that could not be completed is tried again. Each time it takes
/// twice as long, up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;

impl FunctionRecord {
    /// Whether a change of it, or the publication of a version, is in progress.
    pub(super) fn is_settling(&self) -> bool {
        self.latest.is_settling() || !self.settling_versions.is_empty()
    }
}

impl VersionRecord {
    fn settle(&mut self, clock: &Clock) {
        self.state = State::Active;
        self.last_update = Some(LastUpdate::Successful);
        self.revision = RevisionId::new(clock);
    }
}

impl Control {
    /// Tells the data plane what it may know of a change now, and the rest later.
    pub(super) async fn published_and_settling(&self, name: &FunctionName) -> Result<(), Error> {
        self.publish(name).await?;
        self.settle_later(name.clone());
        Ok(())
    }

    /// Completes a change when its time has come; where the store fails, when it works again.
    pub(super) fn settle_later(&self, name: FunctionName) {
        let control = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(control.0.config.settle).await;
            let mut wait = RETRY_FIRST;
            while let Err(error) = control.settle(&name).await {
                tracing::error!(
                    %name, %error, ?wait, "a change could not be completed; it is tried again"
                );
                tokio::time::sleep(wait).await;
                wait = RETRY_LAST.min(wait * 2);
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
            let (mut versions, mut batch) = (Vec::new(), Vec::new());
            for number in std::mem::take(&mut record.settling_versions) {
                let Some((mut version, read_at)) = self.load_version(name, number).await? else {
                    continue;
                };
                version.settle(&self.0.clock);
                batch.push(version::put(name, &version, Expect::Revision(read_at)));
                versions.push(version);
            }
            if record.latest.is_settling() {
                record.latest.settle(&self.0.clock);
            }
            batch.push(function::put(&record, Expect::Revision(read_at)));
            self.publish_settled(&record, &versions).await?;
            match self.0.records.commit(batch).await.map_err(Error::from) {
                // Someone was faster; what was just published may not be the last word.
                Err(Error::Conflict(_)) => {}
                committed => return committed.map(drop),
            }
        }
    }
}
