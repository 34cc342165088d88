//! Task that carries autoscaling out: each second it measures, and looks for due actions and changed targets; policies
//! decide when a minute ends. Changes and cooldowns are in the store; measurements begin anew after a restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::activity::{Activity, ActivityStatus};
use super::decision::{Decision, Measurements, decide};
use super::{ScalingRecord, put};
use crate::clock::Timestamp;
use crate::control::{Control, Error};
use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier, hex};
use crate::store::Expect;

/// Period of measurements. However many changes there are, the targets are read at most once in it.
const SECOND: Duration = Duration::from_secs(1);
/// Seconds between two decisions of policies: AWS's metrics have this resolution.
const MINUTE_SECONDS: u32 = 60;

/// Tells the task of a change.
#[derive(Debug, Default)]
pub struct Wake(AtomicBool);

impl Wake {
    pub(super) fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Attempts at one change of capacity while others change the target.
const ATTEMPTS_MAX: u32 = 8;

type Measured = HashMap<(FunctionName, Qualifier), Measurements>;

impl Control {
    /// Scales the provisioned concurrency of all scalable targets, for ever. One task of the host's.
    pub async fn autoscale(&self) {
        let (mut measured, mut seconds) = (Measured::new(), 0);
        let mut records = Vec::new();
        self.0.autoscaling.wake();
        loop {
            self.measure(&records, &mut measured);
            seconds = (seconds + 1) % MINUTE_SECONDS;
            let is_minute = seconds == 0;
            if is_minute {
                measured.values_mut().for_each(Measurements::end_minute);
            }
            let now = self.0.clock.now();
            let is_due = |it: &ScalingRecord| it.actions.values().any(|action| action.is_due(now));
            if self.0.autoscaling.take() || is_minute || records.iter().any(is_due) {
                match self.scalable_targets().await {
                    Ok(read) => records = read,
                    Err(error) => {
                        tracing::error!(%error, "scalable targets could not be read; that is repeated");
                        self.0.autoscaling.wake();
                    }
                }
                self.scale_all(&records, &mut measured, is_minute).await;
            }
            self.0.clock.sleep(SECOND).await;
        }
    }

    fn measure(&self, records: &[ScalingRecord], measured: &mut Measured) {
        for record in records.iter().filter(|it| !it.policies.is_empty()) {
            let (name, qualifier) = (&record.function, &record.qualifier);
            let progress = self.0.live.provision_of(name, qualifier);
            let measured = measured.entry((name.clone(), qualifier.clone()));
            let measured = measured.or_default();
            measured.second(progress.in_use, progress.requested);
        }
    }

    /// Decides on each scalable target; at the end of a minute, as its policies say.
    async fn scale_all(&self, records: &[ScalingRecord], measured: &mut Measured, is_minute: bool) {
        let key = |it: &ScalingRecord| (it.function.clone(), it.qualifier.clone());
        measured.retain(|at, _| records.iter().any(|it| key(it) == *at));
        for record in records {
            let measured = measured.get(&key(record)).filter(|_| is_minute);
            if let Err(error) = self.scale(record, measured).await {
                let resource = record.resource_id();
                tracing::error!(%error, resource, "a scalable target could not be scaled");
            }
        }
    }

    async fn scale(
        &self,
        listed: &ScalingRecord,
        measured: Option<&Measurements>,
    ) -> Result<(), Error> {
        let (name, qualifier) = (&listed.function, &listed.qualifier);
        let target = Target {
            name: name.clone(),
            qualifier: Some(qualifier.clone()),
        };
        let now = self.0.clock.now();
        let is_due = listed.actions.values().any(|it| it.is_due(now));
        if is_due {
            self.begin_due(&target, now).await?;
        }
        let before = self.provisioned_for(name, qualifier).await?;
        if !is_due && decide(listed, measured, before, now).is_none() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS_MAX {
            // Read again, since it may have changed meanwhile: the commit requires this revision.
            let Some((record, expect)) = self.load_scaling(name, qualifier).await? else {
                return Ok(());
            };
            let Some(decision) = decide(&record, measured, before, now) else {
                return Ok(());
            };
            match self.carry_out(record, expect, before, &decision).await {
                Ok(()) => return Ok(()),
                Err(Error::Concurrent) => {}
                Err(error) => return self.note_failure(&target, &decision, now, &error).await,
            }
        }
        Err(Error::Concurrent)
    }

    async fn note_failure(
        &self,
        target: &Target,
        decision: &Decision,
        start: Timestamp,
        error: &Error,
    ) -> Result<(), Error> {
        let capacity = decision.capacity;
        let message = format!("Failed to set desired concurrency to {capacity}. Reason: {error}");
        let failed = self.activity(decision, start, ActivityStatus::Failed, message);
        let noted = self.edit(target, |record| record.add(failed.clone()));
        noted.await.map(drop)
    }

    /// Sets the capacity, and notes it in the same commit: a target that was changed or deregistered sets nothing.
    async fn carry_out(
        &self,
        mut record: ScalingRecord,
        expect: Expect,
        before: u32,
        decision: &Decision,
    ) -> Result<(), Error> {
        let (capacity, now) = (decision.capacity, self.0.clock.now());
        let message = format!(
            "Successfully set desired concurrency to {capacity}. Change successfully fulfilled by lambda."
        );
        record.add(self.activity(decision, now, ActivityStatus::Successful, message));
        if decision.is_tracking {
            record.cooldowns.changed(before, capacity, now);
        }
        let noted = Some(put(&record, expect));
        let (name, qualifier) = (&record.function, &record.qualifier);
        match capacity {
            0 => self.unprovision_with(name, qualifier, noted).await,
            some => {
                let set = self.provision_with(name, qualifier.clone(), some, noted);
                set.await.map(drop)
            }
        }
    }

    fn activity(
        &self,
        decision: &Decision,
        start: Timestamp,
        status: ActivityStatus,
        message: String,
    ) -> Activity {
        Activity {
            id: hex(&self.0.clock.random::<16>()),
            description: format!("Setting desired concurrency to {}.", decision.capacity),
            cause: decision.cause.clone(),
            start,
            end: self.0.clock.now(),
            status,
            message,
        }
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
