//! Names of lanes: one lane for each function, version or alias that is invoked, and for each destination, so that
//! none waits for another.

use std::sync::Arc;

use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier};
use crate::store::queue::Lane;

/// Prefix of the lanes of invocations.
const INVOKE: &str = "invoke/";
/// Prefix of the lanes of deliveries; an ARN follows.
const DELIVER: &str = "deliver/";
/// Requests to one destination at a time.
const DELIVERIES_MAX: u32 = 8;

/// Purpose of a lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Events for a function, version or alias.
    Invoke(Target),
    /// Records for a destination, and events for a dead-letter queue, by its ARN.
    Deliver(Arc<str>),
}

impl Purpose {
    /// Purpose of a lane of this name. `None` for lanes of another release.
    pub(super) fn of(lane: &Lane) -> Option<Self> {
        if let Some(arn) = lane.strip_prefix(DELIVER) {
            return Some(Self::Deliver(arn.into()));
        }
        let text = lane.strip_prefix(INVOKE)?;
        let (name, qualifier) = match text.split_once(':') {
            Some((name, qualifier)) => (name, Some(Qualifier::parse(qualifier).ok()?)),
            None => (text, None),
        };
        let name = FunctionName::parse(name).ok()?;
        Some(Self::Invoke(Target { name, qualifier }))
    }
}

/// Lane of a destination.
pub(super) fn deliver(arn: &str) -> Lane {
    format!("{DELIVER}{arn}").into()
}

/// Name of the function of a lane of invocations.
pub(super) fn function(lane: &Lane) -> Option<&str> {
    lane.strip_prefix(INVOKE)?.split(':').next()
}

/// Items of a lane in work at once.
pub(super) fn concurrency_max(lane: &Lane) -> u32 {
    match lane.starts_with(DELIVER) {
        true => DELIVERIES_MAX,
        false => u32::MAX,
    }
}

/// Lane of a target's events.
pub(super) fn invoke(target: &Target) -> Lane {
    match &target.qualifier {
        Some(qualifier) => format!("{INVOKE}{}:{qualifier}", target.name).into(),
        None => format!("{INVOKE}{}", target.name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purpose_round_trips_through_name() {
        let name = FunctionName::parse("f").unwrap();
        for qualifier in [None, Some("$LATEST"), Some("7"), Some("live")] {
            let qualifier = qualifier.map(|it| Qualifier::parse(it).unwrap());
            let name = name.clone();
            let target = Target { name, qualifier };
            let lane = invoke(&target);
            assert_eq!(Purpose::of(&lane), Some(Purpose::Invoke(target)));
        }
        let arn = "arn:aws:sqs:us-east-1:000000000000:q";
        assert_eq!(
            Purpose::of(&deliver(arn)),
            Some(Purpose::Deliver(arn.into()))
        );
        for unknown in ["", "invoke/", "invoke/f:", "invoke/a b", "other/f"] {
            assert_eq!(Purpose::of(&unknown.into()), None, "{unknown}");
        }
    }
}
