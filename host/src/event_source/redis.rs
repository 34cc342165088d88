//! Streams of Redis, a source that AWS does not have. Each mapping has a consumer group, which keeps its position: an entry
//! is acknowledged once its function succeeded with it, no filter takes it, or it was given up. Any other comes again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::batch::{Invoked, Outcome};
use super::filter::Filters;
use super::problems::Problems;
use super::{Shared, Stop};
use crate::clock::Timestamp;
use crate::invoke::snapshot::event_source::Mapping;
use crate::invoke::snapshot::event_source::settings::{Limit, Position};
use crate::outbound::redis::{Error, Redis};

mod entry;
mod failure;
mod group;

use entry::Entry;
use group::Group;

/// Batches in work without `MaximumConcurrency`: one, so that entries are worked on in their order.
const CONCURRENCY_DEFAULT: u32 = 1;
const BATCH_SIZE_DEFAULT: u32 = 100;
/// Payload of one invocation, as of AWS's sources.
const BATCH_BYTES_MAX: usize = 6 << 20;
/// Pauses after a command that failed, and before an entry that failed is tried again.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// Interval at which a batch in work is held against other consumers of the group.
const HOLD_PERIOD: Duration = Duration::from_secs(5);

/// Broker and key of a stream's ARN: `arn:aws-lamina:redis:<region>:<account>:<broker>/<key>`.
pub(super) fn parts(arn: &str) -> Option<(&str, &str)> {
    arn.splitn(6, ':').nth(5)?.split_once('/')
}

/// A poller of one stream.
#[derive(Debug)]
struct Stream {
    shared: Arc<Shared>,
    id: Arc<str>,
    mapping: Arc<Mapping>,
    arn: String,
    key: String,
    region: String,
    redis: Redis,
    filters: Filters,
    batch_size: usize,
    window: Duration,
    problems: Problems,
}

/// Starts polling, until `stop`; first ends what a former poller of the mapping has in work.
pub(super) fn start(
    shared: &Arc<Shared>,
    (id, mapping): (&Arc<str>, &Arc<Mapping>),
    (tasks, former): (&TaskTracker, Option<TaskTracker>),
    mut stop: Stop,
) {
    let stream = match Stream::new(shared, id, mapping) {
        Ok(stream) => Arc::new(stream),
        Err(problem) => {
            tracing::warn!(mapping = %id, problem, "a stream cannot be polled");
            shared
                .control
                .note_processed(id, &format!("PROBLEM: {problem}"));
            return;
        }
    };
    let own = tasks.clone();
    tasks.spawn(async move {
        if let Some(former) = former
            && stop.unless(former.wait()).await.is_none()
        {
            return;
        }
        stream.poll(own, stop).await;
    });
}

/// Deletes the consumer group of a mapping that is no more.
pub(super) async fn forget(shared: &Arc<Shared>, id: &Arc<str>, mapping: &Arc<Mapping>) {
    let Ok(stream) = Stream::new(shared, id, mapping) else {
        return;
    };
    let forgotten = async { stream.group().await?.delete().await };
    if let Err(error) = forgotten.await {
        tracing::warn!(%error, source = stream.arn, "the consumer group of a deleted mapping could not be deleted");
    }
}

impl Stream {
    fn new(shared: &Arc<Shared>, id: &Arc<str>, mapping: &Arc<Mapping>) -> Result<Self, String> {
        let arn = mapping.source.arn.clone().unwrap_or_default();
        let (broker, key) = parts(&arn).ok_or("the ARN does not name a broker and a stream")?;
        let redis = shared.brokers.get(broker).cloned();
        let redis = redis.ok_or_else(|| {
            format!("this host has no broker {broker}: see [[brokers]] in lamina.toml")
        })?;
        let settings = &mapping.settings;
        let batch_size = settings.batch_size.unwrap_or(BATCH_SIZE_DEFAULT);
        let window = settings.batching_window_seconds.unwrap_or_default();
        Ok(Self {
            key: key.to_owned(),
            region: arn.split(':').nth(3).unwrap_or_default().to_owned(),
            redis,
            filters: Filters::new(settings.filters.as_deref(), mapping.source.kind),
            batch_size: usize::try_from(batch_size).expect("a usize has 32 bits or more"),
            window: Duration::from_secs(window.into()),
            problems: Problems::default(),
            shared: Arc::clone(shared),
            id: Arc::clone(id),
            mapping: Arc::clone(mapping),
            arn,
        })
    }

    async fn group(&self) -> Result<Group, Error> {
        Group::connect(&self.redis, &self.key, &self.id).await
    }

