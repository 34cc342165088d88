use super::*;

fn in_memory(group_bytes_max: usize) -> Logs {
    Logs::open(
        Config {
            dir: None,
            group_bytes_max,
        },
        Clock::system(),
    )
    .unwrap()
}

fn messages(logs: &Logs, filter: &Filter) -> Vec<String> {
    let page = logs.filter("g", filter).unwrap();
    page.events
        .iter()
        .map(|event| event.message.clone())
        .collect()
}

fn all() -> Filter {
    Filter {
        limit: 100_000,
        ..Filter::default()
    }
}

#[test]
fn output_is_split_into_lines() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s", Format::Text);
    log.output(Stream::Out, b"one\ntw");
    log.output(Stream::Out, b"o\n\nthree");
    log.output(Stream::Error, b"apart\nbes");
    log.output(Stream::Error, b"ide\n");
    log.line("END");
    log.output(Stream::Out, &[0xff, b'\n']);
    log.end();
    let lines = [
        "one", "two", "", "apart", "beside", "three", "END", "\u{fffd}",
    ];
    assert_eq!(messages(&logs, &all()), lines);
}

#[test]
fn the_tail_is_the_end_of_one_invocation() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s", Format::Text);
    log.begin(true, "id", None);
    log.line("of the first");
    log.begin(true, "id", None);
    (0..1_000).for_each(|n| log.line(&format!("line {n}")));
    let tail = log.tail();
    assert_eq!(tail.len(), crate::units::LOG_TAIL_BYTES_MAX);
    assert!(tail.ends_with(b"line 999\n"));
    log.begin(false, "id", None);
    log.line("not asked for");
    assert!(log.tail().is_empty());
}

#[test]
fn a_flood_is_dropped_and_counted() {
    let logs = in_memory(64 << 20);
    let log = logs.environment("g", "s", Format::Text);
    let line = [b'x'; 1_023].as_slice();
    (0..6_000).for_each(|_| log.output(Stream::Out, &[line, b"\n"].concat()));
    log.line("END");
    log.end();
    let kept = messages(&logs, &all());
    assert!((4_096..5_500).contains(&kept.len()), "{}", kept.len());
    assert!(
        kept.iter()
            .any(|line| line.contains("lines were dropped") || line.contains("dropped:"))
    );
    assert_eq!(kept.last().unwrap(), "END");
}

#[test]
fn a_line_without_end_is_cut() {
    let logs = in_memory(64 << 20);
    let log = logs.environment("g", "s", Format::Text);
    (0..10).for_each(|_| log.output(Stream::Out, &[b'y'; 100_000]));
    log.end();
    let lengths: Vec<usize> = messages(&logs, &all()).iter().map(String::len).collect();
    assert_eq!(lengths.iter().sum::<usize>(), 1_000_000);
    assert!(
        lengths.iter().all(|length| *length <= 256 << 10),
        "{lengths:?}"
    );
}

#[test]
fn a_group_keeps_its_newest_events() {
    let logs = in_memory(10_000);
    let log = logs.environment("g", "s", Format::Text);
    (0..1_000).for_each(|n| log.line(&format!("{n}")));
    log.end();
    let kept = messages(&logs, &all());
    assert!(kept.len() < 110, "{}", kept.len());
    assert_eq!(kept.last().unwrap(), "999");
}

#[test]
fn pages_follow_one_another_without_loss_or_repetition() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s", Format::Text);
    let mut filter = Filter {
        limit: 7,
        ..Filter::default()
    };
    let mut seen = Vec::new();
    for round in 0..10 {
        (0..5).for_each(|n| log.line(&format!("{}", round * 5 + n)));
        log.end();
        let page = logs.filter("g", &filter).unwrap();
        filter.from = page.next;
        seen.extend(page.events.iter().map(|event| event.message.clone()));
    }
    let page = logs.filter("g", &filter).unwrap();
    seen.extend(page.events.iter().map(|event| event.message.clone()));
    let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn filters_pick_streams_times_and_terms() {
    let logs = in_memory(1 << 20);
    logs.environment("g", "2026/a", Format::Text)
        .line("ERROR one");
    logs.environment("g", "2026/b", Format::Text)
        .line("ERROR two");
    logs.environment("g", "2027/c", Format::Text).line("fine");
    let with = |change: fn(&mut Filter)| {
        let mut filter = all();
        change(&mut filter);
        messages(&logs, &filter)
    };
    assert_eq!(with(|it| it.streams = vec!["2026/b".into()]), ["ERROR two"]);
    assert_eq!(with(|it| it.stream_prefix = "2027".into()), ["fine"]);
    assert_eq!(
        with(|it| it.pattern.all = vec!["ERROR".into(), "one".into()]),
        ["ERROR one"]
    );
    assert_eq!(with(|it| it.pattern.none = vec!["ERROR".into()]), ["fine"]);
    assert_eq!(
        with(|it| it.end = Some(Timestamp::from_millis(1))),
        Vec::<String>::new()
    );
}

#[test]
fn events_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: Some(dir.path().to_owned()),
        group_bytes_max: 1 << 20,
    };
    let name = "/aws/lambda/a b";
    let group = writer::read(dir.path(), name, 1 << 20);
    assert!(group.is_empty());
    let logs = Logs::open(config.clone(), Clock::system()).unwrap();
    let log = logs.environment(name, "s", Format::Text);
    log.line("kept");
    log.end();
    // The writer ends, and has written everything, when its last handle is gone.
    drop(log);
    drop(logs);
    let found = writer::read(dir.path(), name, 1 << 20);
    assert_eq!(found[0].message, "kept");
    let again = Logs::open(config, Clock::system()).unwrap();
    assert_eq!(again.groups("/aws").len(), 1);
    assert_eq!(
        again.filter(name, &all()).unwrap().events[0].message,
        "kept"
    );
}

