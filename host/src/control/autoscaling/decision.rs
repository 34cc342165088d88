//! Rule of target tracking, in minutes. Pure. As in AWS, three minutes above the target scale out, and fifteen below
//! nine tenths of it scale in.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::policy::Statistic;
use super::{PolicyRecord, ScalingRecord};
use crate::clock::Timestamp;

/// Minutes above the target that scale out.
const OUT_MINUTES: usize = 3;
/// Minutes below the target that scale in.
const IN_MINUTES: usize = 15;
/// Share of the target below which the utilization scales in, so that it does not oscillate.
const IN_SHARE: f64 = 0.9;
/// Tolerance of sums of decimals: 7 of 10 is not above 70 %.
const TOLERANCE: f64 = 1e-9;

/// Measurements of one scalable target.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    /// Seconds of the minute that has not ended.
    seconds: Minute,
    /// Minutes, the newest last.
    minutes: VecDeque<Minute>,
}

/// Last changes by policies, after which cooldowns run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cooldowns {
    /// Time of the last scale-out, and the capacity before it.
    last_out: Option<(Timestamp, u32)>,
    last_in: Option<Timestamp>,
}

/// Utilization within a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    seconds: u32,
    sum: f64,
    min: f64,
    max: f64,
    /// Capacity in its last second, which the utilization is a share of.
    capacity: u32,
}

/// A new capacity, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Decision {
    pub(super) capacity: u32,
    pub(super) cause: String,
    /// True for a decision of a policy.
    pub(super) is_tracking: bool,
}

impl Minute {
    fn add(&mut self, in_use: u32, capacity: u32) {
        let utilization = (f64::from(in_use) / f64::from(capacity)).min(1.0);
        self.capacity = capacity;
        let is_first = self.seconds == 0;
        self.min = if is_first {
            utilization
        } else {
            self.min.min(utilization)
        };
        self.max = self.max.max(utilization);
        self.sum += utilization;
        self.seconds += 1;
    }

    /// Capacity at which the load of this minute has the policy's utilization.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    fn needed(&self, policy: &PolicyRecord) -> u32 {
        let load = f64::from(self.capacity) * self.value(policy.tracking.statistic);
        (load / policy.tracking.target - TOLERANCE).ceil() as u32
    }

    fn value(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::Average => self.sum / f64::from(self.seconds.max(1)),
            Statistic::Maximum => self.max,
            Statistic::Minimum => self.min,
        }
    }
}

impl Measurements {
    /// Records one second. Without provisioned concurrency there is no utilization.
    pub(super) fn second(&mut self, in_use: u32, requested: u32) {
        if requested > 0 {
            self.seconds.add(in_use, requested);
        }
    }

    /// Ends a minute. One without a measurement interrupts what was measured before.
    pub(super) fn end_minute(&mut self) {
        let minute = std::mem::take(&mut self.seconds);
        if minute.seconds == 0 {
            self.minutes.clear();
            return;
        }
        self.minutes.push_back(minute);
        while self.minutes.len() > IN_MINUTES {
            self.minutes.pop_front();
        }
    }

    /// The last minutes, if there are as many.
    fn last(&self, minutes: usize) -> Option<impl Iterator<Item = &Minute> + Clone> {
        let skipped = self.minutes.len().checked_sub(minutes)?;
        Some(self.minutes.iter().skip(skipped))
    }

    /// Capacity for the load of the newest minute, if the last ones are all above the target.
    fn out(&self, policy: &PolicyRecord) -> Option<u32> {
        let PolicyRecord { tracking, .. } = policy;
        let mut last = self.last(OUT_MINUTES)?;
        let is_above = |it: &Minute| it.value(tracking.statistic) > tracking.target + TOLERANCE;
        let newest = last.clone().last()?;
        last.all(is_above).then(|| newest.needed(policy))
    }

    /// Capacity for the highest load of the last minutes, if all are below: AWS scales in by smaller steps than out.
    fn less(&self, policy: &PolicyRecord) -> Option<u32> {
        let PolicyRecord { tracking, .. } = policy;
        let mut last = self.last(IN_MINUTES)?;
        let bound = tracking.target * IN_SHARE - TOLERANCE;
        let needed = last.clone().map(|it| it.needed(policy)).max()?;
        last.all(|it| it.value(tracking.statistic) < bound)
            .then_some(needed)
    }
}

