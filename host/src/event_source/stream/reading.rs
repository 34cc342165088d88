//! Reading of one shard: records are read, put in lanes by their keys, and worked on in batches; the checkpoint
//! follows the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::Poller;
use super::buffer::{Buffer, Next};
use super::checkpoint::Saved;
use super::progress::Progress;
use super::record::Record;
use super::source::{Kind, Page, Start};
use super::window::{Last, Window};
use super::work::{Lane, Report};
use crate::clock::Timestamp;
use crate::event_source::Stop;
use crate::outbound::aws;
use crate::store;

/// Reports that wait for their checkpoint.
const REPORTS_MAX: usize = 16;
/// Bytes of records in memory after which no more are read.
const BUFFERED_BYTES_MAX: usize = 16 << 20;
/// Pauses after a request that failed.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// End of a reading.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("another poller has moved the position of the shard")]
    Overtaken,
    #[error("the shard is not there any more")]
    Gone,
    #[error("the work on a batch has panicked")]
    Panicked,
}

/// A shard that is read.
#[derive(Debug)]
pub(super) struct Reading {
    poller: Arc<Poller>,
    shard: Arc<str>,
    /// True once the shard gets no more records.
    is_closed: Arc<AtomicBool>,
    saved: Saved,
    /// Position to read from next, without an iterator.
    start: Start,
    iterator: Option<String>,
    /// Records before this time are left out.
    since: Option<Timestamp>,
    /// One for each batch at a time.
    buffers: Vec<Buffer>,
    busy: Vec<bool>,
    workers: JoinSet<usize>,
    progress: Progress,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    /// True once all records of a closed shard are read.
    is_read: bool,
    is_caught_up: bool,
    next_read: Instant,
    pause: Option<Duration>,
    stop: Stop,
}

impl Reading {
    /// A reading that goes on from a position. `is_new` if the position was made just now.
    pub(super) fn new(
        poller: &Arc<Poller>,
        shard: Arc<str>,
        is_closed: Arc<AtomicBool>,
        (saved, is_new): (Saved, bool),
        stop: Stop,
    ) -> Self {
        let position = &saved.position;
        let start = match (&position.sequence, position.since) {
            (Some(sequence), _) => Start::After(Arc::clone(sequence)),
            (None, Some(_)) if is_new => Start::Latest,
            (None, Some(since)) => Start::At(since),
            (None, None) => poller.start(),
        };
        let since = match (&start, poller.source.kind) {
            (Start::At(since), Kind::DynamoDb) => Some(*since),
            _ => None,
        };
        let lanes = poller.factor;
        Self {
            start,
            since,
            iterator: None,
            buffers: (0..lanes).map(|_| Buffer::default()).collect(),
            busy: vec![false; lanes],
            workers: JoinSet::new(),
            progress: Progress::default(),
            reports: mpsc::channel(REPORTS_MAX),
            is_read: false,
            is_caught_up: false,
            next_read: poller.shared.clock.instant(),
            pause: None,
            poller: Arc::clone(poller),
            shard,
            is_closed,
            saved,
            stop,
        }
    }

