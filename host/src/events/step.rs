//! Next step after an attempt.

use std::time::Duration;

use bytes::Bytes;

use super::lanes::Scope;
use crate::store::queue::NewItem;

/// Next step of an item.
#[derive(Debug)]
pub(super) enum Step {
    /// The item is over, and others follow from it.
    End(Vec<NewItem>),
    /// It waits for another attempt, with this head.
    Delay(Duration, Bytes),
    /// The same, and its lane pauses.
    Postpone(Duration, Bytes),
    /// It was refused: throttled, or the host failed. The attempt does not count.
    Refused(Scope),
}
