//! Records in SQLite: one file that its operator can open, copy and repair. One thread writes, and
//! commits what has come in meanwhile together; the disk is waited for before anyone is told.

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

mod reserve;
mod schema;
mod writer;

use reserve::Reserve;

/// Connections that read at once. Reads are short; more would only wait for the same cores.
const READERS_MAX: usize = 4;
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 32;

/// Records in a database file.
#[derive(Debug)]
pub struct Sqlite {
    writer: writer::Writer,
    commits: Arc<Histogram>,
    readers: Arc<Readers>,
    // Held for as long as the database is open. The writer ends first.
    _lock: File,
}

#[derive(Debug)]
struct Readers {
    path: std::path::PathBuf,
    // A std mutex: a connection is taken out or put back, and nothing awaits inside.
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens the database of a data directory, and makes it where there is none.
    ///
    /// # Errors
    /// Where another process has it open, a newer release wrote it, or the file is damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        disk::create_data_dir(dir)?;
        let lock = lock(dir)?;
        let path = dir.join("lamina.db");
        close(&path)?;
        let connection = schema::open(&path)?;
        let commits = Arc::<Histogram>::default();
        let reserve = Reserve::open(dir);
        let writer = writer::Writer::start(connection, reserve, Arc::clone(&commits))?;
        let readers = Arc::new(Readers {
            path,
            idle: Mutex::default(),
        });
        Ok(Self {
            writer,
            commits,
            readers,
            _lock: lock,
        })
    }

    /// Durations of commits: of the write and of the wait for the disk, not of the queue before them.
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
            // The runtime comes down, and whoever waits here with it: there is nothing to tell.
            Err(ended) if ended.is_cancelled() => std::future::pending().await,
            Err(ended) => Err(failed(ended)),
        }
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
            // A range of the primary key: it costs what it returns, however many records there are.
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
            // One transaction: what other writers commit meanwhile is not seen.
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
        self.writer.commit(batch).await
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

/// Keeps other processes out of the data directory; the lock ends with this process, however it ends.
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
    // The lock is what counts: on a full disk there may be no room for the number.
    let told = file.set_len(0).and_then(|()| file.rewind());
    if let Err(error) = told.and_then(|()| write!(file, "{}", std::process::id())) {
        tracing::warn!(%error, "the process id could not be written to the lock");
    }
    Ok(file)
}

/// Makes the database's file before SQLite does, which would take its mode from the umask. SQLite gives the
/// files beside it the same mode; those of an earlier release are closed here.
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

/// A failure of SQLite: of a disk without room, or of its own.
fn of_sqlite(error: rusqlite::Error) -> Error {
    if is_full(&error) {
        Error::Full
    } else {
        failed(error)
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    /// `SQLITE_IOERR_SHMSIZE`: the file beside the database that its connections share could not grow.
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
