//! Groups of schedules. The default group is always there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_GROUP, Error, LISTED_MAX, check_name, decode, of_group};
use crate::clock::Timestamp;
use crate::control::Control;
use crate::control::record::encode;
use crate::names::Home;
use crate::store::{self, Expect, Key, Write};

const KIND: &str = "schedule_group";

/// Stored record of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub name: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub tags: BTreeMap<String, String>,
}

impl GroupRecord {
    /// ARN.
    pub fn arn(&self, home: &Home) -> String {
        let Home { account, region } = home;
        format!(
            "arn:aws:scheduler:{region}:{account}:schedule-group/{}",
            self.name
        )
    }

    fn default_group() -> Self {
        Self {
            name: DEFAULT_GROUP.into(),
            created: Timestamp::from_millis(0),
            modified: Timestamp::from_millis(0),
            tags: BTreeMap::new(),
        }
    }
}

impl Control {
    /// Creates a group.
    ///
    /// # Errors
    /// If it exists, or its name is not allowed.
    pub async fn create_schedule_group(
        &self,
        name: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<GroupRecord, Error> {
        check_name(name)?;
        let exists = || Error::Exists("Schedule group", name.to_owned());
        if name == DEFAULT_GROUP {
            return Err(exists());
        }
        let now = self.0.clock.now();
        let record = GroupRecord {
            name: name.to_owned(),
            created: now,
            modified: now,
            tags,
        };
        let put = Write::Put {
            key: key(name),
            value: encode(&record),
            expect: Expect::Absent,
        };
        match self.commit_schedules(vec![put]).await {
            Err(store::Error::Conflict(_)) => Err(exists()),
            committed => committed.map(|()| record).map_err(Error::from),
        }
    }

    /// A group.
    ///
    /// # Errors
    /// If it does not exist.
    pub async fn schedule_group(&self, name: &str) -> Result<GroupRecord, Error> {
        match self.0.records.get(&key(name)).await? {
            Some(found) => decode(&found),
            None if name == DEFAULT_GROUP => Ok(GroupRecord::default_group()),
            None => Err(Error::NotFound("Schedule group", name.to_owned())),
        }
    }

    pub(super) async fn require_group(&self, name: &str) -> Result<(), Error> {
        self.schedule_group(name).await.map(drop)
    }

    /// All groups by name, the default one first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn schedule_groups(&self) -> Result<Vec<GroupRecord>, Error> {
        let found = self.0.records.list(KIND, "", None, LISTED_MAX).await?;
        let mut groups = vec![GroupRecord::default_group()];
        for record in &found {
            groups.push(decode(record)?);
        }
        Ok(groups)
    }

    /// Deletes a group with all of its schedules.
    ///
    /// # Errors
    /// If it does not exist, or is the default one.
    pub async fn delete_schedule_group(&self, name: &str) -> Result<(), Error> {
        if name == DEFAULT_GROUP {
            let text = "The default schedule group cannot be deleted.";
            return Err(Error::Invalid(text.into()));
        }
        let schedules = self.0.records.read(of_group(name)).await?;
        let mut batch = vec![Write::Delete {
            key: key(name),
            expect: Expect::Present,
        }];
        batch.extend(schedules.into_iter().map(|record| Write::Delete {
            key: record.key,
            expect: Expect::Any,
        }));
        match self.commit_schedules(batch).await {
            Err(store::Error::Conflict(_)) => {
                Err(Error::NotFound("Schedule group", name.to_owned()))
            }
            committed => Ok(committed?),
        }
    }
}

fn key(name: &str) -> Key {
    Key {
        kind: KIND,
        id: name.to_owned(),
    }
}
