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
        limit: 10_000,
        ..Filter::default()
    }
}

#[test]
fn output_is_split_into_lines() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s");
    log.output(b"one\ntw");
    log.output(b"o\n\nthree");
    log.line("END");
    log.output(&[0xff, b'\n']);
    log.end();
    assert_eq!(
        messages(&logs, &all()),
        ["one", "two", "", "three", "END", "\u{fffd}"]
    );
}

#[test]
fn the_tail_is_the_end_of_one_invocation() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s");
    log.begin(true);
    log.line("of the first");
    log.begin(true);
    (0..1_000).for_each(|n| log.line(&format!("line {n}")));
    let tail = log.tail();
    assert_eq!(tail.len(), crate::units::LOG_TAIL_BYTES_MAX);
    assert!(tail.ends_with(b"line 999\n"));
    log.begin(false);
    log.line("not asked for");
    assert!(log.tail().is_empty());
}

#[test]
fn a_flood_is_dropped_and_counted() {
    let logs = in_memory(64 << 20);
    let log = logs.environment("g", "s");
    let line = [b'x'; 1_023].as_slice();
    (0..6_000).for_each(|_| log.output(&[line, b"\n"].concat()));
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
    let log = logs.environment("g", "s");
    (0..10).for_each(|_| log.output(&[b'y'; 100_000]));
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
    let log = logs.environment("g", "s");
    (0..1_000).for_each(|n| log.line(&format!("{n}")));
    log.end();
    let kept = messages(&logs, &all());
    assert!(kept.len() < 110, "{}", kept.len());
    assert_eq!(kept.last().unwrap(), "999");
}

#[test]
fn pages_follow_one_another_without_loss_or_repetition() {
    let logs = in_memory(1 << 20);
    let log = logs.environment("g", "s");
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
    logs.environment("g", "2026/a").line("ERROR one");
    logs.environment("g", "2026/b").line("ERROR two");
    logs.environment("g", "2027/c").line("fine");
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
    let log = logs.environment(name, "s");
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
