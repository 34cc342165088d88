//! The rule of target tracking, in minutes. Pure. As in AWS, three minutes above the target scale out, and fifteen below
//! nine tenths of it scale in.

use std::collections::{BTreeMap, VecDeque};

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
}

/// A new capacity, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Decision {
    pub(super) capacity: u32,
    pub(super) cause: String,
}

impl Minute {
    fn add(&mut self, utilization: f64) {
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
            let utilization = f64::from(in_use) / f64::from(requested);
            self.seconds.add(utilization.min(1.0));
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

    /// Records that the capacity was changed from `before`.
    pub(super) fn changed(&mut self, before: u32, capacity: u32, now: Timestamp) {
        if capacity > before {
            self.last_out = Some((now, capacity));
        } else {
            self.last_in = Some(now);
        }
    }

    /// The values of the last minutes, if there are as many.
    fn last(&self, minutes: usize, statistic: Statistic) -> Option<Vec<f64>> {
        let skipped = self.minutes.len().checked_sub(minutes)?;
        let last = self.minutes.iter().skip(skipped);
        Some(last.map(|it| it.value(statistic)).collect())
    }

    fn out(&self, policy: &PolicyRecord, capacity: u32) -> Option<u32> {
        let target = policy.tracking.target;
        let last = self.last(OUT_MINUTES, policy.tracking.statistic)?;
        let is_above = last.iter().all(|it| *it > target + TOLERANCE);
        let newest = *last.last()?;
        is_above.then(|| needed(capacity, newest, target))
    }

    /// By the highest of the minutes: AWS scales in by smaller steps than out.
    fn less(&self, policy: &PolicyRecord, capacity: u32) -> Option<u32> {
        let target = policy.tracking.target;
        let last = self.last(IN_MINUTES, policy.tracking.statistic)?;
        let highest = last.into_iter().fold(0.0, f64::max);
        (highest < target * IN_SHARE - TOLERANCE).then(|| needed(capacity, highest, target))
    }

    fn may_out(&self, policy: &PolicyRecord, wanted: u32, now: Timestamp) -> bool {
        let cooldown = policy.tracking.out_cooldown_seconds.unwrap_or(0);
        // A larger change overrides the cooldown of a smaller one.
        self.last_out
            .is_none_or(|(at, before)| wanted > before || has_passed(at, cooldown, now))
    }

    fn may_in(&self, policy: &PolicyRecord, now: Timestamp) -> bool {
        let cooldown = policy.tracking.in_cooldown_seconds.unwrap_or(0);
        self.last_in.is_none_or(|at| has_passed(at, cooldown, now))
    }
}

fn has_passed(since: Timestamp, seconds: u32, now: Timestamp) -> bool {
    now.millis() >= since.millis() + u64::from(seconds) * 1_000
}

/// Capacity at which this load has the target's utilization.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn needed(capacity: u32, utilization: f64, target: f64) -> u32 {
    (f64::from(capacity) * utilization / target - TOLERANCE).ceil() as u32
}

/// The capacity that a scalable target is to have, if it is another. Of several policies the one that keeps most counts,
/// so that all must agree to scale in.
pub(super) fn decide(
    record: &ScalingRecord,
    measured: &Measurements,
    capacity: u32,
    now: Timestamp,
) -> Option<Decision> {
    bounds(record, capacity).or_else(|| tracking(record, measured, capacity, now))
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
    })
}

fn tracking(
    record: &ScalingRecord,
    measured: &Measurements,
    capacity: u32,
    now: Timestamp,
) -> Option<Decision> {
    let policies: &BTreeMap<String, PolicyRecord> = &record.policies;
    let outs = policies.iter().filter_map(|(name, policy)| {
        let wanted = measured.out(policy, capacity)?.min(record.capacity_max);
        (wanted > capacity && measured.may_out(policy, wanted, now)).then_some((wanted, name))
    });
    if let Some((wanted, name)) = outs.max().filter(|_| !record.suspended.dynamic_out) {
        return Some(by_policy(record, wanted, "AlarmHigh", name));
    }
    if record.suspended.dynamic_in {
        return None;
    }
    let mut kept = (record.capacity_min, None);
    for (name, policy) in policies {
        let may = policy.tracking.disable_scale_in != Some(true) && measured.may_in(policy, now);
        let wanted = measured.less(policy, capacity).filter(|_| may)?;
        if wanted >= kept.0 {
            kept = (wanted, Some(name));
        }
    }
    let name = kept.1.or_else(|| policies.keys().next())?;
    (kept.0 < capacity).then(|| by_policy(record, kept.0, "AlarmLow", name))
}

fn by_policy(record: &ScalingRecord, capacity: u32, alarm: &str, name: &str) -> Decision {
    let resource = record.resource_id();
    Decision {
        capacity,
        cause: format!(
            "monitor alarm TargetTracking-{resource}-{alarm} in state ALARM triggered policy {name}"
        ),
    }
}