impl Cooldowns {
    /// Records a change of the capacity by a policy. One that scales out ends the cooldown of scaling in.
    pub(super) fn changed(&mut self, before: u32, capacity: u32, now: Timestamp) {
        if capacity > before {
            *self = Self {
                last_out: Some((now, before)),
                last_in: None,
            };
        } else {
            self.last_in = Some(now);
        }
    }

    /// Capacity that a scale-out to `wanted` may set. Within the cooldown, the change before counts as a part of this one.
    fn out(&self, policy: &PolicyRecord, capacity: u32, wanted: u32, now: Timestamp) -> u32 {
        let seconds = policy.tracking.out_cooldown_seconds.unwrap_or(0);
        match self.last_out {
            Some((at, before)) if !has_passed(at, seconds, now) => {
                before.saturating_add(wanted.saturating_sub(capacity))
            }
            _ => wanted,
        }
    }

    fn may_in(&self, policy: &PolicyRecord, now: Timestamp) -> bool {
        let seconds = policy.tracking.in_cooldown_seconds.unwrap_or(0);
        self.last_in.is_none_or(|at| has_passed(at, seconds, now))
    }
}

/// True after these seconds, and if the clock was set back before them.
fn has_passed(since: Timestamp, seconds: u32, now: Timestamp) -> bool {
    let elapsed = now.millis().checked_sub(since.millis());
    elapsed.is_none_or(|it| it >= u64::from(seconds) * 1_000)
}

/// Capacity that a scalable target needs, if it is another: within its bounds, and, with measurements of a minute that
/// has just ended, as its policies say.
pub(super) fn decide(
    record: &ScalingRecord,
    measured: Option<&Measurements>,
    capacity: u32,
    now: Timestamp,
) -> Option<Decision> {
    let tracked = || tracking(record, measured?, capacity, now);
    bounds(record, capacity).or_else(tracked)
}

fn bounds(record: &ScalingRecord, capacity: u32) -> Option<Decision> {
    let (min, max) = (record.capacity_min, record.capacity_max);
    let (bound, name) = match capacity {
        _ if capacity < min => (min, "minimum"),
        _ if capacity > max => (max, "maximum"),
        _ => return None,
    };
    Some(Decision {
        capacity: bound,
        cause: format!("{name} capacity was set to {bound}"),
        is_tracking: false,
    })
}

/// The largest of the policies' capacities scales out. All policies that may scale in must agree to it, and the largest
/// of their capacities counts.
fn tracking(
    record: &ScalingRecord,
    measured: &Measurements,
    capacity: u32,
    now: Timestamp,
) -> Option<Decision> {
    let (policies, cooldowns) = (&record.policies, &record.cooldowns);
    let outs = policies.iter().filter_map(|(name, policy)| {
        let wanted = measured.out(policy)?.min(record.capacity_max);
        let wanted = cooldowns.out(policy, capacity, wanted, now);
        (wanted > capacity).then_some((wanted, name))
    });
    if let Some((wanted, name)) = outs.max().filter(|_| !record.suspended.dynamic_out) {
        return Some(by_policy(record, wanted, "AlarmHigh", name));
    }
    if record.suspended.dynamic_in {
        return None;
    }
    let may_scale_in =
        |(_, it): &(&String, &PolicyRecord)| it.tracking.disable_scale_in != Some(true);
    let mut kept = None;
    for (name, policy) in policies.iter().filter(may_scale_in) {
        let wanted = measured
            .less(policy)
            .filter(|_| cooldowns.may_in(policy, now))?;
        kept = kept.max(Some((wanted, name)));
    }
    let (wanted, name) = kept?;
    let wanted = wanted.max(record.capacity_min);
    (wanted < capacity).then(|| by_policy(record, wanted, "AlarmLow", name))
}

fn by_policy(record: &ScalingRecord, capacity: u32, alarm: &str, name: &str) -> Decision {
    let resource = record.resource_id();
    Decision {
        capacity,
        cause: format!(
            "monitor alarm TargetTracking-{resource}-{alarm} in state ALARM triggered policy {name}"
        ),
        is_tracking: true,
    }
}
