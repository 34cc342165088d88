//! Records and queue in SQLite: a single file that operators can open, copy and repair. One thread writes and
//! commits queued work as a group; callers are notified after the fsync.

use std::fs::File;
use std::io::{self, Read, Seek, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use rustix::fs::{FlockOperation, flock};

use super::{Error, Key, Range, Record, Records, Revision, Write};
use crate::disk;
use crate::telemetry::metrics::Histogram;

#[cfg(feature = "cli")]
pub mod backup;
mod bodies;
mod items;
mod queue;
mod reserve;
mod schema;
mod writer;

use bodies::Bodies;
use items::Shared;
use reserve::Reserve;
use writer::{Effect, Work};

/// File name of the database.
const DATABASE: &str = "lamina.db";
/// Directory with large bodies of the queue.
const BODIES: &str = "events";
/// Read connections. Reads are short; more connections would only compete for the same cores.
const READERS_MAX: usize = 4;
/// Prepared statements cached per connection.
const STATEMENTS_MAX: usize = 32;

/// Durability of commits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// A commit is on disk when it returns.
    Synced,
    /// The system writes commits when it likes, for data that no other process will read.
    Unsynced,
}

/// Records and queue in a database file.
#[derive(Debug)]
pub struct Sqlite {
    writer: writer::Writer,
    shared: Arc<Shared>,
    bodies: Arc<Bodies>,
    commits: Arc<Histogram>,
    readers: Arc<Readers>,
    // Held until the database closes. Fields drop in order, so the writer ends first.
    _lock: File,
}

#[derive(Debug)]
struct Readers {
    path: std::path::PathBuf,
    // std mutex: a connection is taken out or put back, no await inside.
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens the database of a data directory, and creates it if it is missing.
    ///
    /// # Errors
    /// As of [`open_as`](Self::open_as).
    #[cfg(test)]
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_as(dir, Durability::Synced)
    }

    /// Opens the database of a data directory.
    ///
    /// # Errors
    /// If another process holds the lock, a newer release wrote the database, or the file is
    /// damaged.
    pub fn open_as(dir: &Path, durability: Durability) -> Result<Self, Error> {
        disk::create_data_dir(dir)?;
        let lock = lock(dir)?;
        let path = dir.join(DATABASE);
        close(&path)?;
        let connection = schema::open(&path, durability)?;
        let commits = Arc::<Histogram>::default();
        let reserve = Reserve::open(dir);
        let shared = Arc::new(Shared::open(&connection).map_err(of_sqlite)?);
        let bodies = Arc::new(Bodies::open(dir)?);
        let (same, times) = (Arc::clone(&shared), Arc::clone(&commits));
        let writer = writer::Writer::start(connection, reserve, same, times)?;
        let readers = Arc::new(Readers {
            path,
            idle: Mutex::default(),
        });
        Ok(Self {
            writer,
            shared,
            bodies,
            commits,
            readers,
            _lock: lock,
        })
    }

    /// Process that has the data directory open, as an error text; `None` if it is free. Creates nothing.
    #[cfg(feature = "cli")]
    pub fn holder(dir: &Path) -> Option<String> {
        let file = File::open(dir.join("lock")).ok()?;
        let holder = || std::fs::read_to_string(dir.join("lock")).unwrap_or_default();
        flock(&file, FlockOperation::NonBlockingLockShared)
            .is_err()
            .then(|| holder().trim().to_owned())
    }

    /// True while a process has the database of a data directory open.
    pub fn is_open(dir: &Path) -> bool {
        matches!(lock(dir), Err(Error::InUse(_)))
    }

    /// Durations of commits: transaction and fsync, without queueing.
    pub fn commit_durations(&self) -> Arc<Histogram> {
        Arc::clone(&self.commits)
    }

    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let readers = Arc::clone(&self.readers);
        let work = tokio::task::spawn_blocking(move || readers.with(query));
        match work.await {
            Ok(found) => found,
            // Runtime shutdown cancels the task; the caller is about to be dropped too.
            Err(ended) if ended.is_cancelled() => std::future::pending().await,
            Err(ended) => Err(failed(ended)),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.bodies.close();
    }
}

