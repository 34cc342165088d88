//! Files of large bodies are deleted with their items and after a crash, and never while they are written.

use std::future::poll_fn;
use std::task::Poll;

use rusqlite::Connection;

use super::*;
use crate::clock::Timestamp;
use crate::store::queue::{Change, NewItem, Queue as _};
use crate::store::sqlite::Sqlite;

const LARGE_BYTES: usize = 100_000;

fn add(lane: &str) -> Change {
    Change::Add(NewItem {
        lane: lane.into(),
        due: Timestamp::from_millis(1),
        head: Bytes::from_static(b"head"),
        body: vec![b'x'; LARGE_BYTES].into(),
    })
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("events")).unwrap();
    entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn file_of_refused_item_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    let connection = Connection::open(dir.path().join("lamina.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.lane = 'refused'
                  BEGIN SELECT RAISE(ABORT, 'refused'); END";
    connection.execute_batch(refuse).unwrap();
    let refused = sqlite.change(vec![add("a"), add("refused")]).await;
    assert!(refused.is_err());
    assert_eq!(files(dir.path()), [""; 0]);
    sqlite.change(vec![add("a")]).await.unwrap();
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn file_of_item_whose_caller_leaves_is_deleted() {
    // One thread writes files, one after the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        let mut change = sqlite.change(vec![add("a")]);
        let has_begun = poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx).is_pending()));
        assert!(has_begun.await);
        drop(change);
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert_eq!(files(dir.path()), [""; 0]);
    });
}

#[tokio::test]
async fn sweep_deletes_only_files_of_dead_processes() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    sqlite.change(vec![add("a")]).await.unwrap();
    let new = sqlite.bodies.write(b"its item follows").unwrap();
    let staged = sqlite.bodies.blobs.stage().unwrap();
    let put = |name: &str| fs::write(dir.path().join("events").join(name), "x").unwrap();
    put(&"0".repeat(64));
    put(".unfinished-1-0");
    assert_eq!(files(dir.path()).len(), 5);
    sqlite.sweep().await.unwrap();
    assert_eq!(files(dir.path()).len(), 3);
    drop((new, staged));
    assert_eq!(files(dir.path()).len(), 1);
    // The files may be another process's by then.
    put(&"0".repeat(64));
    sqlite.bodies.close();
    sqlite.sweep().await.unwrap();
    assert_eq!(files(dir.path()).len(), 2);
}
