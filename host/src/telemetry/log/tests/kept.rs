//! Logs on disk: events and groups survive a restart.

use super::*;

pub(super) fn kept_in(dir: &std::path::Path) -> Logs {
    let config = Config::new(Some(dir.to_owned()), 1 << 20);
    Logs::open(config, Clock::system()).unwrap()
}

pub(super) fn group_names(logs: &Logs) -> Vec<String> {
    let query = GroupsQuery {
        limit: 1_000,
        ..GroupsQuery::default()
    };
    let (groups, has_more) = logs.groups(&query);
    assert!(!has_more);
    groups.into_iter().map(|group| group.name).collect()
}

/// Logs one line and flushes it to disk.
pub(super) fn write(dir: &std::path::Path, group: &str, line: &str) {
    let logs = kept_in(dir);
    open(&logs, group, "s", Format::Text).line(line);
    drop(logs);
}

#[test]
fn events_survive_restart() {
    let dir = tempfile::tempdir().unwrap();
    let name = "/aws/lambda/a b";
    assert!(kept_in(dir.path()).filter(name, &all()).is_none());
    write(dir.path(), name, "kept");
    let again = kept_in(dir.path());
    assert_eq!(group_names(&again), [name]);
    let page = again.filter(name, &all()).unwrap();
    assert_eq!(page.events[0].message, "kept");
}

#[test]
fn line_cut_short_by_a_crash_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    let file = dir.path().join("g/current");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"n\":1,\"t\"");
    std::fs::write(&file, text).unwrap();
    write(dir.path(), "g", "two");
    assert_eq!(messages(&kept_in(dir.path()), &all()), ["one", "two"]);
}

#[test]
fn directory_of_an_earlier_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let long = "a/".repeat(200);
    for name in ["g", &long] {
        write(dir.path(), name, "one");
        let group = dir.path().join(directory_name::of(name));
        std::fs::remove_file(group.join("group.json")).unwrap();
        if name == long {
            std::fs::write(group.join("name"), name).unwrap();
        }
    }
    let logs = kept_in(dir.path());
    assert_eq!(group_names(&logs), [&*long, "g"]);
    assert_eq!(messages(&logs, &all()), ["one"]);
}

#[test]
fn files_of_logs_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    for (path, mode) in [("g", 0o700), ("g/current", 0o600), ("g/group.json", 0o600)] {
        let metadata = dir.path().join(path).metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn reading_makes_no_groups() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "kept", "one");
    let logs = kept_in(dir.path());
    for n in 0..1_000 {
        assert!(logs.filter(&format!("ghost-{n}"), &all()).is_none());
        assert!(logs.streams(&format!("ghost-{n}")).is_none());
    }
    assert!(logs.filter("kept", &all()).is_some());
    assert_eq!(group_names(&logs), ["kept"]);
    assert_eq!(logs.0.groups.count(), 0);
}

#[test]
fn events_in_memory_follow_events_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    let logs = kept_in(dir.path());
    let log = open(&logs, "g", "s", Format::Text);
    log.line("two");
    log.end();
    assert_eq!(messages(&logs, &all()), ["one", "two"]);
    log.line("three");
    log.end();
    assert_eq!(messages(&logs, &all()), ["one", "two", "three"]);
    drop(log);
    drop(logs);
    assert_eq!(
        messages(&kept_in(dir.path()), &all()),
        ["one", "two", "three"]
    );
}

#[test]
fn idle_group_is_evicted_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    let busy = open(&logs, "busy", "s", Format::Text);
    drop(open(&logs, "idle", "s", Format::Text));
    let now = logs.0.clock.now();
    logs.0.groups.forget_idle(now);
    assert_eq!(logs.0.groups.count(), 2, "both were used just now");
    let later = now.after(std::time::Duration::from_secs(120));
    logs.0.groups.forget_idle(later);
    assert_eq!(logs.0.groups.count(), 1, "someone may write to the other");
    logs.0.groups.get("busy", later);
    drop(busy);
    logs.0.groups.forget_idle(later);
    assert_eq!(logs.0.groups.count(), 1, "it was read");
}

#[test]
fn group_of_any_valid_name_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let long = |end: char| format!("{}{end}", "a-/".repeat(170));
    let names = [
        "..",
        "a-b_c.d#e/f",
        &"-".repeat(512),
        &long('x'),
        &long('y'),
    ];
    for name in names {
        write(dir.path(), name, name);
    }
    let logs = kept_in(dir.path());
    for name in names {
        let page = logs.filter(name, &all()).expect("it is there");
        assert_eq!(page.events[0].message, name);
    }
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(group_names(&logs), expected);
}

#[test]
fn sequences_ascend_after_clock_went_back() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    let file = dir.path().join("g/current");
    let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 << 33);
    let line = std::fs::read_to_string(&file).unwrap();
    let sequence: u64 = serde_json::from_str::<serde_json::Value>(&line).unwrap()["n"]
        .as_u64()
        .unwrap();
    let then = (1_000_u64 << 33 << 20).to_string();
    std::fs::write(&file, line.replace(&sequence.to_string(), &then)).unwrap();
    let options = std::fs::File::options().append(true).open(&file).unwrap();
    options.set_modified(later).unwrap();
    let logs = kept_in(dir.path());
    let log = open(&logs, "g", "s", Format::Text);
    log.line("two");
    log.end();
    assert_eq!(messages(&logs, &all()), ["one", "two"]);
}