    /// Identifier before the first entry that a new group reads.
    fn start(&self) -> String {
        let source = &self.mapping.source;
        match (source.position, source.position_timestamp) {
            (Some(Position::Latest), _) => "$".to_owned(),
            (Some(Position::AtTimestamp), Some(at)) => {
                format!("{}-{}", at.millis().saturating_sub(1), u64::MAX)
            }
            _ => "0".to_owned(),
        }
    }

    /// Reads for ever; a connection that breaks is replaced.
    async fn poll(self: Arc<Self>, tasks: TaskTracker, mut stop: Stop) {
        let chosen = self.mapping.settings.scaling.as_ref();
        let concurrency = chosen.and_then(|it| it.concurrency_max);
        let permits = concurrency.unwrap_or(CONCURRENCY_DEFAULT);
        let permits = usize::try_from(permits).expect("a usize has 32 bits or more");
        let permits = Arc::new(Semaphore::new(permits));
        let mut pause = PAUSE_FIRST;
        // Nothing of this mapping is in work, so that entries without an acknowledgement are of a host that crashed.
        let mut is_recovered = false;
        loop {
            let reading = Arc::clone(&self).read(&tasks, &permits, &mut is_recovered, &mut stop);
            let begun = self.shared.clock.instant();
            let Err(error) = reading.await else { return };
            if self.shared.clock.instant().saturating_duration_since(begun) > PAUSE_LAST {
                pause = PAUSE_FIRST;
            }
            let text = "a stream could not be read; that is repeated";
            self.problems.log(&self.arn, &error, text);
            let problem = format!("PROBLEM: {error}");
            self.shared.control.note_processed(&self.id, &problem);
            if stop.unless(self.shared.clock.sleep(pause)).await.is_none() {
                return;
            }
            pause = PAUSE_LAST.min(pause * 2);
        }
    }

    /// Reads until `stop`, or until a command fails.
    async fn read(
        self: Arc<Self>,
        tasks: &TaskTracker,
        permits: &Arc<Semaphore>,
        is_recovered: &mut bool,
        stop: &mut Stop,
    ) -> Result<(), Error> {
        let Some(connected) = stop.unless(self.group()).await else {
            return Ok(());
        };
        let mut group = connected?;
        group.create(&self.start()).await?;
        if !*is_recovered {
            group.recover().await?;
            *is_recovered = true;
        }
        loop {
            let permit = stop.unless(Arc::clone(permits).acquire_owned()).await;
            let Some(Ok(permit)) = permit else {
                return Ok(());
            };
            let collecting = self.collect(&mut group);
            let Some(collected) = stop.unless(collecting).await else {
                return Ok(());
            };
            let entries = collected?;
            self.problems.clear();
            if !entries.is_empty() {
                let stream = Arc::clone(&self);
                // Entries that were read are worked on even if the poller stops.
                tasks.spawn(async move { stream.work(entries, permit).await });
            }
        }
    }

    /// Entries of one batch: failed ones that are due, or new ones, up to the end of the batching window.
    async fn collect(&self, group: &mut Group) -> Result<Vec<Entry>, Error> {
        let due = group.claim(self.batch_size).await?;
        if !due.is_empty() {
            return Ok(due);
        }
        let mut entries = group.read(self.batch_size).await?;
        if entries.is_empty() {
            return Ok(entries);
        }
        let started = self.shared.clock.instant();
        let is_full = |entries: &[Entry]| {
            entries.len() >= self.batch_size
                || entries.iter().map(|it| it.bytes).sum::<usize>() >= BATCH_BYTES_MAX / 2
        };
        while !is_full(&entries)
            && self
                .shared
                .clock
                .instant()
                .saturating_duration_since(started)
                < self.window
        {
            entries.extend(group.read(self.batch_size - entries.len()).await?);
        }
        Ok(entries)
    }

