//! Revision ids, for optimistic concurrency of callers.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::names::RequestId;

/// Id of one state of a resource; every change creates a new one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionId(String);

impl RevisionId {
    /// New unique id.
    pub fn new(clock: &Clock) -> Self {
        Self(RequestId::random(clock).as_str().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the expected revision of a function or an alias.
    pub(super) fn expect(&self, wanted: Option<&str>) -> Result<(), RevisionMismatch> {
        match wanted {
            Some(wanted) if wanted != self.0 => Err(RevisionMismatch {
                reader: "GetFunction/GetAlias",
            }),
            _ => Ok(()),
        }
    }
}

/// `RevisionId` mismatch.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "The Revision Id provided does not match the latest Revision Id. Call the {reader} API to retrieve the \
     latest Revision Id"
)]
pub struct RevisionMismatch {
    /// Operation that shows the latest revision.
    pub(super) reader: &'static str,
}
