//! Completes changes of event source mappings, as a job of `lifecycle`.

use super::mapping::State;
use super::{key, put};
use crate::control::{Control, Error};
use crate::store::{Expect, Write};

impl Control {
    /// Completes the change of a mapping that is in progress, if one is. Safe to repeat.
    pub(in crate::control) async fn complete_mapping(&self, id: &str) -> Result<(), Error> {
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
            // Its tags may have been changed meanwhile.
            if self.is_committed(batch).await? {
                return Ok(());
            }
        }
    }
}
