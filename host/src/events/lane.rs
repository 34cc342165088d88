//! Names of lanes: one lane for each function, version or alias that is invoked, so that no target waits for
//! another.

use crate::invoke::Target;
use crate::names::{FunctionName, Qualifier};
use crate::store::queue::Lane;

/// Prefix of the lanes of invocations.
const INVOKE: &str = "invoke/";

/// Purpose of a lane.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Events for a function, version or alias.
    Invoke(Target),
}

impl Purpose {
    /// Purpose of a lane of this name. `None` for lanes of another release.
    pub(super) fn of(lane: &Lane) -> Option<Self> {
        let text = lane.strip_prefix(INVOKE)?;
        let (name, qualifier) = match text.split_once(':') {
            Some((name, qualifier)) => (name, Some(Qualifier::parse(qualifier).ok()?)),
            None => (text, None),
        };
        let name = FunctionName::parse(name).ok()?;
        Some(Self::Invoke(Target { name, qualifier }))
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
        for unknown in ["", "invoke/", "invoke/f:", "invoke/a b", "other/f"] {
            assert_eq!(Purpose::of(&unknown.into()), None, "{unknown}");
        }
    }
}