/// What is written in JSON, with the times taken out.
fn objects(logs: &Logs) -> Vec<serde_json::Value> {
    let parse = |line: String| {
        let mut object: serde_json::Value = serde_json::from_str(&line).unwrap();
        for time in ["time", "timestamp"] {
            if object.as_object_mut().unwrap().remove(time).is_some() {
                object["at"] = time.into();
            }
        }
        object
    };
    messages(logs, &all()).into_iter().map(parse).collect()
}

fn in_json(logs: &Logs, application: Level, system: Level) -> Arc<EnvironmentLog> {
    let levels = Levels {
        application,
        system,
    };
    logs.environment("g", "s", Format::Json(levels))
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    use serde_json::json;
    let logs = in_memory(1 << 20);
    let log = in_json(&logs, Level::Info, Level::Info);
    log.output(Stream::Out, b"before any\n");
    log.event(Level::Debug, "platform.initReport", &json!({}));
    log.begin(false, "one", Some("t"));
    log.event(Level::Info, "platform.start", &json!({"requestId": "one"}));
    log.output(
        Stream::Out,
        b"plain\n{\"level\":\"debug\"}\n{\"level\":\"warn\",\"n\":1}\nno end",
    );
    log.failure("why");
    log.end();
    log.output(Stream::Out, b"after\n");
    log.end();
    let expected = [
        json!({"level": "INFO", "message": "before any", "at": "timestamp"}),
        json!({"type": "platform.start", "record": {"requestId": "one"}, "at": "time"}),
        json!({"level": "INFO", "requestId": "one", "message": "plain", "tenantId": "t",
            "at": "timestamp"}),
        json!({"level": "warn", "n": 1}),
        json!({"level": "INFO", "requestId": "one", "message": "no end", "tenantId": "t",
            "at": "timestamp"}),
        json!({"level": "ERROR", "requestId": "one", "message": "why", "tenantId": "t",
            "at": "timestamp"}),
        json!({"level": "INFO", "message": "after", "at": "timestamp"}),
    ];
    assert_eq!(objects(&logs), expected);
}

#[test]
fn levels_leave_out_what_matters_less() {
    use serde_json::json;
    let logs = in_memory(1 << 20);
    let log = in_json(&logs, Level::Error, Level::Warn);
    log.output(
        Stream::Out,
        b"plain\n{\"level\":\"WARN\"}\n{\"level\":\"ERROR\"}\n",
    );
    log.event(Level::Info, "platform.start", &json!({}));
    log.event(Level::Warn, "platform.report", &json!({}));
    log.failure("why");
    log.end();
    let expected = [
        json!({"level": "ERROR"}),
        json!({"type": "platform.report", "record": {}, "at": "time"}),
        json!({"level": "ERROR", "message": "why", "at": "timestamp"}),
    ];
    assert_eq!(objects(&logs), expected);
}

#[test]
fn the_first_tail_in_json_begins_with_the_start() {
    let logs = in_memory(1 << 20);
    let log = in_json(&logs, Level::Info, Level::Info);
    log.line("start");
    log.begin(true, "one", None);
    log.line("one");
    log.end();
    assert_eq!(log.tail(), "start\none\n");
    log.begin(true, "two", None);
    log.line("two");
    assert_eq!(log.tail(), "two\n");
    let other = in_json(&logs, Level::Info, Level::Info);
    other.line("start");
    other.begin(false, "one", None);
    assert!(other.tail().is_empty());
}

#[test]
fn a_flood_in_json_is_told_in_json() {
    let logs = in_memory(64 << 20);
    let log = in_json(&logs, Level::Info, Level::Info);
    (0..100_000).for_each(|_| log.output(Stream::Out, b"\n"));
    log.end();
    let (told, kept): (Vec<_>, Vec<_>) = objects(&logs)
        .into_iter()
        .partition(|it| it["type"] == "platform.logsDropped");
    assert!((32_768..60_000).contains(&kept.len()), "{}", kept.len());
    let dropped = told.iter().map(|it| &it["record"]["droppedRecords"]);
    let dropped: u64 = dropped.filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(dropped + kept.len() as u64, 100_000);
}

fn kept_in(dir: &std::path::Path) -> Logs {
    let config = Config {
        dir: Some(dir.to_owned()),
        group_bytes_max: 1 << 20,
    };
    Logs::open(config, Clock::system()).unwrap()
}

/// Logs one line, and waits until the disk has it.
fn write(dir: &std::path::Path, group: &str, line: &str) {
    let logs = kept_in(dir);
    logs.environment(group, "s", Format::Text).line(line);
    drop(logs);
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
    assert_eq!(logs.groups("").len(), 1);
    assert_eq!(logs.0.groups.count(), 0);
}

#[test]
fn what_is_in_memory_follows_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "g", "one");
    let logs = kept_in(dir.path());
    let log = logs.environment("g", "s", Format::Text);
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
fn groups_are_forgotten_by_their_own_idle_time() {
    let dir = tempfile::tempdir().unwrap();
    let logs = kept_in(dir.path());
    let busy = logs.environment("busy", "s", Format::Text);
    drop(logs.environment("idle", "s", Format::Text));
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
fn any_name_that_a_group_may_have_is_kept() {
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
    let groups = logs.groups("");
    let found: Vec<_> = groups.into_iter().map(|group| group.name).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_the_disk_has_is_older_whatever_the_clock_says() {
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
    let log = logs.environment("g", "s", Format::Text);
    log.line("two");
    log.end();
    assert_eq!(messages(&logs, &all()), ["one", "two"]);
}
