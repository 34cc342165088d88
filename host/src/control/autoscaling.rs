//! Autoscaling of provisioned concurrency: scalable targets with their policies and scheduled actions, as in Application
//! Auto Scaling. `decision` is the pure rule, `keeper` the task that carries it out.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::record::{CHILDREN_MAX, decode, encode};
use super::{Control, Error, kind};
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier, hex};
use crate::store::{Expect, Key, Write};

mod action;
mod activity;
mod decision;
mod error;
mod keeper;
mod policy;
#[cfg(test)]
mod tests;

pub use action::{ActionChoice, ActionRecord};
pub use activity::Activity;
#[cfg(test)]
pub use activity::ActivityStatus;
pub use decision::Cooldowns;
pub use error::AutoscalingError;
pub use keeper::Wake;
pub use policy::{PolicyRecord, Statistic, TargetTracking};

/// Policies of one scalable target.
const POLICIES_MAX: usize = 50;
/// Scheduled actions of one scalable target: AWS's quota.
const ACTIONS_MAX: usize = 200;
/// Tags of one scalable target.
const TAGS_MAX: usize = 50;

/// The stored record: a scalable target, with all that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingRecord {
    /// The function.
    pub function: FunctionName,
    /// The version or alias whose provisioned concurrency is scaled.
    pub qualifier: Qualifier,
    /// Last part of its ARN.
    pub id: String,
    /// Least provisioned concurrency.
    pub capacity_min: u32,
    /// Most provisioned concurrency.
    pub capacity_max: u32,
    /// The role of the request; stored and shown only.
    pub role: Option<String>,
    /// When it was registered.
    pub created: Timestamp,
    /// Kinds of scaling that are suspended.
    pub suspended: Suspended,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Policies by name.
    pub policies: BTreeMap<String, PolicyRecord>,
    /// Scheduled actions by name.
    pub actions: BTreeMap<String, ActionRecord>,
    /// Newest activities, the last one first.
    pub activities: VecDeque<Activity>,
    /// Changes after which cooldowns run.
    #[serde(default)]
    pub cooldowns: Cooldowns,
}

/// Kinds of scaling that are suspended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    /// Scaling in by policies.
    pub dynamic_in: bool,
    /// Scaling out by policies.
    pub dynamic_out: bool,
    /// Scheduled actions.
    pub scheduled: bool,
}

/// Members of a registration. Those that are `None` stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// Least provisioned concurrency.
    pub capacity_min: Option<u32>,
    /// Most provisioned concurrency.
    pub capacity_max: Option<u32>,
    /// Role.
    pub role: Option<String>,
    /// Suspended kinds of scaling: in, out, scheduled.
    pub suspended: [Option<bool>; 3],
    /// Tags of a new target.
    pub tags: BTreeMap<String, String>,
}

impl ScalingRecord {
    /// `function:name:qualifier`.
    pub fn resource_id(&self) -> String {
        resource_id(&self.function, &self.qualifier)
    }

    fn set_bounds(&mut self, min: Option<u32>, max: Option<u32>) -> Result<(), AutoscalingError> {
        let (min, max) = (
            min.unwrap_or(self.capacity_min),
            max.unwrap_or(self.capacity_max),
        );
        if min > max {
            return Err(AutoscalingError::MinAboveMax);
        }
        (self.capacity_min, self.capacity_max) = (min, max);
        Ok(())
    }

    fn register(&mut self, choice: &Registration) -> Result<(), AutoscalingError> {
        self.set_bounds(choice.capacity_min, choice.capacity_max)?;
        if choice.role.is_some() {
            self.role.clone_from(&choice.role);
        }
        let [dynamic_in, dynamic_out, scheduled] = choice.suspended;
        let before = self.suspended;
        self.suspended = Suspended {
            dynamic_in: dynamic_in.unwrap_or(before.dynamic_in),
            dynamic_out: dynamic_out.unwrap_or(before.dynamic_out),
            scheduled: scheduled.unwrap_or(before.scheduled),
        };
        Ok(())
    }
}

/// `function:name:qualifier`.
pub fn resource_id(name: &FunctionName, qualifier: &Qualifier) -> String {
    format!("function:{name}:{qualifier}")
}

