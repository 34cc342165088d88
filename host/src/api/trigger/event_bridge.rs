//! Events of EventBridge: an API destination posts the event as it is, which is what a function gets, too.

use super::{Delivery, Refused};
use crate::config::Trigger;
use crate::payload::Document;

/// Members that every event of EventBridge has.
const MEMBERS: [&str; 3] = ["source", "detail-type", "detail"];

/// Reads an event. It does not name its rule: that of the trigger counts.
pub(super) fn read(event: Document, trigger: &Trigger) -> Result<Delivery, Refused> {
    if let Some(missing) = MEMBERS.iter().find(|it| event.root().member(it).is_none()) {
        let text = format!("the body is not an event of EventBridge: {missing:?} is missing");
        return Err(Refused::malformed(text));
    }
    let rule = trigger.source_arns.first();
    let source_arn = rule.cloned().unwrap_or_default();
    Ok(Delivery { event, source_arn })
}
