//! Deletion, retention and limits of log groups.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::kept::{group_names, kept_in, write};
use super::*;
use crate::clock::TimeSource;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// Wall clock that a test sets.
#[derive(Clone)]
struct Manual(Arc<AtomicU64>);

impl Manual {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(Clock::system().now().millis())))
    }

    fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }
}

impl TimeSource for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn instant(&self) -> Instant {
        Clock::system().instant()
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn line(logs: &Logs, group: &str, stream: &str, text: &str) {
    open(logs, group, stream, Format::Text).line(text);
}

#[test]
fn deleted_group_is_gone_from_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "on disk");
    write(dir.path(), "other", "stays");
    let logs = kept_in(dir.path());
    line(&logs, "g", "s", "in memory");
    logs.delete_group("g").unwrap();
    assert!(logs.filter("g", &all()).is_none());
    assert_eq!(group_names(&logs), ["other"]);
    assert!(matches!(logs.delete_group("g"), Err(Error::NoGroup)));
    drop(logs);
    assert_eq!(group_names(&kept_in(dir.path())), ["other"]);
}

#[test]
fn function_that_logs_to_a_deleted_group_makes_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    let log = open(&logs, "g", "s", Format::Text);
    log.line("before");
    log.end();
    logs.set_retention("g", Some(1)).unwrap();
    logs.delete_group("g").unwrap();
    log.line("after");
    log.end();
    assert_eq!(messages(&logs, &all()), ["after"]);
    let (groups, _) = logs.groups(&GroupsQuery {
        limit: 1,
        ..GroupsQuery::default()
    });
    assert_eq!(groups[0].retention_days, None);
    drop(log);
    drop(logs);
    assert_eq!(messages(&kept_in(dir.path()), &all()), ["after"]);
}

#[test]
fn interrupted_deletion_is_completed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    let doomed = directory_name::deleted("g".as_ref());
    std::fs::rename(dir.path().join("g"), dir.path().join(doomed)).unwrap();
    assert_eq!(group_names(&kept_in(dir.path())), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn deletion_during_logging_leaves_whole_groups() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let log = open(&logs, "g", &format!("s{n}"), Format::Text);
                scope.spawn(move || {
                    for _ in 0..300 {
                        log.line("x");
                        log.end();
                    }
                    log.line("last");
                })
            })
            .collect();
        while !writers.iter().all(|it| it.is_finished()) {
            let _ = logs.delete_group("g");
            let _ = logs.filter("g", &all());
        }
    });
    line(&logs, "g", "s", "at last");
    let in_memory = messages(&logs, &all());
    assert_eq!(in_memory.last().unwrap(), "at last");
    drop(logs);
    assert_eq!(messages(&kept_in(dir.path()), &all()), in_memory);
}

#[test]
fn deleted_stream_is_gone_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    line(&logs, "g", "a", "of a");
    line(&logs, "g", "b", "of b");
    drop(logs);
    let logs = kept_in(dir.path());
    line(&logs, "g", "a", "more of a");
    logs.delete_stream("g", "a").unwrap();
    assert_eq!(messages(&logs, &all()), ["of b"]);
    assert!(matches!(logs.delete_stream("g", "a"), Err(Error::NoStream)));
    assert!(matches!(logs.delete_stream("h", "a"), Err(Error::NoGroup)));
    drop(logs);
    assert_eq!(messages(&kept_in(dir.path()), &all()), ["of b"]);
}

#[test]
fn expired_events_are_neither_shown_nor_kept() {
    let dir = tempfile::tempdir().unwrap();
    let time = Manual::new();
    let config = Config::new(Some(dir.path().to_owned()), 1 << 20);
    let logs = Logs::open(config.clone(), time.clock()).unwrap();
    line(&logs, "g", "s", "old");
    logs.set_retention("g", Some(3)).unwrap();
    time.advance(2 * DAY_MILLIS);
    line(&logs, "g", "s", "new");
    assert_eq!(messages(&logs, &all()), ["old", "new"]);
    time.advance(DAY_MILLIS + 1);
    assert_eq!(messages(&logs, &all()), ["new"]);
    drop(logs);
    let logs = Logs::open(config, time.clock()).unwrap();
    assert_eq!(messages(&logs, &all()), ["new"]);
    time.advance(10 * DAY_MILLIS);
    logs.0.expire("g").unwrap();
    assert!(!dir.path().join("g/current").exists());
    // The group and its retention stay, as in AWS.
    assert_eq!(messages(&logs, &all()), Vec::<String>::new());
    assert_eq!(group_names(&logs), ["g"]);
    logs.set_retention("g", None).unwrap();
    assert!(matches!(logs.set_retention("h", None), Err(Error::NoGroup)));
}