impl Control {
    /// Registers a version or alias as a scalable target, or changes its registration.
    ///
    /// # Errors
    /// If there is no such version or alias, or the bounds are missing or contradict each other.
    pub async fn register_scalable_target(
        &self,
        target: &Target,
        choice: Registration,
    ) -> Result<ScalingRecord, Error> {
        let (name, qualifier) = named(target)?;
        let registered = self.write_below(name, || async {
            match self.existing_at(name, Some(qualifier)).await {
                Err(error) if error.is_function_missing() => {
                    let resource = resource_id(name, qualifier);
                    return Err(AutoscalingError::NoResource(resource).into());
                }
                found => drop(found?),
            }
            let (mut record, expect) = match self.load_scaling(name, qualifier).await? {
                Some(_) if !choice.tags.is_empty() => {
                    return Err(AutoscalingError::TagsOfExisting.into());
                }
                Some((record, expect)) => (record, expect),
                None => (self.new_target(name, qualifier, &choice)?, Expect::Absent),
            };
            record.register(&choice)?;
            Ok((vec![put(&record, expect)], record))
        });
        let registered = registered.await?;
        self.0.autoscaling.wake();
        Ok(registered)
    }

    fn new_target(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
        choice: &Registration,
    ) -> Result<ScalingRecord, AutoscalingError> {
        let (Some(capacity_min), Some(capacity_max)) = (choice.capacity_min, choice.capacity_max)
        else {
            return Err(AutoscalingError::BoundsMissing);
        };
        if choice.tags.len() > TAGS_MAX {
            return Err(AutoscalingError::TooManyTags);
        }
        Ok(ScalingRecord {
            function: name.clone(),
            qualifier: qualifier.clone(),
            id: hex(&self.0.clock.random::<17>()),
            capacity_min,
            capacity_max,
            role: None,
            created: self.0.clock.now(),
            suspended: Suspended::default(),
            tags: choice.tags.clone(),
            policies: BTreeMap::new(),
            actions: BTreeMap::new(),
            activities: VecDeque::new(),
            cooldowns: Cooldowns::default(),
        })
    }

    /// Deletes a scalable target with its policies and scheduled actions. The provisioned concurrency stays.
    ///
    /// # Errors
    /// If it is not registered.
    pub async fn deregister_scalable_target(&self, target: &Target) -> Result<(), Error> {
        let (name, qualifier) = named(target)?;
        self.write_below(name, || async {
            let found = self.load_scaling(name, qualifier).await?;
            let missing = || AutoscalingError::NoTarget(resource_id(name, qualifier));
            let (_, expect) = found.ok_or_else(missing)?;
            let key = key(name, qualifier);
            Ok((vec![Write::Delete { key, expect }], ()))
        })
        .await
    }

    /// Changes a scalable target.
    async fn change_target<T>(
        &self,
        target: &Target,
        change: impl Fn(&mut ScalingRecord) -> Result<T, AutoscalingError>,
    ) -> Result<T, Error> {
        let (name, qualifier) = named(target)?;
        let changed = self.write_below(name, || async {
            let found = self.load_scaling(name, qualifier).await?;
            let missing = || AutoscalingError::NoTarget(resource_id(name, qualifier));
            let (mut record, expect) = found.ok_or_else(missing)?;
            let changed = change(&mut record)?;
            Ok((vec![put(&record, expect)], changed))
        });
        let changed = changed.await?;
        self.0.autoscaling.wake();
        Ok(changed)
    }

    /// Creates or replaces a policy of a scalable target.
    ///
    /// # Errors
    /// If the target is not registered or has too many policies.
    pub async fn put_scaling_policy(
        &self,
        target: &Target,
        policy: &str,
        tracking: TargetTracking,
    ) -> Result<PolicyRecord, Error> {
        let (id, now) = (hex(&self.0.clock.random::<16>()), self.0.clock.now());
        self.change_target(target, |record| {
            let is_new = !record.policies.contains_key(policy);
            if is_new && record.policies.len() >= POLICIES_MAX {
                return Err(AutoscalingError::TooManyPolicies);
            }
            let kept = record.policies.entry(policy.to_owned());
            let kept = kept.or_insert_with(|| PolicyRecord {
                id: id.clone(),
                created: now,
                tracking,
            });
            kept.tracking = tracking;
            Ok(kept.clone())
        })
        .await
    }

    /// Deletes a policy of a scalable target.
    ///
    /// # Errors
    /// If there is no such policy.
    pub async fn delete_scaling_policy(&self, target: &Target, policy: &str) -> Result<(), Error> {
        self.change_target(target, |record| {
            let removed = record.policies.remove(policy);
            let missing = || AutoscalingError::NoPolicy(record.resource_id(), policy.to_owned());
            removed.map(drop).ok_or_else(missing)
        })
        .await
    }

