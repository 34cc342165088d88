//! The single writer thread. Work that arrives during an fsync forms the next group commit; each
//! piece of work succeeds or fails on its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension, Savepoint, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::items::{self, Items, Moves, Row, Shared};
use super::reserve::Reserve;
use super::{Error, Revision, Write, failed, is_full};
use crate::clock::Clock;
use crate::telemetry::metrics::Histogram;

/// Queued work; further callers wait (backpressure).
const QUEUE_MAX: usize = 1_024;
/// Pieces of work per group commit.
const GROUP_MAX: usize = 256;
/// Growth in bytes that may use the reserve: deletions shrink the records, and completing a change
/// adds a few words to one.
const GROWTH_BYTES_MAX: i64 = 4_096;

/// Work of the writer.
#[derive(Debug)]
pub(super) enum Work {
    /// Batch of records.
    Records(Vec<Write>),
    /// Changes of the queue.
    Items(Vec<Row>),
}

impl Work {
    fn keep_files(&self) {
        if let Self::Items(rows) = self {
            rows.iter().for_each(Row::keep_file);
        }
    }
}

/// Effect of committed work.
#[derive(Debug)]
pub(super) enum Effect {
    Records(Revision),
    Items(items::Effect),
}

pub(super) type Outcome = Result<Effect, Error>;

struct Job {
    work: Work,
    done: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
pub(super) struct Writer {
    // Some until drop, which closes the queue and joins the thread.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// State of the thread.
struct Thread {
    connection: Connection,
    reserve: Reserve,
    items: Items,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        reserve: Reserve,
        shared: Arc<Shared>,
        times: Arc<Histogram>,
    ) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let items = Items::open(&connection).map_err(super::of_sqlite)?;
        let thread = Thread {
            connection,
            reserve,
            items,
            shared,
        };
        let thread = std::thread::Builder::new()
            .name("lamina-store".into())
            .spawn(move || thread.run(jobs, &times))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(super) async fn commit(&self, work: Work) -> Outcome {
        let ended = || failed(std::io::Error::other("the store's writer has ended"));
        let (done, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Job { work, done }).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing, and a panic in it was logged already.
            let _ = thread.join();
        }
    }
}

impl Thread {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>, times: &Histogram) {
        let clock = Clock::system();
        let mut group = Vec::with_capacity(GROUP_MAX);
        while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            let (works, waiting): (Vec<_>, Vec<_>) =
                group.drain(..).map(|job| (job.work, job.done)).unzip();
            let all: Vec<&Work> = works.iter().collect();
            let started = clock.instant();
            let committed = self.commit(&all);
            times.observe(clock.instant().saturating_duration_since(started));
            let outcomes = match committed {
                Err(error) if is_full(&error) => self.commit_from_reserve(&all),
                outcomes => outcomes,
            };
            let outcomes = outcomes.unwrap_or_else(|error| {
                tracing::error!(%error, "the store could not commit");
                all.iter().map(|_| Err(refusal(&error))).collect()
            });
            // Before the outcome is sent: files of refused items are deleted by then.
            drop(works);
            for (done, outcome) in waiting.into_iter().zip(outcomes) {
                // The caller dropped its future; the write is committed all the same.
                let _ = done.send(outcome);
            }
            self.reserve.fill();
        }
    }

    /// Commits a group and returns each piece's outcome. `Err` means that nothing of the group was
    /// committed.
    fn commit(&mut self, works: &[&Work]) -> rusqlite::Result<Vec<Outcome>> {
        let mut transaction = self.connection.transaction()?;
        let last: i64 = transaction.query_row("SELECT last FROM revision", [], |row| row.get(0))?;
        let mut last = last.unsigned_abs();
        let mut moves = Moves::default();
        let mut outcomes = Vec::with_capacity(works.len());
        for work in works {
            outcomes.push(match work {
                Work::Records(batch) => records(&mut transaction, batch, &mut last)?,
                Work::Items(rows) => {
                    let applied = self.items.apply(&transaction, rows, &mut moves)?;
                    Ok(Effect::Items(applied))
                }
            });
        }
        if works.iter().any(|work| matches!(work, Work::Records(_))) {
            transaction.execute("UPDATE revision SET last = ?", [last.cast_signed()])?;
        }
        moves.save(&transaction)?;
        let committed = transaction.commit();
        // After any other error, the rows may still be found at the next start.
        if !committed.as_ref().is_err_and(is_full) {
            works.iter().for_each(|work| work.keep_files());
        }
        committed?;
        self.shared.moved(moves);
        Ok(outcomes)
    }

    /// On a full disk, commits the work that does not grow the database, using the reserve.
    fn commit_from_reserve(&mut self, works: &[&Work]) -> rusqlite::Result<Vec<Outcome>> {
        let growths = works.iter().map(|work| growth(&self.connection, work));
        let growths = growths.collect::<rusqlite::Result<Vec<i64>>>()?;
        let fits = |growth: &i64| *growth <= GROWTH_BYTES_MAX;
        let small = works.iter().zip(&growths).filter(|(_, it)| fits(it));
        let small: Vec<&Work> = small.map(|(work, _)| *work).collect();
        if small.is_empty() {
            return Ok(growths.iter().map(|_| Err(Error::Full)).collect());
        }
        tracing::warn!("the disk is full; reserved space is used for a deletion");
        self.reserve.release();
        let mut committed = self.commit(&small)?.into_iter();
        let outcome = |growth: &i64| match fits(growth) {
            true => committed.next().unwrap_or(Err(Error::Full)),
            false => Err(Error::Full),
        };
        Ok(growths.iter().map(outcome).collect())
    }
}

