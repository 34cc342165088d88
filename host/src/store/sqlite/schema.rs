//! Database schema and its migrations.

use std::path::Path;

use rusqlite::Connection;

use super::{Durability, Error, STATEMENTS_MAX, failed, of_sqlite};

/// SQLite application id, "LAMN", by which `file` recognizes the database.
const APPLICATION_ID: i32 = 0x4c41_4d4e;

/// Migrations from each schema version to the next; append-only.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE records (
        kind     TEXT NOT NULL,
        id       TEXT NOT NULL,
        revision INTEGER NOT NULL,
        value    BLOB NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    CREATE TABLE revision (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        last INTEGER NOT NULL
    );
    INSERT INTO revision VALUES (1, 0);
",
    // The index has all that a claim reads to find its items. `lanes` counts items, because counting them takes
    // long in a long queue.
    "
    CREATE TABLE items (
        id   INTEGER PRIMARY KEY,
        lane TEXT NOT NULL,
        due  INTEGER NOT NULL,
        head BLOB NOT NULL,
        body BLOB NOT NULL,
        file TEXT,
        size INTEGER NOT NULL
    );
    CREATE INDEX items_due ON items (lane, due, id);
    CREATE INDEX items_file ON items (file) WHERE file IS NOT NULL;
    CREATE TABLE lanes (
        lane  TEXT PRIMARY KEY,
        depth INTEGER NOT NULL
    ) WITHOUT ROWID;
",
];

/// Opens the database for writing and migrates it to this release's schema.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, Error> {
    let mut connection = Connection::open(path).map_err(of_sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Checked before any write, so that a newer release's database stays untouched.
    let found = version(&connection)?;
    begin_wal(&connection, durability)?;
    migrate(&mut connection, found)?;
    Ok(connection)
}

/// Sets WAL mode, with synchronous FULL if a commit is to be on disk when it returns. Read back, because
/// SQLite silently falls back where WAL is impossible.
fn begin_wal(connection: &Connection, durability: Durability) -> Result<(), Error> {
    let (wanted, level) = match durability {
        Durability::Synced => ("FULL", 2),
        Durability::Unsynced => ("OFF", 0),
    };
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(of_sqlite)?;
    connection
        .pragma_update(None, "synchronous", wanted)
        .map_err(of_sqlite)?;
    let journal: String = pragma(connection, "journal_mode")?;
    let synchronous: i64 = pragma(connection, "synchronous")?;
    if journal != "wal" || synchronous != level {
        let text = format!("the database is not durable: {journal}, synchronous {synchronous}");
        return Err(failed(std::io::Error::other(text)));
    }
    Ok(())
}

fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

fn version(connection: &Connection) -> Result<u32, Error> {
    let found: u32 = pragma(connection, "user_version")?;
    let known = known();
    if found > known {
        Err(Error::Newer { found, known })
    } else {
        Ok(found)
    }
}

fn migrate(connection: &mut Connection, found: u32) -> Result<(), Error> {
    for version in found..known() {
        let step = MIGRATIONS[usize::try_from(version).expect("there are few migrations")];
        let step_in = connection.transaction().map_err(of_sqlite)?;
        step_in.execute_batch(step).map_err(of_sqlite)?;
        step_in
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(of_sqlite)?;
        step_in
            .pragma_update(None, "user_version", version + 1)
            .map_err(of_sqlite)?;
        step_in.commit().map_err(of_sqlite)?;
    }
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<T, Error> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(of_sqlite)
}
