//! Scheduled actions: at their times, they change the bounds of their scalable target.

use serde::{Deserialize, Serialize};

use super::AutoscalingError;
use crate::clock::Timestamp;
use crate::control::schedule::expression::Timing;

/// A stored scheduled action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// Part of its ARN.
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
    /// `at(...)`, `rate(...)` or `cron(...)`.
    pub schedule: String,
    /// Time zone of the schedule; UTC if there is none.
    pub zone: Option<String>,
    /// First time that counts.
    pub start: Option<Timestamp>,
    /// Last time that counts.
    pub end: Option<Timestamp>,
    /// New least capacity.
    pub capacity_min: Option<u32>,
    /// New most capacity.
    pub capacity_max: Option<u32>,
    /// Next time that it is due; `None` if it has had its last.
    pub next: Option<Timestamp>,
}

/// Members of a request. Those that are `None` stay as they are, except the start and the end.
#[derive(Clone, Debug, Default)]
pub struct ActionChoice {
    /// See [`ActionRecord::schedule`].
    pub schedule: Option<String>,
    /// See [`ActionRecord::zone`].
    pub zone: Option<String>,
    /// See [`ActionRecord::start`].
    pub start: Option<Timestamp>,
    /// See [`ActionRecord::end`].
    pub end: Option<Timestamp>,
    /// New bounds, least and most, of which one may be missing.
    pub bounds: Option<(Option<u32>, Option<u32>)>,
}

impl ActionChoice {
    /// The action after this change, due for the first time after `now`.
    pub(super) fn apply(
        &self,
        before: Option<&ActionRecord>,
        id: &str,
        now: Timestamp,
    ) -> Result<ActionRecord, AutoscalingError> {
        let invalid = |text: &str| AutoscalingError::Action(text.to_owned());
        let mut action = match (before, &self.schedule) {
            (Some(before), _) => before.clone(),
            (None, Some(schedule)) => ActionRecord::new(id, schedule, now),
            (None, None) => {
                return Err(invalid(
                    "Schedule is required to create a scheduled action.",
                ));
            }
        };
        action.schedule = self.schedule.clone().unwrap_or(action.schedule);
        action.zone = self.zone.clone().or(action.zone);
        // As in AWS, times that a change does not give are deleted.
        (action.start, action.end) = (self.start, self.end);
        if let Some((min, max)) = self.bounds {
            (action.capacity_min, action.capacity_max) = (min, max);
        }
        match (action.capacity_min, action.capacity_max) {
            (None, None) => {
                return Err(invalid(
                    "ScalableTargetAction needs MinCapacity, MaxCapacity or both.",
                ));
            }
            (Some(min), Some(max)) if min > max => return Err(AutoscalingError::MinAboveMax),
            _ => {}
        }
        if action
            .end
            .is_some_and(|end| end <= action.start.unwrap_or(now))
        {
            return Err(invalid("EndTime must be later than StartTime and now."));
        }
        action.next = action.next_after(now)?;
        if action.next.is_none() {
            return Err(invalid(
                "The schedule has no time after now and StartTime, and before EndTime.",
            ));
        }
        Ok(action)
    }
}

impl ActionRecord {
    fn new(id: &str, schedule: &str, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            created: now,
            schedule: schedule.to_owned(),
            zone: None,
            start: None,
            end: None,
            capacity_min: None,
            capacity_max: None,
            next: None,
        }
    }

    /// First time of the schedule after `now`, within its start and end.
    ///
    /// # Errors
    /// If the schedule or the time zone is invalid.
    pub(super) fn next_after(&self, now: Timestamp) -> Result<Option<Timestamp>, AutoscalingError> {
        let within = (self.start, self.end);
        let timing = Timing::parse(&self.schedule, self.zone.as_deref(), self.created, within);
        let timing = timing.map_err(|it| AutoscalingError::Action(it.to_string()))?;
        Ok(timing.next(now))
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}
