//! The end of a mapping's change. AWS takes a while to carry one out, and clients wait for it; so it
//! stays visible for a set time, through a restart of the host too.

use super::mapping::{MappingRecord, State};
use super::{KIND, SCAN, key, put};
use crate::control::record::Page;
use crate::control::{Control, Error};
use crate::store::{Expect, Write};

impl Control {
    /// Goes on with changes that a stop of the process had cut short.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(in crate::control) async fn resume_event_source_mappings(&self) -> Result<(), Error> {
        let mut marker = None;
        loop {
            let page: Page<MappingRecord> = self.page(KIND, "", marker.as_deref(), SCAN).await?;
            let settling = page.items.into_iter().filter(|it| it.state.is_settling());
            settling.for_each(|record| self.settle_mapping_later(record.id));
            if page.next.is_none() {
                return Ok(());
            }
            marker = page.next;
        }
    }

    pub(super) fn settle_mapping_later(&self, id: String) {
        let control = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(control.0.config.settle).await;
            if let Err(error) = control.settle_mapping(&id).await {
                tracing::error!(%id, %error, "a change could not be completed; restart to retry");
            }
        });
    }

    /// Completes the change of a mapping that is under way, if one is. Safe to repeat.
    async fn settle_mapping(&self, id: &str) -> Result<(), Error> {
        loop {
            let Some((mut record, read_at)) = self.load_mapping(id).await? else {
                return Ok(());
            };
            if !record.state.is_settling() {
                return Ok(());
            }
            let expect = Expect::Revision(read_at);
            let batch = if record.state == State::Deleting {
                let mut batch = record.releasing();
                batch.push(Write::Delete {
                    key: key(id),
                    expect,
                });
                batch
            } else {
                record.state = match record.enabled {
                    true => State::Enabled,
                    false => State::Disabled,
                };
                record.modified = self.0.clock.now();
                vec![put(&record, expect)]
            };
            match self.0.records.commit(batch).await.map_err(Error::from) {
                // Its tags were changed meanwhile.
                Err(Error::Conflict(_)) => {}
                committed => return committed.map(drop),
            }
        }
    }
}