#[test]
fn groups_beyond_the_bound_are_collected_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let start = |groups_max, bytes_max| {
        let config = Config {
            groups_max,
            bytes_max,
            ..Config::new(Some(dir.path().to_owned()), 1 << 20)
        };
        Logs::open(config, Clock::system()).unwrap()
    };
    let age = |name: &str, seconds| {
        let file = dir.path().join(name).join("current");
        let file = std::fs::File::options().append(true).open(file).unwrap();
        let now = std::time::UNIX_EPOCH + Duration::from_millis(Clock::system().now().millis());
        file.set_modified(now - Duration::from_secs(seconds))
            .unwrap();
    };
    for n in 0..20_u64 {
        write(dir.path(), &format!("g{n:02}"), &"x".repeat(1_000));
        age(&format!("g{n:02}"), 1_000 - n);
    }
    // Collected on open, down to nine tenths.
    let logs = start(10, 1 << 30);
    let newest = |from: usize| (from..20).map(|n| format!("g{n:02}")).collect::<Vec<_>>();
    assert_eq!(group_names(&logs), newest(11));
    drop(logs);
    let logs = start(10, 5_000);
    assert_eq!(group_names(&logs), newest(16));
    // Collected while running.
    for n in 20..40 {
        line(&logs, &format!("g{n}"), "s", &"x".repeat(1_000));
    }
    drop(logs);
    let logs = start(10, 5_000);
    let left = group_names(&logs);
    assert!((1..=4).contains(&left.len()), "{left:?}");
    assert!(left.iter().all(|name| name.as_str() >= "g20"), "{left:?}");
}

#[test]
fn group_on_disk_stays_within_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 64 << 10;
    for round in 0..8 {
        let config = Config::new(Some(dir.path().to_owned()), bound);
        let logs = Logs::open(config, Clock::system()).unwrap();
        (0..2_000).for_each(|n| line(&logs, "g", "s", &format!("{round}/{n}")));
        drop(logs);
        let sizes = ["current", "previous"].map(|file| {
            let metadata = dir.path().join("g").join(file).metadata();
            metadata.map_or(0, |it| it.len())
        });
        assert!(sizes.iter().sum::<u64>() <= bound as u64, "{sizes:?}");
    }
}

#[test]
fn memory_of_all_groups_stays_within_limit() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 256 << 10;
    let config = Config {
        memory_bytes_max: bound,
        ..Config::new(Some(dir.path().to_owned()), 64 << 10)
    };
    let logs = Logs::open(config, Clock::system()).unwrap();
    let open: Vec<_> = (0..50)
        .map(|n| open(&logs, &format!("g{n:02}"), "s", Format::Text))
        .collect();
    for log in &open {
        log.line(&"x".repeat(20_000));
        log.end();
        let bytes = logs.0.groups.bytes().load(Ordering::Relaxed);
        assert!(bytes <= bound, "{bytes}");
    }
    drop(open);
    // Events evicted from memory are read from disk.
    logs.0.groups.drop_written(0);
    drop(logs);
    let logs = kept_in(dir.path());
    let page = logs.filter("g00", &all()).unwrap();
    assert_eq!(page.events[0].message.len(), 20_000);
    logs.0.groups.drop_written(0);
    assert!(logs.filter("g00", &all()).is_some());
}

#[test]
fn evicted_events_are_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    let log = open(&logs, "g", "s", Format::Text);
    log.line("one");
    log.end();
    let group = logs.0.groups.peek("g").unwrap();
    while group.marked.load(Ordering::Acquire) || !group.ring().is_written() {
        std::thread::yield_now();
    }
    // The writer holds the lock until it has written.
    drop(group.disk());
    logs.0.groups.drop_written(0);
    assert_eq!(logs.0.groups.bytes().load(Ordering::Relaxed), 0);
    log.line("two");
    log.end();
    assert_eq!(messages(&logs, &all()), ["one", "two"]);
}

#[test]
fn streams_of_a_group_are_bounded_by_its_bytes() {
    let logs = in_memory(1 << 20);
    for n in 0..20_000 {
        line(&logs, "g", &format!("{n}"), "");
    }
    let streams = logs.streams("g").unwrap();
    assert_eq!(streams.len(), (1 << 20) / 96);
}
