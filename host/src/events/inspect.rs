//! Queues as operators see them: their events, and the deletion of all of them.

use serde::Serialize;

use super::head::Head;
use super::lane::Purpose;
use super::{Error, Events};
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::names::FunctionName;
use crate::store::queue::{Item, ItemBody, Lane};

/// Items deleted in one commit: few enough for others not to wait for it.
const PURGE_MAX: usize = 1_000;
/// Characters of a payload that are shown.
const PAYLOAD_CHARS_MAX: usize = 1_024;

/// A queued event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct QueuedEvent {
    pub request_id: String,
    pub function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// Times in milliseconds since the Unix epoch.
    pub accepted: Timestamp,
    pub due: Timestamp,
    /// Attempts that ended in a function error.
    pub attempts: u32,
    pub payload_bytes: u64,
    /// Beginning of the payload, if it is stored with the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

impl Events {
    /// Queued events of a function, or of one qualifier of it; those that are due first come first in each.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, target: &Target, limit: usize) -> Result<Vec<QueuedEvent>, Error> {
        let mut found = Vec::new();
        for lane in self.lanes_of(target) {
            let items = self.0.queue.list(&lane, None, limit).await?;
            found.extend(items.iter().filter_map(queued));
        }
        found.sort_by_key(|it| it.due);
        found.truncate(limit);
        Ok(found)
    }

    /// Deletes the events of a function, or of one qualifier of it, that are queued now, those in work included: these
    /// end, and are not tried again. Events that come meanwhile stay. Returns the number.
    ///
    /// # Errors
    /// If the store fails; some may be deleted by then.
    pub async fn purge(&self, target: &Target) -> Result<u64, Error> {
        let mut all = 0;
        let last = self.0.queue.last().await?;
        for lane in self.lanes_of(target) {
            loop {
                let deleted = self.0.queue.purge(&lane, last, PURGE_MAX).await?;
                let name = target.name.as_str();
                self.0.metrics.asynchronous(name).dropped.add(deleted);
                all += deleted;
                if deleted == 0 {
                    break;
                }
            }
        }
        Ok(all)
    }

    fn lanes_of(&self, target: &Target) -> Vec<Lane> {
        let is_own = |lane: &Lane| match Purpose::of(lane) {
            Some(Purpose::Invoke(own)) => {
                own.name == target.name
                    && (target.qualifier.is_none() || own.qualifier == target.qualifier)
            }
            Some(Purpose::Deliver(_)) | None => false,
        };
        let all = self.0.queue.depths().into_iter();
        all.map(|(lane, _)| lane).filter(is_own).collect()
    }
}

fn queued(item: &Item) -> Option<QueuedEvent> {
    let Some(Purpose::Invoke(Target { name, qualifier })) = Purpose::of(&item.lane) else {
        return None;
    };
    let head = Head::decode(&item.head).ok()?;
    let (payload_bytes, payload) = match &item.body {
        ItemBody::Inline(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let shown = text.chars().take(PAYLOAD_CHARS_MAX).collect();
            (bytes.len() as u64, Some(shown))
        }
        ItemBody::File { size_bytes, .. } => (*size_bytes, None),
    };
    Some(QueuedEvent {
        request_id: head.id.to_string(),
        function: FunctionName::as_str(&name).to_owned(),
        qualifier: qualifier.map(|it| it.to_string()),
        accepted: head.accepted,
        due: item.due,
        attempts: head.attempts,
        payload_bytes,
        payload,
    })
}
