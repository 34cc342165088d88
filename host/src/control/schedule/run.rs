//! Last run of each schedule: what a restart goes on from. Apart from the schedule, which its owner changes.

use serde::{Deserialize, Serialize};

use super::{Error, ScheduleRecord, decode};
use crate::clock::Timestamp;
use crate::control::Control;
use crate::control::record::encode;
use crate::store::{Expect, Key, Range, Write};

const KIND: &str = "schedule_run";

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    /// Time that it was scheduled for.
    last: Timestamp,
}

impl Control {
    /// Time from which the next run of a schedule is looked for: that of its last one, or of its last change.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn schedule_base(&self, record: &ScheduleRecord) -> Result<Timestamp, Error> {
        let found = self.0.records.get(&key(&record.id())).await?;
        let run: Option<Run> = found.as_ref().map(decode).transpose()?;
        Ok(run.map_or(record.modified, |run| run.last.max(record.modified)))
    }

    /// Notes a run of a schedule.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn note_schedule_run(
        &self,
        record: &ScheduleRecord,
        last: Timestamp,
    ) -> Result<(), Error> {
        let put = Write::Put {
            key: key(&record.id()),
            value: encode(&Run { last }),
            expect: Expect::Any,
        };
        Ok(self.commit(vec![put]).await.map(drop)?)
    }
}

pub(super) fn forget(id: &str) -> Write {
    Write::Delete {
        key: key(id),
        expect: Expect::Any,
    }
}

pub(super) fn of_group(prefix: &str) -> Range {
    Range::below(KIND, prefix)
}

fn key(id: &str) -> Key {
    Key {
        kind: KIND,
        id: id.to_owned(),
    }
}