    /// Reads until the end of the shard, or until the poller stops; batches in work end.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        loop {
            let due = self.begin_batches();
            if self.is_over() {
                self.saved.position.is_finished = true;
                return self.save().await;
            }
            let read = self.may_read().then_some(self.next_read);
            let wake = due.into_iter().chain(read).min();
            let now = self.poller.shared.clock.instant();
            let wait = wake.map(|at| at.saturating_duration_since(now));
            let clock = self.poller.shared.clock.clone();
            tokio::select! {
                () = self.stop.stopped() => return self.wind_down().await,
                Some(report) = self.reports.1.recv() => self.note(report).await?,
                Some(ended) = self.workers.join_next() => self.end(ended).await?,
                () = clock.sleep(wait.unwrap_or_default()), if wait.is_some() => {
                    if read.is_some_and(|at| at <= clock.instant()) {
                        self.read().await?;
                    }
                }
            }
        }
    }

    async fn wind_down(mut self) -> Result<(), Error> {
        loop {
            tokio::select! {
                Some(report) = self.reports.1.recv() => self.note(report).await?,
                ended = self.workers.join_next() => match ended {
                    Some(ended) => self.end(ended).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_read
            && self.workers.is_empty()
            && self.progress.is_idle()
            && self.saved.position.window.is_none()
    }

    fn may_read(&self) -> bool {
        let records: usize = self.buffers.iter().map(Buffer::len).sum();
        let bytes: usize = self.buffers.iter().map(Buffer::bytes).sum();
        !self.is_read && records < self.poller.read_max && bytes < BUFFERED_BYTES_MAX
    }

    /// Starts batches that are full or due; returns the time at which the next one is.
    fn begin_batches(&mut self) -> Option<Instant> {
        if self.poller.window_seconds > 0 {
            return self.begin_in_window();
        }
        let now = self.poller.shared.clock.instant();
        let mut next = None;
        for index in 0..self.buffers.len() {
            if self.busy[index] {
                continue;
            }
            match self.buffers[index].take(self.poller.rules, now, self.is_read, |_| ()) {
                Next::Batch(batch) => self.spawn(index, |lane| lane.work(batch, None)),
                Next::At(at) => next = next.into_iter().chain([at]).min(),
                Next::Nothing => {}
            }
        }
        next
    }

    /// The same with tumbling windows, whose batches follow one another.
    fn begin_in_window(&mut self) -> Option<Instant> {
        if self.busy[0] {
            return None;
        }
        let clock = self.poller.shared.clock.clone();
        let seconds = self.poller.window_seconds;
        let of = |record: &Record| Window::of(record.arrived, seconds);
        let first = self.buffers[0].first().map(of);
        if let Some(open) = self.saved.position.window.clone() {
            let has_passed = open.has_passed(clock.now());
            let other_follows = first.as_ref().is_some_and(|it| it.start() != open.start());
            let is_last = first.is_none() && (self.is_read || (self.is_caught_up && has_passed));
            if open.is_early() || other_follows || is_last {
                let last = match open.is_early() || !(has_passed || other_follows) {
                    true => Last::Early,
                    false => Last::Yes,
                };
                self.spawn(0, |lane| lane.end_window(open, last));
                return None;
            }
        }
        let (rules, now) = (self.poller.rules, clock.instant());
        match self.buffers[0].take(rules, now, self.is_read, |it| of(it).start()) {
            Next::Batch(batch) => {
                let open = self.saved.position.window.clone().or(first);
                self.spawn(0, |lane| lane.work(batch, open));
                None
            }
            Next::At(at) => Some(at),
            Next::Nothing => None,
        }
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        index: usize,
        work: impl FnOnce(Lane) -> F,
    ) {
        self.busy[index] = true;
        let work = work(Lane {
            poller: Arc::clone(&self.poller),
            shard: Arc::clone(&self.shard),
            reports: self.reports.0.clone(),
            stop: self.stop.clone(),
        });
        self.workers.spawn(async move {
            work.await;
            index
        });
    }

    /// Notes the end of the work on a batch, after its reports.
    async fn end(&mut self, ended: Result<usize, JoinError>) -> Result<(), Error> {
        let index = ended.map_err(|_| Error::Panicked)?;
        while let Ok(report) = self.reports.1.try_recv() {
            self.note(report).await?;
        }
        self.busy[index] = false;
        Ok(())
    }

    /// Notes progress, and writes the checkpoint if it has moved.
    async fn note(&mut self, report: Report) -> Result<(), Error> {
        let mut next = Some(report);
        let mut window = self.saved.position.window.take();
        let before = window.clone();
        while let Some(report) = next {
            report.done.iter().for_each(|it| self.progress.done(*it));
            if self.poller.window_seconds > 0 {
                window = report.window;
            }
            next = self.reports.1.try_recv().ok();
        }
        let is_same = window == before;
        self.saved.position.window = window;
        let reached = self.progress.take_reached();
        if reached.is_none() && is_same {
            return Ok(());
        }
        if reached.is_some() {
            self.saved.position.sequence = reached;
        }
        self.save().await
    }

    /// Writes the position, and repeats that until it succeeds.
    async fn save(&mut self) -> Result<(), Error> {
        loop {
            let checkpoints = &self.poller.checkpoints;
            let Err(error) = checkpoints.save(&self.shard, &mut self.saved).await else {
                return Ok(());
            };
            if let store::Error::Conflict(_) = error {
                return Err(Error::Overtaken);
            }
            tracing::error!(%error, mapping = %self.poller.id, shard = %self.shard, "a checkpoint could not be written; that is repeated");
            self.poller.shared.clock.sleep(PAUSE_FIRST).await;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        match self.try_read().await {
            Ok(page) => {
                self.pause = None;
                self.take(page).await
            }
            Err(error) => self.recover(&error),
        }
    }

    async fn try_read(&mut self) -> Result<Page, aws::Error> {
        let poller = Arc::clone(&self.poller);
        let source = &poller.source;
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => source.iterator(&self.shard, &self.start).await?,
        };
        let read = source.read(&self.shard, &iterator, poller.read_max).await;
        if read.is_err() {
            self.iterator = Some(iterator);
        }
        read
    }

    async fn take(&mut self, page: Page) -> Result<(), Error> {
        let poller = Arc::clone(&self.poller);
        let now = poller.shared.clock.instant();
        let is_empty = page.records.is_empty();
        for record in page.records {
            self.start = Start::After(Arc::clone(&record.sequence));
            let number = self.progress.read(&record.sequence);
            let is_early = self
                .since
                .is_some_and(|it| record.arrived.secs() < it.secs());
            if is_early || !poller.filters.pass(&record.value) {
                self.progress.done(number);
                continue;
            }
            let lanes = u64::try_from(self.buffers.len()).expect("there are few lanes");
            let lane = usize::try_from(record.key % lanes).expect("it is one of few lanes");
            self.buffers[lane].push(number, record, now);
        }
        self.is_caught_up = page.is_caught_up;
        // Servers that are not AWS's hand iterators out for ever.
        let is_closed = self.is_closed.load(Ordering::Relaxed);
        let has_ended =
            is_closed && is_empty && page.is_caught_up && poller.source.kind == Kind::Kinesis;
        self.is_read = page.next.is_none() || has_ended;
        self.iterator = page.next;
        self.next_read = now + poller.source.kind.period(is_empty);
        // Records that no filter takes are done.
        let window = self.saved.position.window.clone();
        let done = Vec::new();
        self.note(Report { done, window }).await
    }

    /// Prepares the next request after one that failed.
    fn recover(&mut self, error: &aws::Error) -> Result<(), Error> {
        let code = match error {
            aws::Error::Refused { code, .. } => code.as_str(),
            _ => "",
        };
        match code {
            "ExpiredIteratorException" => self.iterator = None,
            "TrimmedDataAccessException" => {
                tracing::warn!(mapping = %self.poller.id, shard = %self.shard, "records of a stream expired before they were read");
                self.iterator = None;
                self.start = Start::TrimHorizon;
            }
            "ResourceNotFoundException" => return Err(Error::Gone),
            _ => {
                let pause = self.pause.map_or(PAUSE_FIRST, |it| PAUSE_LAST.min(it * 2));
                self.pause = Some(pause);
                self.next_read = self.poller.shared.clock.instant() + pause;
                self.poller.note(&format!("PROBLEM: {error}"));
                let (poller, text) = (&self.poller, "records could not be read; that is repeated");
                poller.problems.log(&poller.source.origin.arn, error, text);
            }
        }
        Ok(())
    }
}
