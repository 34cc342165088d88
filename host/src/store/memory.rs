//! In-memory implementation of `Records`: the contract in its plainest form, for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Error, Key, Range, Record, Records, Revision, Write};

/// In-memory records.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Key, Record>,
    revision: u64,
}

impl Memory {
    /// Other records, which say the same.
    pub fn copy(&self) -> Self {
        let state = self.lock();
        Self(Mutex::new(State {
            records: state.records.clone(),
            revision: state.revision,
        }))
    }

    // std mutex: no await inside the critical section.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Records for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        Ok(self.lock().records.get(key).cloned())
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        let state = self.lock();
        let from = Key {
            kind,
            id: after.unwrap_or_default().max(prefix).to_owned(),
        };
        let records = state.records.range(from..).map(|(_, record)| record);
        let found = records
            .take_while(|record| record.key.kind == kind && record.key.id.starts_with(prefix))
            .filter(|record| after.is_none_or(|after| record.key.id.as_str() > after));
        Ok(found.take(limit).cloned().collect())
    }

    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, Error> {
        let state = self.lock();
        let mut found = Vec::new();
        for range in ranges {
            let (from, holds) = range.bounds();
            let kind = range.kind;
            let from = Key {
                kind,
                id: from.to_owned(),
            };
            let records = state.records.range(from..).map(|(_, record)| record);
            let inside = |record: &&Record| record.key.kind == kind && holds(&record.key.id);
            found.extend(records.take_while(inside).cloned());
        }
        Ok(found)
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, Error> {
        let mut state = self.lock();
        let revision = Revision(state.revision + 1);
        // Applied to a copy, because later preconditions see earlier writes and a conflict must
        // undo both.
        let mut records = state.records.clone();
        for write in batch {
            let (key, expect) = write.condition();
            if !expect.holds(records.get(key).map(|record| record.revision)) {
                return Err(Error::Conflict(key.clone()));
            }
            match write {
                Write::Put { key, value, .. } => {
                    records.insert(
                        key.clone(),
                        Record {
                            key,
                            revision,
                            value,
                        },
                    );
                }
                Write::Delete { key, .. } => drop(records.remove(&key)),
            }
        }
        *state = State {
            records,
            revision: revision.0,
        };
        Ok(revision)
    }
}