    async fn work(&self, entries: Vec<Entry>, permit: OwnedSemaphorePermit) {
        let mut group = match self.group().await {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(%error, source = self.arn, "entries that were read come again");
                return;
            }
        };
        for batch in batches(entries) {
            if let Err(error) = self.finish(&mut group, batch).await {
                tracing::warn!(%error, source = self.arn, "entries could not be acknowledged; they come again");
            }
        }
        drop(permit);
    }

    async fn finish(&self, group: &mut Group, batch: Vec<Entry>) -> Result<(), Error> {
        let now = self.shared.clock.now();
        let (old, batch): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|entry| self.is_old(entry, now));
        if !old.is_empty() {
            self.give_up(group, failure::Condition::RecordAgeExceeded, &old, None)
                .await?;
        }
        let records = batch.into_iter().map(|entry| {
            let record = entry.record(&self.arn, &self.region, &self.key);
            (entry, record)
        });
        let (wanted, filtered): (Vec<_>, Vec<_>) =
            records.partition(|(_, record)| self.filters.pass(record));
        group
            .acknowledge(filtered.iter().map(|(entry, _)| entry))
            .await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let (entries, records): (Vec<Entry>, Vec<_>) = wanted.into_iter().unzip();
        let reports = self.mapping.settings.report_item_failures;
        let identifiers: Option<HashSet<String>> = reports
            .unwrap_or_default()
            .then(|| entries.iter().map(|it| it.id.clone()).collect());
        let event = json!({"Records": records});
        let invoking = self
            .shared
            .invoke(&self.mapping.target, event, None, identifiers);
        let invoked = self.holding(group, &entries, invoking).await?;
        self.settle(group, entries, &invoked).await
    }

    /// Runs an invocation, and meanwhile holds its entries against other consumers.
    async fn holding(
        &self,
        group: &mut Group,
        entries: &[Entry],
        invoking: impl Future<Output = Invoked>,
    ) -> Result<Invoked, Error> {
        let mut invoking = std::pin::pin!(invoking);
        loop {
            tokio::select! {
                invoked = &mut invoking => return Ok(invoked),
                () = self.shared.clock.sleep(HOLD_PERIOD) => {}
            }
            if let Err(error) = group.hold(entries, Duration::ZERO, false).await {
                tracing::warn!(%error, source = self.arn, "entries in work could not be held");
            }
        }
    }

    /// Acknowledges entries that succeeded, gives up those without a retry, and puts off the others.
    async fn settle(
        &self,
        group: &mut Group,
        entries: Vec<Entry>,
        invoked: &Invoked,
    ) -> Result<(), Error> {
        let (failed, is_counted) = match &invoked.outcome {
            Outcome::Done { failed } => {
                let (failed, done): (Vec<_>, Vec<_>) =
                    entries.into_iter().partition(|it| failed.contains(&it.id));
                group.acknowledge(done.iter()).await?;
                (failed, true)
            }
            Outcome::Failed => (entries, true),
            // A throttled batch is no attempt.
            Outcome::Refused => (entries, false),
        };
        let result = match failed.is_empty() {
            true => "OK",
            false => "PROBLEM: Function call failed",
        };
        self.shared.control.note_processed(&self.id, result);
        if !is_counted {
            return group.hold(&failed, PAUSE_FIRST, true).await;
        }
        let (over, again): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|entry| self.is_last(entry));
        if !over.is_empty() {
            let condition = failure::Condition::RetryAttemptsExhausted;
            self.give_up(group, condition, &over, Some(invoked)).await?;
        }
        // Entries that failed equally often are tried again together.
        for entry in again {
            let factor = 1_u32 << (entry.attempts.saturating_sub(1)).min(6);
            let pause = PAUSE_LAST.min(PAUSE_FIRST * factor);
            group
                .hold(std::slice::from_ref(&entry), pause, false)
                .await?;
        }
        Ok(())
    }

    fn is_old(&self, entry: &Entry, now: Timestamp) -> bool {
        match self.mapping.settings.record_age_max_seconds {
            Some(Limit::Of(seconds)) => {
                entry.added.after(Duration::from_secs(seconds.into())) < now
            }
            Some(Limit::Forever) | None => false,
        }
    }

    fn is_last(&self, entry: &Entry) -> bool {
        match self.mapping.settings.retry_attempts_max {
            Some(Limit::Of(retries)) => entry.attempts > retries,
            Some(Limit::Forever) | None => false,
        }
    }

    /// Queues the record of entries that are given up for the on-failure destination, and acknowledges them.
    async fn give_up(
        &self,
        group: &mut Group,
        condition: failure::Condition,
        entries: &[Entry],
        last: Option<&Invoked>,
    ) -> Result<(), Error> {
        let destinations = self.mapping.settings.destinations.as_ref();
        if let Some(destination) = destinations.and_then(|it| it.failure()) {
            let batch = failure::record(self, condition, entries, last, destination);
            if let Err(error) = self.shared.events.deliver(batch).await {
                tracing::error!(%error, source = self.arn, "the record of entries could not be queued; they come again");
                return Ok(());
            }
        }
        group.acknowledge(entries.iter()).await
    }
}

/// Entries in their order, split so that each part fits into one event.
fn batches(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut batches: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        if batches.is_empty() || bytes + entry.bytes > BATCH_BYTES_MAX / 2 {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += entry.bytes;
        batches.last_mut().expect("one was pushed").push(entry);
    }
    batches
}
