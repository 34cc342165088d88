//! The task that carries autoscaling out: it measures every second, and decides every minute and after each change of a
//! scalable target. What it has done is in the store, so that it goes on after a restart.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Notify;

use super::activity::{Activity, ActivityStatus};
use super::decision::{Decision, Measurements, decide};
use super::{ScalingRecord, put};
use crate::clock::Timestamp;
use crate::control::{Control, Error};
use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier, hex};

const SECOND: Duration = Duration::from_secs(1);
/// Seconds between two decisions: AWS's metrics have this resolution, and its schedules too.
const MINUTE_SECONDS: u32 = 60;

/// Wakes the task after a change.
#[derive(Debug, Default)]
pub struct Wake(Notify);

impl Wake {
    pub(super) fn wake(&self) {
        self.0.notify_one();
    }
}

type Measured = HashMap<(FunctionName, Qualifier), Measurements>;

impl Control {
    /// Scales the provisioned concurrency of all scalable targets, for ever. One task of the host's.
    pub async fn autoscale(&self) {
        let mut measured = Measured::new();
        let mut second = 0;
        let mut records = self.scaled(&mut measured).await;
        loop {
            tokio::select! {
                () = self.0.autoscaling.0.notified() => {
                    records = self.scaled(&mut measured).await;
                    continue;
                }
                () = self.0.clock.sleep(SECOND) => {}
            }
            self.measure(&records, &mut measured);
            second = (second + 1) % MINUTE_SECONDS;
            if second == 0 {
                measured.values_mut().for_each(Measurements::end_minute);
                records = self.scaled(&mut measured).await;
            }
        }
    }

    fn measure(&self, records: &[ScalingRecord], measured: &mut Measured) {
        for record in records.iter().filter(|it| !it.policies.is_empty()) {
            let progress = self
                .0
                .live
                .provision_of(&record.function, &record.qualifier);
            let key = (record.function.clone(), record.qualifier.clone());
            let measured = measured.entry(key).or_default();
            measured.second(progress.in_use, progress.requested);
        }
    }

    /// Decides on each scalable target, and gives back all of them.
    async fn scaled(&self, measured: &mut Measured) -> Vec<ScalingRecord> {
        let records = match self.scalable_targets().await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "scalable targets could not be read; that is repeated in a minute");
                return Vec::new();
            }
        };
        measured.retain(|(name, qualifier), _| {
            let is_same = |it: &ScalingRecord| it.function == *name && it.qualifier == *qualifier;
            records.iter().any(is_same)
        });
        for record in &records {
            let key = (record.function.clone(), record.qualifier.clone());
            let measured = measured.entry(key).or_default();
            if let Err(error) = self.scale(record, measured).await {
                let resource = record.resource_id();
                tracing::error!(%error, resource, "a scalable target could not be scaled");
            }
        }
        records
    }

    async fn scale(
        &self,
        record: &ScalingRecord,
        measured: &mut Measurements,
    ) -> Result<(), Error> {
        let target = Target {
            name: record.function.clone(),
            qualifier: Some(record.qualifier.clone()),
        };
        let now = self.0.clock.now();
        let begun;
        let record = if record.actions.values().any(|it| it.is_due(now)) {
            begun = self.begin_due(&target, now).await?;
            &begun
        } else {
            record
        };
        let (name, qualifier) = (&record.function, &record.qualifier);
        let before = self.provisioned_for(name, qualifier).await?;
        let Some(decision) = decide(record, measured, before, now) else {
            return Ok(());
        };
        let changed = match decision.capacity {
            0 => self.unprovision(name, qualifier).await,
            some => self
                .provision(name, qualifier.clone(), some)
                .await
                .map(drop),
        };
        if changed.is_ok() {
            measured.changed(before, decision.capacity, now);
        }
        self.note(record, &decision, changed, now).await
    }

    /// Puts the bounds of due actions in force, those of the latest last, in the commit that sets their next times.
    async fn begin_due(&self, target: &Target, now: Timestamp) -> Result<ScalingRecord, Error> {
        self.edit(target, |record| {
            let is_suspended = record.suspended.scheduled;
            let mut due: Vec<_> = record.actions.values_mut().collect();
            due.retain(|it| it.is_due(now));
            due.sort_by_key(|it| it.next);
            let mut bounds = (record.capacity_min, record.capacity_max);
            for action in due {
                action.next = action.next_after(now).unwrap_or_default();
                if !is_suspended {
                    bounds = moved(bounds, (action.capacity_min, action.capacity_max));
                }
            }
            (record.capacity_min, record.capacity_max) = bounds;
        })
        .await
    }

    async fn note(
        &self,
        record: &ScalingRecord,
        decision: &Decision,
        changed: Result<(), Error>,
        start: Timestamp,
    ) -> Result<(), Error> {
        let capacity = decision.capacity;
        let (status, message) = match changed {
            Ok(()) => (
                ActivityStatus::Successful,
                format!(
                    "Successfully set desired concurrency to {capacity}. Change successfully fulfilled by lambda."
                ),
            ),
            Err(error) => (
                ActivityStatus::Failed,
                format!("Failed to set desired concurrency to {capacity}. Reason: {error}"),
            ),
        };
        let activity = Activity {
            id: hex(&self.0.clock.random::<16>()),
            description: format!("Setting desired concurrency to {capacity}."),
            cause: decision.cause.clone(),
            start,
            end: self.0.clock.now(),
            status,
            message,
        };
        let target = Target {
            name: record.function.clone(),
            qualifier: Some(record.qualifier.clone()),
        };
        self.edit(&target, |record| record.add(activity.clone()))
            .await
            .map(drop)
    }

    /// Changes a scalable target without waking the task, which does it itself.
    async fn edit(
        &self,
        target: &Target,
        change: impl Fn(&mut ScalingRecord),
    ) -> Result<ScalingRecord, Error> {
        let (name, qualifier) = super::named(target)?;
        self.write_below(name, || async {
            let found = self.load_scaling(name, qualifier).await?;
            let missing = || super::AutoscalingError::NoTarget(super::resource_id(name, qualifier));
            let (mut record, expect) = found.ok_or_else(missing)?;
            change(&mut record);
            Ok((vec![put(&record, expect)], record))
        })
        .await
    }
}

/// Bounds after an action. As in AWS, a new bound moves the other one that it would pass.
fn moved((min, max): (u32, u32), (new_min, new_max): (Option<u32>, Option<u32>)) -> (u32, u32) {
    match (new_min, new_max) {
        (Some(min), Some(max)) => (min, max),
        (Some(min), None) => (min, max.max(min)),
        (None, Some(max)) => (min.min(max), max),
        (None, None) => (min, max),
    }
}
