//! Revision ids: what a resource's readers send back to say which state they mean to change.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::names::RequestId;

/// Names one state of a resource. Changed by every change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionId(String);

impl RevisionId {
    /// A name that no other state has.
    pub fn new(clock: &Clock) -> Self {
        Self(RequestId::random(clock).as_str().to_owned())
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses a change of a function or an alias that is meant for another state.
    pub(super) fn expect(&self, wanted: Option<&str>) -> Result<(), RevisionMismatch> {
        match wanted {
            Some(wanted) if wanted != self.0 => Err(RevisionMismatch {
                reader: "GetFunction/GetAlias",
            }),
            _ => Ok(()),
        }
    }
}

/// The caller means another state of a resource than the newest one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "The Revision Id provided does not match the latest Revision Id. Call the {reader} API to retrieve the \
     latest Revision Id"
)]
pub struct RevisionMismatch {
    /// The operation that shows the newest one.
    pub(super) reader: &'static str,
}