/// Error of work whose group failed to commit.
fn refusal(error: &rusqlite::Error) -> Error {
    if is_full(error) {
        return Error::Full;
    }
    failed(std::io::Error::other(error.to_string()))
}

/// Net growth of the database in bytes.
fn growth(connection: &Connection, work: &Work) -> rusqlite::Result<i64> {
    let batch = match work {
        Work::Records(batch) => batch,
        Work::Items(rows) => return Ok(items::growth(rows)),
    };
    let mut find =
        connection.prepare_cached("SELECT length(value) FROM records WHERE kind = ? AND id = ?")?;
    let mut growth = 0;
    for write in batch {
        let (key, _) = write.condition();
        let found = find.query_row(params![key.kind, key.id], |row| row.get::<_, i64>(0));
        growth -= found.optional()?.unwrap_or(0);
        if let Write::Put { value, .. } = write {
            growth += i64::try_from(value.len()).unwrap_or(i64::MAX);
        }
    }
    Ok(growth)
}

/// Applies a batch of records, or none of it.
fn records(
    transaction: &mut Transaction<'_>,
    batch: &[Write],
    last: &mut u64,
) -> rusqlite::Result<Outcome> {
    let savepoint = transaction.savepoint()?;
    Ok(match apply(&savepoint, batch, Revision(*last + 1))? {
        Ok(()) => {
            savepoint.commit()?;
            *last += 1;
            Ok(Effect::Records(Revision(*last)))
        }
        // Dropping the savepoint rolls the batch back.
        Err(conflict) => Err(conflict),
    })
}

fn apply(
    savepoint: &Savepoint<'_>,
    batch: &[Write],
    revision: Revision,
) -> rusqlite::Result<Result<(), Error>> {
    let mut find =
        savepoint.prepare_cached("SELECT revision FROM records WHERE kind = ? AND id = ?")?;
    let mut put = savepoint
        .prepare_cached("REPLACE INTO records (kind, id, revision, value) VALUES (?, ?, ?, ?)")?;
    let mut delete = savepoint.prepare_cached("DELETE FROM records WHERE kind = ? AND id = ?")?;
    for write in batch {
        let (key, expect) = write.condition();
        let found = find
            .query_row(params![key.kind, key.id], |row| row.get::<_, i64>(0))
            .optional()?;
        if !expect.holds(found.map(|it| Revision(it.unsigned_abs()))) {
            return Ok(Err(Error::Conflict(key.clone())));
        }
        match write {
            Write::Put { key, value, .. } => {
                put.execute(params![
                    key.kind,
                    key.id,
                    revision.0.cast_signed(),
                    &value[..]
                ])?;
            }
            Write::Delete { key, .. } => {
                delete.execute(params![key.kind, key.id])?;
            }
        }
    }
    Ok(Ok(()))
}
