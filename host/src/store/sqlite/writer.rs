//! The single writer thread. Batches that arrive during an fsync form the next group commit; each
//! batch succeeds or fails on its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension, Savepoint, params};
use tokio::sync::{mpsc, oneshot};

use super::reserve::Reserve;
use super::{Error, Revision, Write, failed, is_full};
use crate::clock::Clock;
use crate::telemetry::metrics::Histogram;

/// Queued batches; further callers wait (backpressure).
const QUEUE_MAX: usize = 1_024;
/// Batches per group commit.
const GROUP_MAX: usize = 256;
/// Growth in bytes that may use the reserve: deletions shrink the records, and completing a change
/// adds a few words to one.
const GROWTH_BYTES_MAX: i64 = 4_096;

type Outcome = Result<Revision, Error>;

struct Job {
    batch: Vec<Write>,
    done: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
pub(super) struct Writer {
    // Some until drop, which closes the queue and joins the thread.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        reserve: Reserve,
        times: Arc<Histogram>,
    ) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("lamina-store".into())
            .spawn(move || run(connection, reserve, jobs, &times))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(super) async fn commit(&self, batch: Vec<Write>) -> Outcome {
        let ended = || failed(std::io::Error::other("the store's writer has ended"));
        let (done, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Job { batch, done }).await.map_err(|_| ended())?;
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

fn run(
    mut connection: Connection,
    mut reserve: Reserve,
    mut jobs: mpsc::Receiver<Job>,
    times: &Histogram,
) {
    let clock = Clock::system();
    let mut group = Vec::with_capacity(GROUP_MAX);
    while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let (batches, waiting): (Vec<_>, Vec<_>) =
            group.drain(..).map(|job| (job.batch, job.done)).unzip();
        let started = clock.instant();
        let committed = commit(&mut connection, &batches);
        times.observe(clock.instant().saturating_duration_since(started));
        let outcomes = match committed {
            Err(error) if is_full(&error) => {
                commit_from_reserve(&mut connection, &mut reserve, &batches)
            }
            outcomes => outcomes,
        };
        let outcomes = outcomes.unwrap_or_else(|error| {
            tracing::error!(%error, "the store could not commit");
            let refused = |_: &Vec<Write>| Err(refusal(&error));
            batches.iter().map(refused).collect()
        });
        for (done, outcome) in waiting.into_iter().zip(outcomes) {
            // The caller dropped its future; the write is committed all the same.
            let _ = done.send(outcome);
        }
        reserve.fill();
    }
}

/// Error of a batch whose group failed to commit.
fn refusal(error: &rusqlite::Error) -> Error {
    if is_full(error) {
        return Error::Full;
    }
    failed(std::io::Error::other(error.to_string()))
}

/// On a full disk, commits the batches that do not grow the records, using the reserve.
fn commit_from_reserve(
    connection: &mut Connection,
    reserve: &mut Reserve,
    batches: &[Vec<Write>],
) -> rusqlite::Result<Vec<Outcome>> {
    let growths = batches.iter().map(|batch| growth(connection, batch));
    let growths = growths.collect::<rusqlite::Result<Vec<i64>>>()?;
    let fits = |growth: &i64| *growth <= GROWTH_BYTES_MAX;
    let batches = batches.iter().zip(&growths);
    let small = batches.filter(|(_, growth)| fits(growth));
    let small: Vec<&[Write]> = small.map(|(batch, _)| batch.as_slice()).collect();
    if small.is_empty() {
        return Ok(growths.iter().map(|_| Err(Error::Full)).collect());
    }
    tracing::warn!("the disk is full; reserved space is used for a deletion");
    reserve.release();
    let mut committed = commit(connection, &small)?.into_iter();
    let outcome = |growth: &i64| match fits(growth) {
        true => committed.next().unwrap_or(Err(Error::Full)),
        false => Err(Error::Full),
    };
    Ok(growths.iter().map(outcome).collect())
}

/// Net growth of the records in bytes.
fn growth(connection: &Connection, batch: &[Write]) -> rusqlite::Result<i64> {
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

/// Commits a group and returns each batch's outcome. `Err` means that nothing of the group was
/// committed.
fn commit<B: AsRef<[Write]>>(
    connection: &mut Connection,
    batches: &[B],
) -> rusqlite::Result<Vec<Outcome>> {
    let mut transaction = connection.transaction()?;
    let last: i64 = transaction.query_row("SELECT last FROM revision", [], |row| row.get(0))?;
    let mut last = last.unsigned_abs();
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        let savepoint = transaction.savepoint()?;
        match apply(&savepoint, batch.as_ref(), Revision(last + 1))? {
            Ok(()) => {
                savepoint.commit()?;
                last += 1;
                outcomes.push(Ok(Revision(last)));
            }
            // Dropping the savepoint rolls the batch back.
            Err(conflict) => outcomes.push(Err(conflict)),
        }
    }
    transaction.execute("UPDATE revision SET last = ?", [last.cast_signed()])?;
    transaction.commit()?;
    Ok(outcomes)
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
