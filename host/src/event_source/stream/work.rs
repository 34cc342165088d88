//! Work on one batch: its function is invoked until all records are done or given up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::buffer::Numbered;
use super::retry::{Discarded, Work};
use super::window::{Last, Window};
use super::{Poller, failure};
use crate::event_source::Stop;
use crate::event_source::batch::{Invoked, Outcome};

/// Pause after a record for a destination could not be queued, and between last invocations of a window.
const PAUSE: Duration = Duration::from_secs(1);

/// Progress of a batch.
#[derive(Debug)]
pub(super) struct Report {
    /// Numbers of records that are done.
    pub(super) done: Vec<u64>,
    /// The window after them, if it is open.
    pub(super) window: Option<Window>,
}

/// Part of a shard that is worked on.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) poller: Arc<Poller>,
    pub(super) shard: Arc<str>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) stop: Stop,
}

impl Lane {
    /// Works on a batch, to its end or until the poller stops.
    pub(super) async fn work(mut self, batch: Numbered, mut window: Option<Window>) {
        let mut work = Work::new(batch, self.poller.limits);
        let mut last: Option<Invoked> = None;
        loop {
            if let Some(old) = work.expire(self.poller.shared.clock.now()) {
                if !self.discard(&old, last.as_ref()).await {
                    return;
                }
                self.report(numbers(&old.records), window.as_ref()).await;
                continue;
            }
            let Some(records) = work.front() else { return };
            let invoked = self.invoke(records, window.as_ref()).await;
            let after = work.after(&invoked.outcome);
            let mut done = numbers(&after.done);
            if let Some(window) = window.as_mut().filter(|_| !done.is_empty()) {
                window.hand_on(&invoked.response);
            }
            let invoked = &*last.insert(invoked);
            if let Some(given_up) = after.discarded {
                if !self.discard(&given_up, Some(invoked)).await {
                    self.report(done, window.as_ref()).await;
                    return;
                }
                done.extend(numbers(&given_up.records));
            }
            self.report(done, window.as_ref()).await;
            if work.front().is_none() {
                return;
            }
            let pause = after.pause.unwrap_or_default();
            if !self.pause(pause).await {
                return;
            }
        }
    }

    /// Invokes a function for the last time in a window. A failure is repeated as that of a batch is.
    pub(super) async fn end_window(mut self, window: Window, last: Last) {
        let retries_max = self.poller.limits.retries_max;
        let mut attempts = 0;
        loop {
            let mut event = json!({"Records": []});
            let arn = &self.poller.source.origin.arn;
            window.describe(&mut event, &self.shard, arn, last);
            let outcome = self.send(event, None).await.outcome;
            match outcome {
                Outcome::Done { .. } => break,
                Outcome::Failed => attempts += 1,
                Outcome::Refused => {}
            }
            if retries_max.is_some_and(|it| attempts > it) {
                tracing::warn!(
                    mapping = %self.poller.id, shard = %self.shard, start = window.start(),
                    "a tumbling window was given up: its last invocation failed"
                );
                break;
            }
            if !self.pause(PAUSE).await {
                return;
            }
        }
        self.report(Vec::new(), None).await;
    }

    async fn invoke(&self, records: &Numbered, window: Option<&Window>) -> Invoked {
        let event = self.event(records, window);
        let sequences = || records.iter().map(|(_, it)| it.sequence.to_string());
        let identifiers = self.poller.reports_failures.then(|| sequences().collect());
        self.send(event, identifiers).await
    }

    fn event(&self, records: &Numbered, window: Option<&Window>) -> Value {
        let values = records.iter().map(|(_, it)| it.value.clone());
        let mut event = json!({"Records": values.collect::<Vec<_>>()});
        if let Some(window) = window {
            let arn = &self.poller.source.origin.arn;
            window.describe(&mut event, &self.shard, arn, Last::No);
        }
        event
    }

    async fn send(&self, event: Value, identifiers: Option<HashSet<String>>) -> Invoked {
        let target = &self.poller.mapping.target;
        let invoking = self.poller.shared.invoke(target, event, None, identifiers);
        let invoked = invoking.await;
        self.poller.note(match &invoked.outcome {
            Outcome::Done { .. } => "OK",
            Outcome::Failed => "PROBLEM: Function call failed",
            Outcome::Refused => "PROBLEM: Function call was throttled or could not be made",
        });
        invoked
    }

    /// Gives records up: their description goes to the on-failure destination. False if the poller stops before.
    async fn discard(&mut self, given_up: &Discarded, last: Option<&Invoked>) -> bool {
        tracing::warn!(
            mapping = %self.poller.id, shard = %self.shard, records = given_up.records.len(),
            condition = given_up.condition.as_str(), "records of a stream were given up"
        );
        let destinations = self.poller.mapping.settings.destinations.as_ref();
        let Some(destination) = destinations.and_then(|it| it.failure()) else {
            return true;
        };
        let payload = || Bytes::from(self.event(&given_up.records, None).to_string());
        let record = failure::record(
            &self.poller,
            &self.shard,
            (given_up, last),
            destination,
            payload,
        );
        while let Err(error) = self.poller.shared.events.deliver(record.clone()).await {
            tracing::error!(%error, mapping = %self.poller.id, "the record of a failed batch could not be queued; that is repeated");
            if !self.pause(PAUSE).await {
                return false;
            }
        }
        true
    }

    async fn report(&self, done: Vec<u64>, window: Option<&Window>) {
        let window = window.cloned();
        // The shard's reading has ended: it does not need it.
        let _ = self.reports.send(Report { done, window }).await;
    }

    /// False if the poller stops.
    async fn pause(&mut self, pause: Duration) -> bool {
        let sleep = self.poller.shared.clock.sleep(pause);
        self.stop.unless(sleep).await.is_some()
    }
}

fn numbers(records: &Numbered) -> Vec<u64> {
    records.iter().map(|(number, _)| *number).collect()
}
