//! Scaling policies: target tracking of the utilization of provisioned concurrency.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A stored policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Part of its ARN.
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its settings.
    pub tracking: TargetTracking,
}

/// Settings of target tracking.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetTracking {
    /// Utilization that is kept: 0.7 for 70 %.
    pub target: f64,
    /// Statistic of a minute.
    pub statistic: Statistic,
    /// True for the predefined metric, which has the average.
    pub is_predefined: bool,
    /// Seconds after scaling out in which no less is scaled out.
    pub out_cooldown_seconds: Option<u32>,
    /// Seconds after scaling in without scaling in.
    pub in_cooldown_seconds: Option<u32>,
    /// True if the policy only scales out; `None` if it was not chosen.
    pub disable_scale_in: Option<bool>,
}

/// Statistic of the utilization within a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Statistic {
    /// Mean of the seconds.
    Average,
    /// Highest second.
    Maximum,
    /// Lowest second.
    Minimum,
}

impl Statistic {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Maximum => "Maximum",
            Self::Minimum => "Minimum",
        }
    }
}