    /// Creates a scheduled action of a scalable target or changes its given members.
    ///
    /// # Errors
    /// If the target is not registered, has too many actions, or the schedule is invalid.
    pub async fn put_scheduled_action(
        &self,
        target: &Target,
        action: &str,
        choice: ActionChoice,
    ) -> Result<(), Error> {
        let (id, now) = (hex(&self.0.clock.random::<16>()), self.0.clock.now());
        self.change_target(target, |record| {
            let before = record.actions.get(action);
            if before.is_none() && record.actions.len() >= ACTIONS_MAX {
                return Err(AutoscalingError::TooManyActions);
            }
            let changed = choice.apply(before, &id, now)?;
            record.actions.insert(action.to_owned(), changed);
            Ok(())
        })
        .await
    }

    /// Deletes a scheduled action of a scalable target.
    ///
    /// # Errors
    /// If there is no such action.
    pub async fn delete_scheduled_action(
        &self,
        target: &Target,
        action: &str,
    ) -> Result<(), Error> {
        self.change_target(target, |record| {
            let removed = record.actions.remove(action);
            let missing = || AutoscalingError::NoAction(record.resource_id(), action.to_owned());
            removed.map(drop).ok_or_else(missing)
        })
        .await
    }

    /// Adds tags to a scalable target and removes others.
    ///
    /// # Errors
    /// If there is none of this id, or it would have too many tags.
    pub async fn tag_scalable_target(
        &self,
        id: &str,
        added: BTreeMap<String, String>,
        removed: &[String],
    ) -> Result<(), Error> {
        let found = self.scalable_target(id).await?;
        let target = Target {
            name: found.function,
            qualifier: Some(found.qualifier),
        };
        self.change_target(&target, |record| {
            record.tags.extend(added.clone());
            record.tags.retain(|key, _| !removed.contains(key));
            match record.tags.len() > TAGS_MAX {
                true => Err(AutoscalingError::TooManyTags),
                false => Ok(()),
            }
        })
        .await
    }

    /// The scalable target of a version or alias, if it is registered.
    ///
    /// # Errors
    /// If the target has no qualifier or the store fails.
    pub async fn find_scalable_target(
        &self,
        target: &Target,
    ) -> Result<Option<ScalingRecord>, Error> {
        let (name, qualifier) = named(target)?;
        let found = self.load_scaling(name, qualifier).await?;
        Ok(found.map(|(record, _)| record))
    }

    /// The scalable target of an id.
    ///
    /// # Errors
    /// If there is none.
    pub async fn scalable_target(&self, id: &str) -> Result<ScalingRecord, Error> {
        let all = self.scalable_targets().await?;
        let found = all.into_iter().find(|it| it.id == id);
        Ok(found.ok_or(AutoscalingError::NoTargetOfId)?)
    }

    /// All scalable targets, ordered by function and qualifier.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn scalable_targets(&self) -> Result<Vec<ScalingRecord>, Error> {
        let records = &self.0.records;
        let found = records.list(kind::SCALING, "", None, CHILDREN_MAX).await?;
        found.iter().map(decode).collect()
    }

    async fn load_scaling(
        &self,
        name: &FunctionName,
        qualifier: &Qualifier,
    ) -> Result<Option<(ScalingRecord, Expect)>, Error> {
        let found = self.0.records.get(&key(name, qualifier)).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        Ok(Some((decode(&found)?, Expect::Revision(found.revision))))
    }
}

/// Function and qualifier of a target: `$LATEST` has no provisioned concurrency.
fn named(target: &Target) -> Result<(&FunctionName, &Qualifier), AutoscalingError> {
    match &target.qualifier {
        Some(qualifier @ (Qualifier::Version(_) | Qualifier::Alias(_))) => {
            Ok((&target.name, qualifier))
        }
        Some(Qualifier::Latest) | None => Err(AutoscalingError::Unqualified),
    }
}

fn put(record: &ScalingRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.function, &record.qualifier),
        value: encode(record),
        expect,
    }
}

fn key(name: &FunctionName, qualifier: &Qualifier) -> Key {
    Key {
        kind: kind::SCALING,
        id: format!("{name}/{qualifier}"),
    }
}
