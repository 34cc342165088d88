//! Head of a queued event: all of the invocation but its payload, and the attempts so far.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::invoke::Invoke;
use crate::names::RequestId;

/// State of a queued event, as JSON in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Request id, the same in all attempts.
    pub(super) id: RequestId,
    /// Time at which the event was accepted.
    pub(super) accepted: Timestamp,
    /// Attempts that ended in a function error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempts: u32,
    /// Refusals of the event for its own sake since the last attempt: its payload could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) refusals: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant_id: Option<String>,
}

impl Head {
    pub(super) fn new(invoke: &Invoke, accepted: Timestamp) -> Self {
        Self {
            id: invoke.request_id,
            accepted,
            attempts: 0,
            refusals: 0,
            client_context: invoke.client_context.clone(),
            trace_id: invoke.trace_id.clone(),
            tenant_id: invoke.tenant_id.clone(),
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("texts and numbers can be written as JSON")
            .into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
