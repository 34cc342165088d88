//! Copy of a database that a host may be writing, and completion of a copy whose files are there.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{BODIES, DATABASE, close, of_sqlite};
use crate::store::Error;
use crate::store::blob::{Blobs, Digest};

/// Copies the database of a data directory as of one moment, without locks on its writer.
///
/// # Errors
/// If there is no database, or the copy cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from.join(DATABASE), flags).map_err(of_sqlite)?;
    let path = to.join(DATABASE);
    close(&path)?;
    let mut target = Connection::open(&path).map_err(of_sqlite)?;
    let backup = Backup::new(&source, &mut target).map_err(of_sqlite)?;
    // All pages in one step, so that no write comes between.
    if backup.step(-1).map_err(of_sqlite)? != StepResult::Done {
        let text = "the database is locked by another program";
        return Err(super::failed(std::io::Error::other(text)));
    }
    drop(backup);
    // One file: the copy takes over the mode WAL, whose side files would belong to it.
    target
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(of_sqlite)
}

/// Deletes queued events whose body has no file: they ended after the database was copied. Returns their number.
///
/// # Errors
/// If the copy cannot be read or written.
pub fn drop_ended_events(dir: &Path) -> Result<usize, Error> {
    let there = Blobs::open(&dir.join(BODIES))?.list()?;
    let mut connection = Connection::open(dir.join(DATABASE)).map_err(of_sqlite)?;
    drop_without_file(&mut connection, &there).map_err(of_sqlite)
}

fn drop_without_file(connection: &mut Connection, there: &[Digest]) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TEMP TABLE there (file TEXT PRIMARY KEY)")?;
    let mut insert = transaction.prepare("INSERT INTO there VALUES (?)")?;
    for digest in there {
        insert.execute([digest.to_string()])?;
    }
    drop(insert);
    let ended = "DELETE FROM items WHERE file IS NOT NULL AND file NOT IN (SELECT file FROM there)";
    let dropped = transaction.execute(ended, [])?;
    transaction.execute_batch(
        "DROP TABLE there;
         DELETE FROM lanes;
         INSERT INTO lanes (lane, depth) SELECT lane, count(*) FROM items GROUP BY lane;",
    )?;
    transaction.commit()?;
    Ok(dropped)
}

/// Checks the database of a directory page by page. `Err` has SQLite's findings.
///
/// # Errors
/// If the database is damaged or cannot be read.
pub fn check(dir: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(DATABASE), flags).map_err(of_sqlite)?;
    let found: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .map_err(of_sqlite)?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(super::failed(std::io::Error::other(found))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Durability, schema};

    #[test]
    fn event_without_its_file_is_dropped_from_a_copy() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let connection = schema::open(&from.path().join(DATABASE), Durability::Synced).unwrap();
        let (kept, ended) = (Digest::of(b"kept"), Digest::of(b"ended"));
        let insert =
            "INSERT INTO items (lane, due, head, body, file, size) VALUES ('l', 1, '', '', ?, 1)";
        for file in [None, Some(kept.to_string()), Some(ended.to_string())] {
            connection.execute(insert, [file]).unwrap();
        }
        connection
            .execute("INSERT INTO lanes VALUES ('l', 3)", [])
            .unwrap();
        copy(from.path(), to.path()).unwrap();
        let bodies = to.path().join(BODIES);
        std::fs::create_dir(&bodies).unwrap();
        std::fs::write(bodies.join(kept.to_string()), "kept").unwrap();
        assert_eq!(drop_ended_events(to.path()).unwrap(), 1);
        check(to.path()).unwrap();
        let copied = Connection::open(to.path().join(DATABASE)).unwrap();
        let one = |sql: &str| {
            copied
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(one("SELECT depth FROM lanes"), 2);
        assert_eq!(one("SELECT count(*) FROM items"), 2);
    }

    #[test]
    fn damaged_database_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DATABASE), vec![7; 8_192]).unwrap();
        assert!(check(dir.path()).is_err());
        assert!(check(&dir.path().join("none")).is_err());
    }
}
