//! Streams of Kinesis and DynamoDB. Each shard is read from its checkpoint on, children after their parents; what is
//! tried again, split or given up follows the mapping.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::task::TaskTracker;

use super::filter::Filters;
use super::problems::Problems;
use super::{Shared, Stop};
use crate::invoke::snapshot::event_source::settings::{Limit, Position as Chosen};
use crate::invoke::snapshot::event_source::{self, Mapping};
use crate::outbound::aws;

mod buffer;
pub(super) mod checkpoint;
mod failure;
mod lineage;
mod progress;
mod reading;
mod record;
mod retry;
mod source;
mod window;
mod work;

use buffer::Rules;
use checkpoint::{Checkpoints, Position, Saved};
use lineage::Shard;
use reading::Reading;
use record::Origin;
use retry::Limits;
use source::{Kind, Source, Start};

/// Payload of one batch, as in AWS.
const BATCH_BYTES_MAX: usize = 6 << 20;
const BATCH_SIZE_DEFAULT: u32 = 100;
/// Records of one request at least: the services limit requests.
const READ_MIN: usize = 100;
/// Period of the list of shards.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(10);
/// Pauses after a list of shards that failed, or a shard whose reading did.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// A mapping of a stream that is polled.
#[derive(Debug)]
struct Poller {
    shared: Arc<Shared>,
    id: Arc<str>,
    mapping: Arc<Mapping>,
    source: Source,
    filters: Filters,
    rules: Rules,
    limits: Limits,
    /// `ParallelizationFactor`.
    factor: usize,
    /// Tumbling window; 0 is none.
    window_seconds: u32,
    reports_failures: bool,
    /// Records of one request, and in memory.
    read_max: usize,
    problems: Problems,
    checkpoints: Checkpoints,
}

/// Shards of a mapping, and the readings of some.
#[derive(Debug, Default)]
struct Shards {
    positions: HashMap<Arc<str>, Saved>,
    /// Shards that the mapping begins with now.
    new: HashSet<Arc<str>>,
    readings: JoinSet<Result<(), reading::Error>>,
    running: HashMap<Id, (Arc<str>, Arc<AtomicBool>)>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl Shards {
    fn is_running(&self, shard: &Arc<str>) -> bool {
        self.running.values().any(|(id, _)| id == shard)
    }
}

impl Kind {
    /// Time between requests for records: what the services allow, and what AWS keeps.
    fn period(self, is_empty: bool) -> Duration {
        match (self, is_empty) {
            (Self::Kinesis, true) => Duration::from_secs(1),
            (Self::Kinesis, false) => Duration::from_millis(200),
            (Self::DynamoDb, _) => Duration::from_millis(250),
        }
    }
}

/// Starts polling, until `stop`, once the former poller of the mapping has ended.
pub(super) fn start(
    shared: &Arc<Shared>,
    (id, mapping): (&Arc<str>, &Arc<Mapping>),
    (tasks, former): (&TaskTracker, Option<TaskTracker>),
    stop: Stop,
) {
    let Some(poller) = Poller::new(shared, id, mapping) else {
        return;
    };
    tasks.spawn(async move {
        if let Some(former) = former {
            former.wait().await;
        }
        Arc::new(poller).run(stop).await;
    });
}

impl Poller {
    fn new(shared: &Arc<Shared>, id: &Arc<str>, mapping: &Arc<Mapping>) -> Option<Self> {
        let arn = mapping.source.arn.clone()?;
        let region = arn.split(':').nth(3)?.to_owned();
        let snapshot = shared.invoker.snapshot();
        let function = snapshot.function(&mapping.target.name);
        let role = function.map(|it| Arc::clone(&it.role));
        let settings = &mapping.settings;
        let kind = match mapping.source.kind {
            event_source::Kind::Kinesis => Kind::Kinesis,
            _ => Kind::DynamoDb,
        };
        let count = |number: u32| usize::try_from(number).expect("a usize has 32 bits or more");
        let size_max = count(settings.batch_size.unwrap_or(BATCH_SIZE_DEFAULT));
        let window_seconds = settings.tumbling_window_seconds.unwrap_or_default();
        let factor = match window_seconds {
            0 => count(settings.parallelization_factor.unwrap_or(1)).max(1),
            // Invocations of a window follow one another.
            _ => 1,
        };
        let limit = |limit: Option<Limit>| match limit {
            Some(Limit::Of(number)) => Some(number),
            Some(Limit::Forever) | None => None,
        };
        let age_max = limit(settings.record_age_max_seconds);
        let window = settings.batching_window_seconds.unwrap_or_default();
        Some(Self {
            source: Source {
                aws: shared.aws.clone(),
                kind,
                origin: Origin {
                    arn,
                    region,
                    role: role.unwrap_or_default(),
                },
            },
            filters: Filters::new(settings.filters.as_deref(), mapping.source.kind),
            rules: Rules {
                size_max,
                bytes_max: BATCH_BYTES_MAX,
                window: Duration::from_secs(window.into()),
            },
            limits: Limits {
                retries_max: limit(settings.retry_attempts_max),
                age_max: age_max.map(|it| Duration::from_secs(it.into())),
                bisects: settings.bisect_on_error.unwrap_or_default(),
            },
            factor,
            window_seconds,
            reports_failures: settings.report_item_failures.unwrap_or_default(),
            read_max: (size_max * factor).clamp(READ_MIN, kind.records_max()),
            problems: Problems::default(),
            checkpoints: Checkpoints {
                records: Arc::clone(&shared.records),
                mapping: Arc::clone(id),
            },
            shared: Arc::clone(shared),
            id: Arc::clone(id),
            mapping: Arc::clone(mapping),
        })
    }