impl Readers {
    fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = idle.map_or_else(|| self.connect(), Ok).map_err(of_sqlite)?;
        let result = query(&connection).map_err(of_sqlite);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS_MAX {
            idle.push(connection);
        }
        result
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(connection)
    }
}

#[async_trait]
impl Records for Sqlite {
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        let key = key.clone();
        self.query(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, revision, value FROM records WHERE kind = ? AND id = ?",
            )?;
            query
                .query_row(params![key.kind, key.id], |row| record(key.kind, row))
                .optional()
        })
        .await
    }

    async fn list(
        &self,
        kind: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.query(move |connection| {
            // Range scan of the primary key: the cost depends on the result, not on the table.
            let mut query = connection.prepare_cached(
                "SELECT id, revision, value FROM records
                 WHERE kind = ?1 AND id >= ?2 AND (?3 IS NULL OR id > ?3) ORDER BY id LIMIT ?4",
            )?;
            let from = after.as_deref().unwrap_or_default().max(&prefix).to_owned();
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows =
                query.query_map(params![kind, from, after, limit], |row| record(kind, row))?;
            let inside = |row: &rusqlite::Result<Record>| {
                row.as_ref()
                    .map_or(true, |record| record.key.id.starts_with(&prefix))
            };
            rows.take_while(inside).collect()
        })
        .await
    }

    async fn read(&self, ranges: Vec<Range>) -> Result<Vec<Record>, Error> {
        self.query(move |connection| {
            // One transaction is one snapshot: concurrent commits stay invisible.
            let transaction = connection.unchecked_transaction()?;
            let mut query = transaction.prepare_cached(
                "SELECT id, revision, value FROM records WHERE kind = ? AND id >= ? ORDER BY id",
            )?;
            let mut found = Vec::new();
            for range in ranges {
                let (from, holds) = range.bounds();
                let rows =
                    query.query_map(params![range.kind, from], |row| record(range.kind, row))?;
                for row in rows {
                    let record = row?;
                    if !holds(&record.key.id) {
                        break;
                    }
                    found.push(record);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn commit(&self, batch: Vec<Write>) -> Result<Revision, Error> {
        match self.writer.commit(Work::Records(batch)).await? {
            Effect::Records(revision) => Ok(revision),
            Effect::Items(_) => unreachable!("the writer answers what it was asked"),
        }
    }
}

fn record(kind: &'static str, row: &Row<'_>) -> rusqlite::Result<Record> {
    let value: Vec<u8> = row.get(2)?;
    Ok(Record {
        key: Key {
            kind,
            id: row.get(0)?,
        },
        revision: Revision(row.get::<_, i64>(1)?.unsigned_abs()),
        value: value.into(),
    })
}

/// Locks the data directory. The operating system releases the lock however the process ends.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let mut options = disk::options();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder)?;
        return Err(Error::InUse(format!(
            "{} (process {})",
            dir.display(),
            holder.trim()
        )));
    }
    disk::close_to_others(&path)?;
    // The lock is what counts; on a full disk the process id may not fit.
    let cleared = file.set_len(0).and_then(|()| file.rewind());
    if let Err(error) = cleared.and_then(|()| write!(file, "{}", std::process::id())) {
        tracing::warn!(%error, "the process id could not be written to the lock");
    }
    Ok(file)
}

/// Creates the database file with mode 0600 before SQLite does, which follows the umask. SQLite
/// gives its side files the same mode; those of an earlier release are fixed here.
fn close(path: &Path) -> io::Result<()> {
    let mut options = disk::options();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        disk::close_to_others(Path::new(&name))?;
    }
    Ok(())
}

/// Classifies an SQLite error: disk full, or internal.
fn of_sqlite(error: rusqlite::Error) -> Error {
    if is_full(&error) {
        Error::Full
    } else {
        failed(error)
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    /// `SQLITE_IOERR_SHMSIZE`: the shared-memory file could not grow.
    const SHARED_FILE_CANNOT_GROW: i32 = 10 | (19 << 8);
    match error {
        rusqlite::Error::SqliteFailure(cause, _) => {
            cause.code == rusqlite::ErrorCode::DiskFull
                || cause.extended_code == SHARED_FILE_CANNOT_GROW
        }
        _ => false,
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Failed(Box::new(error))
}
