//! Contract tests of `Records`, for every implementation.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::memory::Memory;
use super::sqlite::Sqlite;
use super::*;

fn key(id: &str) -> Key {
    Key {
        kind: "thing",
        id: id.to_owned(),
    }
}

fn put(id: &str, value: &'static str, expect: Expect) -> Write {
    Write::Put {
        key: key(id),
        value: Bytes::from_static(value.as_bytes()),
        expect,
    }
}

async fn values(
    records: &dyn Records,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let found = records.list("thing", prefix, after, limit).await.unwrap();
    found.into_iter().map(|record| record.key.id).collect()
}

async fn assert_contract(records: &dyn Records) {
    let first = records
        .commit(vec![put("a", "1", Expect::Absent)])
        .await
        .unwrap();
    let found = records.get(&key("a")).await.unwrap().unwrap();
    assert_eq!((found.revision, &found.value[..]), (first, b"1".as_slice()));

    for refused in [Expect::Absent, Expect::Revision(Revision(first.0 + 1))] {
        let batch = vec![put("b", "2", Expect::Any), put("a", "3", refused)];
        assert!(matches!(records.commit(batch).await, Err(Error::Conflict(it)) if it == key("a")));
        assert_eq!(
            records.get(&key("b")).await.unwrap(),
            None,
            "a refused batch leaves no trace"
        );
    }
    let absent = Write::Delete {
        key: key("none"),
        expect: Expect::Present,
    };
    assert!(matches!(
        records.commit(vec![absent]).await,
        Err(Error::Conflict(_))
    ));

    let second = records
        .commit(vec![put("a", "4", Expect::Revision(first))])
        .await
        .unwrap();
    assert!(second > first);
    records
        .commit(vec![put("a/1", "x", Expect::Any)])
        .await
        .unwrap();
    assert_eq!(
        records.get(&key("a")).await.unwrap().unwrap().revision,
        second
    );

    records
        .commit(vec![
            put("a/2", "x", Expect::Any),
            put("b", "x", Expect::Any),
        ])
        .await
        .unwrap();
    let other = Write::Put {
        key: Key {
            kind: "other",
            id: "a".into(),
        },
        value: Bytes::new(),
        expect: Expect::Absent,
    };
    records.commit(vec![other]).await.unwrap();
    assert_eq!(values(records, "", None, 9).await, ["a", "a/1", "a/2", "b"]);
    assert_eq!(values(records, "", None, 2).await, ["a", "a/1"]);
    assert_eq!(values(records, "", Some("a/1"), 9).await, ["a/2", "b"]);
    assert_eq!(values(records, "a/", None, 9).await, ["a/1", "a/2"]);
    assert_eq!(values(records, "a/", Some("a/1"), 9).await, ["a/2"]);
    assert_eq!(values(records, "c", None, 9).await, [""; 0]);

    let delete = Write::Delete {
        key: key("a"),
        expect: Expect::Revision(second),
    };
    records.commit(vec![delete]).await.unwrap();
    assert_eq!(records.get(&key("a")).await.unwrap(), None);
}

#[tokio::test]
async fn memory_records_satisfy_contract() {
    assert_contract(&Memory::default()).await;
}

#[tokio::test]
async fn sqlite_records_satisfy_contract() {
    let dir = tempfile::tempdir().unwrap();
    assert_contract(&Sqlite::open(dir.path()).unwrap()).await;
}

#[tokio::test]
async fn committed_records_survive_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(dir.path()).unwrap();
    let revision = sqlite
        .commit(vec![put("a", "1", Expect::Absent)])
        .await
        .unwrap();
    drop(sqlite);
    let sqlite = Sqlite::open(dir.path()).unwrap();
    assert_eq!(
        sqlite.get(&key("a")).await.unwrap().unwrap().revision,
        revision
    );
    assert!(
        sqlite
            .commit(vec![put("b", "1", Expect::Absent)])
            .await
            .unwrap()
            > revision
    );
}

#[test]
fn open_data_directory_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let _held = Sqlite::open(dir.path()).unwrap();
    let refused = Sqlite::open(dir.path()).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("process {}", std::process::id())),
        "{refused}"
    );
}

#[test]
fn database_of_newer_release_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    drop(Sqlite::open(dir.path()).unwrap());
    let connection = rusqlite::Connection::open(dir.path().join("lamina.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(Error::Newer { found: 99, .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_conflicting_writers_wins() {
    let dir = tempfile::tempdir().unwrap();
    let records = Arc::new(Sqlite::open(dir.path()).unwrap());
    let read_at = records
        .commit(vec![put("a", "0", Expect::Absent)])
        .await
        .unwrap();
    let racers = (0..32).map(|_| {
        let records = Arc::clone(&records);
        tokio::spawn(async move {
            records
                .commit(vec![put("a", "1", Expect::Revision(read_at))])
                .await
                .is_ok()
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += u32::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
}

fn any_write() -> impl Strategy<Value = Write> {
    let expect = prop_oneof![
        Just(Expect::Any),
        Just(Expect::Absent),
        Just(Expect::Present),
        (0u64..12).prop_map(|revision| Expect::Revision(Revision(revision))),
    ];
    let id = prop_oneof![Just("a"), Just("b"), Just("b/1"), Just("c")];
    (id, expect, 0..2).prop_map(|(id, expect, what)| match what {
        0 => Write::Delete {
            key: key(id),
            expect,
        },
        _ => put(id, "v", expect),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn sqlite_behaves_like_memory(
        batches in prop::collection::vec(prop::collection::vec(any_write(), 1..4), 1..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let (sqlite, memory) = (Sqlite::open(dir.path()).unwrap(), Memory::default());
            for batch in batches {
                let (one, two) = (sqlite.commit(batch.clone()).await, memory.commit(batch).await);
                assert_eq!(one.map_err(|it| it.to_string()), two.map_err(|it| it.to_string()));
            }
            let all = |list: Vec<Record>| -> BTreeMap<_, _> {
                list.into_iter().map(|it| (it.key.id, (it.revision, it.value))).collect()
            };
            let one = sqlite.list("thing", "", None, 99).await.unwrap();
            let two = memory.list("thing", "", None, 99).await.unwrap();
            assert_eq!(all(one), all(two));
        });
    }
}
