//! Checkpoints in the store: the position of each shard of a mapping. A write requires the revision that was read, so
//! that of two pollers of one shard, only one moves on, and never back.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lineage::Shard;
use super::window::Window;
use crate::clock::Timestamp;
use crate::store::{Error, Expect, Key, Range, Record, Records, Revision, Write};

/// Kind of the records. Their ids are `<mapping>/<shard>`, and `<mapping>/` for the mapping itself.
const KIND: &str = "stream_position";

/// Position in a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Sequence number of the last record that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sequence: Option<Arc<str>>,
    /// Time from which records are read, if none was read yet: the start of a mapping that begins at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// True once the shard is closed and all its records are done.
    #[serde(default)]
    pub(super) is_finished: bool,
    /// Tumbling window that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<Window>,
}

/// A position, and the revision of its record.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    pub(super) position: Position,
    pub(super) revision: Option<Revision>,
}

/// Positions of a mapping's shards.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    pub(super) records: Arc<dyn Records>,
    pub(super) mapping: Arc<str>,
}

impl Checkpoints {
    fn key(&self, shard: &str) -> Key {
        Key {
            kind: KIND,
            id: format!("{}/{shard}", self.mapping),
        }
    }

    /// Positions of all shards. `None` if the mapping was never polled.
    pub(super) async fn load(&self) -> Result<Option<HashMap<Arc<str>, Saved>>, Error> {
        let prefix = format!("{}/", self.mapping);
        let all = self.records.read(vec![Range::below(KIND, &prefix)]).await?;
        let mut has_begun = false;
        let mut found = HashMap::new();
        for record in all {
            match record.key.id.strip_prefix(&prefix) {
                Some("") => has_begun = true,
                Some(shard) => drop(found.insert(shard.into(), saved(&record)?)),
                None => {}
            }
        }
        Ok(has_begun.then_some(found))
    }

    /// Notes that the mapping is polled from now on; the shards that it begins with have these positions.
    pub(super) async fn begin(&self, shards: &[(&Shard, Position)]) -> Result<(), Error> {
        let put = |shard: &str, value: Vec<u8>| Write::Put {
            key: self.key(shard),
            value: value.into(),
            expect: Expect::Absent,
        };
        let mut batch = vec![put("", b"{}".to_vec())];
        let shards = shards.iter();
        batch.extend(shards.map(|(shard, position)| put(&shard.id, encode(position))));
        self.records.commit(batch).await.map(drop)
    }

    /// Writes the position of a shard.
    pub(super) async fn save(&self, shard: &str, saved: &mut Saved) -> Result<(), Error> {
        let put = Write::Put {
            key: self.key(shard),
            value: encode(&saved.position).into(),
            expect: saved.revision.map_or(Expect::Absent, Expect::Revision),
        };
        saved.revision = Some(self.records.commit(vec![put]).await?);
        Ok(())
    }

    /// Deletes the position of a shard that has expired.
    pub(super) async fn forget(&self, shard: &str) -> Result<(), Error> {
        let delete = Write::Delete {
            key: self.key(shard),
            expect: Expect::Any,
        };
        self.records.commit(vec![delete]).await.map(drop)
    }
}

/// Deletes the positions of mappings that are no more.
pub(in crate::event_source) async fn forget_mappings(
    records: &dyn Records,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let all = records.read(vec![Range::below(KIND, "")]).await?;
    let of_none = |record: &&Record| {
        let mapping = record.key.id.split('/').next();
        !mapping.is_some_and(&is_known)
    };
    let deletes = all.iter().filter(of_none).map(|record| Write::Delete {
        key: record.key.clone(),
        expect: Expect::Any,
    });
    let deletes: Vec<_> = deletes.collect();
    if deletes.is_empty() {
        return Ok(());
    }
    records.commit(deletes).await.map(drop)
}

fn encode(position: &Position) -> Vec<u8> {
    serde_json::to_vec(position).expect("texts and numbers can be written as JSON")
}

fn saved(record: &Record) -> Result<Saved, Error> {
    let position = serde_json::from_slice(&record.value);
    Ok(Saved {
        position: position.map_err(|error| Error::Failed(Box::new(error)))?,
        revision: Some(record.revision),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    fn checkpoints(records: &Arc<Memory>, mapping: &str) -> Checkpoints {
        Checkpoints {
            records: Arc::clone(records) as Arc<dyn Records>,
            mapping: mapping.into(),
        }
    }

    fn at(sequence: &str) -> Position {
        Position {
            sequence: Some(sequence.into()),
            ..Position::default()
        }
    }

    #[tokio::test]
    async fn position_never_goes_back() {
        let records = Arc::<Memory>::default();
        let own = checkpoints(&records, "m");
        assert!(own.load().await.unwrap().is_none());
        let shard = Shard {
            id: "s".into(),
            parents: Vec::new(),
            is_closed: false,
        };
        own.begin(&[(&shard, at("1"))]).await.unwrap();
        let mut old = own.load().await.unwrap().unwrap()["s"].clone();
        let mut new = old.clone();
        new.position = at("9");
        own.save("s", &mut new).await.unwrap();
        // A second poller that read the position before.
        old.position = at("5");
        let refused = own.save("s", &mut old).await;
        assert!(matches!(refused, Err(Error::Conflict(_))));
        new.position = at("10");
        own.save("s", &mut new).await.unwrap();
        let found = own.load().await.unwrap().unwrap();
        assert_eq!(found["s"].position, at("10"));
        own.forget("s").await.unwrap();
        assert!(own.load().await.unwrap().unwrap().is_empty());
    }

    #[tokio::test]
    async fn positions_of_deleted_mappings_are_deleted() {
        let records = Arc::<Memory>::default();
        for mapping in ["kept", "gone"] {
            let own = checkpoints(&records, mapping);
            own.begin(&[]).await.unwrap();
            own.save("s", &mut Saved::default()).await.unwrap();
        }
        let is_known = |mapping: &str| mapping == "kept";
        forget_mappings(&*records, is_known).await.unwrap();
        let kept = checkpoints(&records, "kept").load().await.unwrap();
        assert_eq!(kept.unwrap().len(), 1);
        let gone = checkpoints(&records, "gone").load().await.unwrap();
        assert!(gone.is_none());
    }
}
