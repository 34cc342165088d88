//! Scaling activities, as DescribeScalingActivities shows them.

use serde::{Deserialize, Serialize};

use super::ScalingRecord;
use crate::clock::Timestamp;

/// Activities that a scalable target keeps. AWS keeps those of six weeks.
const ACTIVITIES_MAX: usize = 50;

/// A change of provisioned concurrency, or the failure of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Id.
    pub id: String,
    /// Intended change, in AWS's words.
    pub description: String,
    /// Reason of the change.
    pub cause: String,
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// Outcome.
    pub status: ActivityStatus,
    /// Text on the outcome.
    pub message: String,
}

/// Outcome of an activity.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ActivityStatus {
    /// The capacity was changed.
    Successful,
    /// It was not.
    Failed,
}

impl ActivityStatus {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Failed => "Failed",
        }
    }
}

impl ScalingRecord {
    /// Adds an activity. A failure that repeats, as it may every minute, is one activity that goes on.
    pub(super) fn add(&mut self, activity: Activity) {
        let again = |it: &&mut Activity| {
            it.status == ActivityStatus::Failed
                && it.status == activity.status
                && it.description == activity.description
                && it.message == activity.message
        };
        if let Some(last) = self.activities.front_mut().filter(again) {
            last.end = activity.end;
            return;
        }
        self.activities.push_front(activity);
        self.activities.truncate(ACTIVITIES_MAX);
    }
}