    /// Notes the result of the last batch, or what prevents one.
    fn note(&self, result: &str) {
        self.shared.control.note_processed(&self.id, result);
    }

    /// Position of shards that have none: `LATEST` is that of the shards which the mapping begins with.
    fn start(&self) -> Start {
        let source = &self.mapping.source;
        match (source.position, source.position_timestamp) {
            (Some(Chosen::AtTimestamp), Some(at)) => Start::At(at),
            _ => Start::TrimHorizon,
        }
    }

    async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut shards = Shards::default();
        let mut pause = None;
        while !stop.is_stopped() {
            let wait = match self.discover(&mut shards, &stop).await {
                Ok(()) => {
                    pause = None;
                    self.problems.clear();
                    DISCOVERY_PERIOD
                }
                Err(error) => {
                    // Without services of AWS, nothing is expected to be processed.
                    if !matches!(error, Error::Aws(aws::Error::NotConfigured)) {
                        self.note(&format!("PROBLEM: {error}"));
                    }
                    let text = "the shards of a stream could not be read; that is repeated";
                    self.problems.log(&self.source.origin.arn, &error, text);
                    let next = pause.map_or(PAUSE_FIRST, |it: Duration| PAUSE_LAST.min(it * 2));
                    pause = Some(next);
                    next
                }
            };
            let clock = &self.shared.clock;
            tokio::select! {
                () = stop.stopped() => {}
                () = clock.sleep(wait) => {}
                Some(ended) = shards.readings.join_next_with_id() => {
                    if !self.end(&mut shards, ended) {
                        stop.unless(clock.sleep(PAUSE_FIRST)).await;
                    }
                }
            }
        }
        // Batches in work end.
        while shards.readings.join_next().await.is_some() {}
    }

    /// Lists the shards, and starts to read those that can be read.
    async fn discover(self: &Arc<Self>, shards: &mut Shards, stop: &Stop) -> Result<(), Error> {
        let listed = self.source.shards().await?;
        shards.positions = match self.checkpoints.load().await? {
            Some(positions) => positions,
            None => self.begin(&listed, &mut shards.new).await?,
        };
        self.prune(shards, &listed).await?;
        for shard in &listed {
            let running = shards.running.values().find(|(id, _)| *id == shard.id);
            if let Some((_, is_closed)) = running {
                is_closed.store(shard.is_closed, Ordering::Relaxed);
            }
        }
        let finished = shards.positions.iter();
        let finished = finished.filter(|(_, it)| it.position.is_finished);
        let finished = finished.map(|(id, _)| Arc::clone(id)).collect();
        for shard in lineage::readable(&listed, &finished) {
            if shards.is_running(&shard.id) {
                continue;
            }
            let saved = shards.positions.get(&shard.id).cloned();
            let is_new = shards.new.remove(&shard.id);
            let is_closed = Arc::new(AtomicBool::new(shard.is_closed));
            let reading = Reading::new(
                self,
                Arc::clone(&shard.id),
                Arc::clone(&is_closed),
                (saved.unwrap_or_default(), is_new),
                stop.clone(),
            );
            let task = shards.readings.spawn(reading.run());
            let running = (Arc::clone(&shard.id), is_closed);
            shards.running.insert(task.id(), running);
        }
        Ok(())
    }

    /// Notes where the mapping begins: at the latest, records before now are none of its own.
    async fn begin(
        &self,
        listed: &[Shard],
        new: &mut HashSet<Arc<str>>,
    ) -> Result<HashMap<Arc<str>, Saved>, Error> {
        let mut positions = Vec::new();
        if self.mapping.source.position == Some(Chosen::Latest) {
            let now = self.shared.clock.now();
            positions.extend(listed.iter().map(|shard| {
                let position = Position {
                    since: (!shard.is_closed).then_some(now),
                    is_finished: shard.is_closed,
                    ..Position::default()
                };
                (shard, position)
            }));
        }
        self.checkpoints.begin(&positions).await?;
        new.extend(listed.iter().map(|shard| Arc::clone(&shard.id)));
        Ok(self.checkpoints.load().await?.unwrap_or_default())
    }

    /// Forgets shards that have expired.
    async fn prune(&self, shards: &Shards, listed: &[Shard]) -> Result<(), Error> {
        let is_listed = |id: &Arc<str>| listed.iter().any(|it| it.id == *id);
        let gone = shards.positions.keys().filter(|id| !is_listed(id));
        let gone: Vec<_> = gone.cloned().collect();
        for id in gone {
            if !shards.is_running(&id) {
                self.checkpoints.forget(&id).await?;
            }
        }
        Ok(())
    }

    /// Notes the end of a reading. False if it failed.
    fn end(
        &self,
        shards: &mut Shards,
        ended: Result<(Id, Result<(), reading::Error>), JoinError>,
    ) -> bool {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => (error.id(), Err(reading::Error::Panicked)),
        };
        let Some((shard, _)) = shards.running.remove(&id) else {
            return false;
        };
        if let Err(error) = &ended {
            tracing::warn!(%error, mapping = %self.id, %shard, "the reading of a shard has failed; it is begun again");
        }
        ended.is_ok()
    }
}
