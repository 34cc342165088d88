//! Log lines, pages and filters.

use super::*;
use crate::telemetry::event::{
    Event, Extension, Fault, Origin, RuntimeDone, RuntimeMetrics, Status,
};
use crate::telemetry::level::Level;

mod change;
mod kept;

fn in_memory(group_bytes_max: usize) -> Logs {
    Logs::open(Config::new(None, group_bytes_max), Clock::system()).unwrap()
}

fn open(logs: &Logs, group: &str, stream: &str, format: Format) -> Arc<EnvironmentLog> {
    logs.environment(group, stream, format, Vec::new())
}

/// Messages of all pages.
fn messages(logs: &Logs, filter: &Filter) -> Vec<String> {
    let mut filter = filter.clone();
    let mut messages = Vec::new();
    loop {
        let page = logs.filter("g", &filter).unwrap();
        messages.extend(page.events.iter().map(|event| event.message.clone()));
        match page.next {
            Some(next) => filter.direction = Direction::Forward(next),
            None => return messages,
        }
    }
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
    let log = open(&logs, "g", "s", Format::Text);
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
fn tail_holds_last_bytes_of_one_invocation() {
    let logs = in_memory(1 << 20);
    let log = open(&logs, "g", "s", Format::Text);
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
fn flood_of_lines_is_dropped_and_counted() {
    let logs = in_memory(64 << 20);
    let log = open(&logs, "g", "s", Format::Text);
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
fn line_over_limit_is_split() {
    let logs = in_memory(64 << 20);
    let log = open(&logs, "g", "s", Format::Text);
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
fn group_keeps_its_newest_events() {
    let logs = in_memory(10_000);
    let log = open(&logs, "g", "s", Format::Text);
    (0..1_000).for_each(|n| log.line(&format!("{n}")));
    log.end();
    let kept = messages(&logs, &all());
    assert!(kept.len() < 110, "{}", kept.len());
    assert_eq!(kept.last().unwrap(), "999");
}

#[test]
fn pages_neither_skip_nor_repeat_events() {
    let logs = in_memory(1 << 20);
    let log = open(&logs, "g", "s", Format::Text);
    (0..50).for_each(|n| log.line(&format!("{n}")));
    log.end();
    let pages = |first: Direction, next: fn(u64) -> Direction| {
        let mut filter = Filter {
            limit: 7,
            direction: first,
            ..Filter::default()
        };
        let mut pages = Vec::new();
        loop {
            let page = logs.filter("g", &filter).unwrap();
            pages.push(page.events.iter().map(|it| it.message.clone()).collect());
            match page.next {
                Some(sequence) => filter.direction = next(sequence),
                None => return pages,
            }
        }
    };
    let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let forward: Vec<Vec<String>> = pages(Direction::Forward(0), Direction::Forward);
    assert_eq!(forward.concat(), expected);
    let mut backward = pages(Direction::Backward(u64::MAX), |it| {
        Direction::Backward(it + 1)
    });
    backward.reverse();
    assert_eq!(backward.concat(), expected);
}

#[test]
fn page_text_is_at_most_one_mebibyte() {
    let logs = in_memory(64 << 20);
    let log = open(&logs, "g", "s", Format::Text);
    (0..5).for_each(|_| log.line(&"x".repeat(400 << 10)));
    log.end();
    let page = logs.filter("g", &all()).unwrap();
    assert_eq!((page.events.len(), page.next.is_some()), (2, true));
}

#[test]
fn filter_selects_streams_times_and_terms() {
    let logs = in_memory(1 << 20);
    open(&logs, "g", "2026/a", Format::Text).line("ERROR one");
    open(&logs, "g", "2026/b", Format::Text).line("ERROR two");
    open(&logs, "g", "2027/c", Format::Text).line("fine");
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

/// JSON lines, without their times.
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

fn extension() -> Extension<'static> {
    Extension {
        name: "e",
        state: "Ready",
        events: &["INVOKE"],
    }
}

fn done() -> RuntimeDone<'static> {
    RuntimeDone {
        request_id: "one",
        status: Status::Success,
        metrics: RuntimeMetrics {
            duration: std::time::Duration::from_nanos(1_234_567),
            produced_bytes: 2,
        },
        tenant_id: None,
    }
}

fn in_json(logs: &Logs, application: Level, system: Level) -> Arc<EnvironmentLog> {
    let levels = Levels {
        application,
        system,
    };
    open(logs, "g", "s", Format::Json(levels))
}

#[test]
fn json_log_has_one_object_per_line() {
    use serde_json::json;
    let logs = in_memory(1 << 20);
    let log = in_json(&logs, Level::Info, Level::Info);
    log.output(Stream::Out, b"before any\n");
    log.emit(&Event::RuntimeDone(done()));
    log.begin(false, "one", Some("t"));
    log.emit(&Event::Extension(extension()));
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
        json!({"type": "platform.extension", "at": "time",
            "record": {"name": "e", "state": "Ready", "events": ["INVOKE"]}}),
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
fn events_below_the_level_are_left_out() {
    use serde_json::json;
    let logs = in_memory(1 << 20);
    let log = in_json(&logs, Level::Error, Level::Warn);
    log.output(
        Stream::Out,
        b"plain\n{\"level\":\"WARN\"}\n{\"level\":\"ERROR\"}\n",
    );
    log.emit(&Event::Extension(extension()));
    let status = Status::Timeout;
    log.emit(&Event::RuntimeDone(RuntimeDone { status, ..done() }));
    log.failure("why");
    log.end();
    let expected = [
        json!({"level": "ERROR"}),
        json!({"type": "platform.runtimeDone", "at": "time", "record": {"requestId": "one",
            "status": "timeout", "metrics": {"durationMs": 1.235, "producedBytes": 2}}}),
        json!({"level": "ERROR", "message": "why", "at": "timestamp"}),
    ];
    assert_eq!(objects(&logs), expected);
}

#[test]
fn first_json_tail_includes_environment_start() {
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
fn flood_in_json_is_reported_in_json() {
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

#[test]
fn handler_error_is_logged_in_runtime_format() {
    use serde_json::json;
    let stack = ["at one".to_owned(), "at two".to_owned()];
    let event = Event::Fault(Fault {
        request_id: Some("one"),
        origin: Origin::Handler,
        error_type: "Mine",
        message: "as told",
        stack_trace: &stack,
    });
    let logs = in_memory(1 << 20);
    let log = open(&logs, "g", "s", Format::Text);
    log.emit(&event);
    log.end();
    assert_eq!(
        messages(&logs, &all()),
        ["[ERROR] Mine: as told\n  at one\n  at two"]
    );
    for (application, is_written) in [(Level::Error, true), (Level::Fatal, false)] {
        let logs = in_memory(1 << 20);
        let log = in_json(&logs, application, Level::Fatal);
        log.begin(false, "one", Some("t"));
        log.emit(&event);
        log.line("{}");
        log.end();
        let expected = json!({
            "level": "ERROR", "requestId": "one", "errorType": "Mine", "errorMessage": "as told",
            "stackTrace": stack, "tenantId": "t", "at": "timestamp",
        });
        let found = objects(&logs);
        assert_eq!(found.contains(&expected), is_written, "{found:?}");
    }
}

#[test]
fn sinks_receive_events_below_the_log_level() {
    #[derive(Debug, Default)]
    struct Kinds(std::sync::Mutex<Vec<&'static str>>);
    impl crate::telemetry::event::Sink for Kinds {
        fn receive(&self, event: &Event<'_>) {
            let kind = match event {
                Event::Extension(_) => "extension",
                Event::LogsDropped(_) => "dropped",
                _ => "other",
            };
            self.0.lock().unwrap().push(kind);
        }
    }
    let kinds = Arc::new(Kinds::default());
    let logs = in_memory(1 << 20);
    let levels = Levels {
        application: Level::Fatal,
        system: Level::Fatal,
    };
    let sinks: Vec<Arc<dyn crate::telemetry::event::Sink>> = vec![kinds.clone()];
    let log = logs.environment("g", "s", Format::Json(levels), sinks);
    log.emit(&Event::Extension(extension()));
    log.output(Stream::Out, &vec![b'x'; 8 << 20]);
    log.emit(&Event::RuntimeDone(done()));
    assert_eq!(*kinds.0.lock().unwrap(), ["extension", "dropped", "other"]);
}
