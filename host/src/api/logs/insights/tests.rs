//! Queries on rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::budget::{Budget, Stop};
use super::execute::{Table, run};
use super::row::Row;
use super::syntax::parse;
use crate::clock::{Clock, TimeSource, Timestamp};
use crate::telemetry::log::Event;

/// Rows of messages, a second apart, from 2026-01-01.
fn rows(messages: &[&str]) -> Vec<Row> {
    let event = |(second, message): (u64, &&str)| Event {
        sequence: second,
        at: Timestamp::from_millis(1_767_225_600_000 + second * 1_000),
        stream: "s".into(),
        message: (*message).to_owned(),
    };
    let events = (0..).zip(messages).map(event);
    events
        .map(|it| Row::of_event("g".into(), Arc::new(it)))
        .collect()
}

/// Time that goes on at each look by this many seconds: 0 for queries of any length on any machine.
struct Stepping {
    looks: AtomicU64,
    start: Instant,
    seconds: u64,
}

impl Stepping {
    fn clock(seconds: u64) -> Clock {
        Clock::new(Self {
            looks: AtomicU64::new(0),
            start: Clock::system().instant(),
            seconds,
        })
    }
}

impl TimeSource for Stepping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn instant(&self) -> Instant {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        self.start + Duration::from_secs(looks * self.seconds)
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Runs a query, and looks at its table.
fn query<T>(
    query: &str,
    messages: &[&str],
    look: impl FnOnce(&Table, &Budget<'_>) -> T,
) -> Result<T, Stop> {
    let (clock, is_stopped) = (Stepping::clock(0), AtomicBool::new(false));
    let budget = Budget::new(&clock, &is_stopped);
    let commands = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let table = run(&commands, rows(messages), &budget)?;
    Ok(look(&table, &budget))
}

/// Results of a query as texts.
fn results(text: &str, messages: &[&str]) -> Vec<Vec<String>> {
    let cells = |table: &Table, budget: &Budget<'_>| {
        let cells = |row: &Row| {
            let cells = table.fields.iter().map(|it| row.get(it, budget).unwrap());
            let texts = cells.map(|it| it.text().unwrap_or_default().into_owned());
            texts.collect()
        };
        table.rows.iter().map(cells).collect()
    };
    query(text, messages, cells).unwrap_or_else(|stop| panic!("{text}: {stop}"))
}

/// Reason for which a query ends without results.
fn stop(text: &str, messages: &[&str]) -> Option<Stop> {
    query(text, messages, |_, _| ()).err()
}

const JSON: [&str; 4] = [
    r#"{"level":"INFO","ms":5,"user":{"name":"ada"},"tags":["a","b"]}"#,
    r#"{"level":"ERROR","ms":20,"user":{"name":"bob"},"tags":[]}"#,
    r#"{"level":"INFO","ms":12.5,"user":{"name":"ada"}}"#,
    "no JSON: code=7 took=3ms",
];

#[test]
fn query_without_commands_returns_newest_events_first() {
    let found = results("", &["one", "two"]);
    assert_eq!(
        found,
        [
            ["2026-01-01 00:00:01.000", "two"],
            ["2026-01-01 00:00:00.000", "one"]
        ]
    );
}

#[test]
fn filter_compares_fields() {
    for (filter, expected) in [
        ("level = \"ERROR\"", &["bob"][..]),
        ("level != 'ERROR' and ms > 5", &["ada"]),
        ("ms >= 5 and ms < 13", &["ada", "ada"]),
        ("level like /^INF/", &["ada", "ada"]),
        ("level not like \"INF\"", &["bob", ""]),
        ("level =~ /(?i)error/", &["bob"]),
        ("user.name in [\"bob\", \"eve\"]", &["bob"]),
        (
            "user.name not in ['bob'] and ispresent(ms)",
            &["ada", "ada"],
        ),
        ("not (level = 'INFO' or level = 'ERROR')", &[""]),
        ("tags.1 = 'b'", &["ada"]),
        ("strcontains(@message, 'took') # a comment", &[""]),
        ("ms / 2 + 1 = 11", &["bob"]),
        ("10 - 2 - ms = 3 or -5 + ms * 2 = 35", &["ada", "bob"]),
        ("ms ^ 2 = 400 and 2 * 3 + 1 = 7", &["bob"]),
    ] {
        let found = results(
            &format!("filter {filter}\n| display user.name | sort ms"),
            &JSON,
        );
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn parse_takes_parts_of_a_field() {
    let query =
        "parse @message \"code=* took=*ms\" as code, ms | filter code > 6 | display code, ms";
    assert_eq!(results(query, &JSON), [["7", "3"]]);
    let query = "parse @message /code=(?<code>\\d+)/ | filter ispresent(code) | display code";
    assert_eq!(results(query, &JSON), [["7"]]);
    // A group without a match takes no other's text.
    let query = "parse @message /(RT)|(?<x>zzz)/ | display x";
    assert_eq!(results(query, &["RT"]), [[""]]);
}

#[test]
fn stats_summarize_groups() {
    let query = "stats count(*) as calls, avg(ms), max(ms) - min(ms) as spread, pct(ms, 50) by level | sort calls desc, \
                 level";
    let found = results(query, &JSON);
    assert_eq!(
        found,
        [
            ["INFO", "2", "8.75", "7.5", "5"],
            ["", "1", "", "", ""],
            ["ERROR", "1", "20", "0", "20"],
        ]
    );
    let by_time = results("stats count(*) by bin(2s) as t | sort t", &JSON);
    assert_eq!(
        by_time,
        [
            ["2026-01-01 00:00:00.000", "2"],
            ["2026-01-01 00:00:02.000", "2"]
        ]
    );
    assert_eq!(results("stats count_distinct(user.name)", &JSON), [["2"]]);
    assert_eq!(
        results("filter ms > 99 | stats count(*) as n", &JSON),
        [["0"]]
    );
}

#[test]
fn limit_sort_and_dedup_choose_rows() {
    let found = results(
        "fields @message | sort @timestamp asc | limit 1",
        &["one", "two"],
    );
    assert_eq!(found, [["one"]]);
    let found = results(
        "fields toupper(@message) as m | dedup m | sort m",
        &["a", "b", "A"],
    );
    assert_eq!(found, [["A"], ["B"]]);
    // AWS keeps events without the field.
    let found = results(
        "dedup level | display user.name",
        &[JSON[0], JSON[3], "x", JSON[2]],
    );
    assert_eq!(found, [["ada"], [""], [""]]);
    let mixed = ["{\"k\":\"1x\"}", "{\"k\":2}", "{\"k\":\"10\"}", "{}"];
    let found = results("display k | sort k", &mixed);
    assert_eq!(found, [[""], ["2"], ["10"], ["1x"]]);
    let found = results(
        "fields concat(user.name, '-', ms) as id | filter level = 'ERROR'",
        &JSON,
    );
    assert_eq!(found, [["bob-20"]]);
}

#[test]
fn wrong_query_is_refused_with_its_position() {
    for (query, expected) in [
        ("show x", "unknown command show at line 1"),
        (
            "fields a |\nfilter (a",
            "unexpected end of the query at line 2 and position 10",
        ),
        ("filter a like b", "unexpected symbol found b"),
        ("stats median(x)", "median is unknown"),
        ("parse a \"* *\" as b", "one name for each *"),
        ("filter a like /(/", "/(/"),
        ("limit 0", "at line 1"),
        ("fields a b", "unexpected symbol found b"),
        (&"(".repeat(500), "unknown command"),
        (&format!("filter {}", "(".repeat(500)), "nested too deeply"),
    ] {
        let error = parse(query).expect_err(query).to_string();
        assert!(error.contains(expected), "{query}: {error}");
    }
}

/// Runs on a stack of the size of tokio's threads, which parse queries.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn chain_of_operators_takes_no_stack() {
    on_small_stack(|| {
        let chain = |term: &str, operator: &str| vec![term; 3_000].join(operator);
        let sum = format!("display {} as n", chain("1", "+"));
        assert_eq!(results(&sum, &["x"]), [["3000"]]);
        let product = format!("display {} as n", chain("1", "*"));
        assert_eq!(results(&product, &["x"]), [["1"]]);
        let any = format!("filter {} | display @message", chain("0", " or "));
        assert!(results(&any, &["x"]).is_empty());
        let all = format!("filter {} | display @message", chain("1", " and "));
        assert_eq!(results(&all, &["x"]), [["x"]]);
        let not = format!("filter {}1 | display @message", "not ".repeat(3_001));
        assert!(results(&not, &["x"]).is_empty());
        let percentile = format!("stats pct(1, {})", chain("1", "+"));
        let error = parse(&percentile).unwrap_err().to_string();
        assert!(error.contains("pct is unknown"), "{error}");
    });
}

#[test]
fn deepest_expression_is_evaluated() {
    on_small_stack(|| {
        // Each level has every kind of operator.
        let level = "0 or 1 and not 0 = 1 + 1 * 1 ^ (";
        let query = format!("filter {}1{}", level.repeat(99), ")".repeat(99));
        results(&query, &["x"]);
        let call = format!("display {}1{}", "abs(".repeat(99), ")".repeat(99));
        assert_eq!(results(&call, &["x"]), [["1"]]);
        let over = format!("display {}1{}", "abs(".repeat(100), ")".repeat(100));
        let error = parse(&over).unwrap_err().to_string();
        assert!(error.contains("nested too deeply"), "{error}");
    });
}

#[test]
fn large_or_unsupported_regular_expression_is_refused() {
    let many = vec!["@message like /a/"; 17].join(" or ");
    for (query, expected) in [
        (
            r"filter a like /\w{200}/",
            "more than 256 KiB when compiled",
        ),
        (
            r"filter a like /(((a{100}){100}){100}){100}/",
            "more than 256 KiB",
        ),
        (r"filter a like /(?=x)/", "look-around"),
        (r"filter a like /(a)\1/", "backreferences are not supported"),
        (
            &format!("filter a like /{}{}/", "(".repeat(5_000), ")".repeat(5_000)),
            "maximum number of nested",
        ),
        (&format!("filter {many}"), "16 regular expressions at most"),
    ] {
        let error = parse(query).expect_err(query).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let few = vec!["@message like /(?<word>\\w+)\\s(\\d{4})/"; 16].join(" or ");
    assert!(results(&format!("filter {few}"), &["x"]).is_empty());
}

#[test]
fn text_over_the_memory_of_a_query_ends_it() {
    let ten = |it: &str| [it; 10].join(", ");
    let mut query = String::from("fields concat(@message) as x0");
    for at in 1..9 {
        let argument = ten(&format!("x{}", at - 1));
        query += &format!(" | fields concat({argument}) as x{at}");
    }
    assert_eq!(stop(&query, &["0123456789"]), Some(Stop::Memory));
    let long = "a".repeat(100_000);
    for query in [
        "fields replace(@message, 'a', @message) as x",
        "fields replace(@message, '', @message) as x",
    ] {
        assert_eq!(stop(query, &[&long]), Some(Stop::Memory), "{query}");
    }
    // Transient texts are freed after each row.
    let rows = vec![&*long; 300];
    assert_eq!(
        stop("filter strlen(concat(@message, @message)) > 1", &rows),
        None
    );
    assert_eq!(stop("fields concat(@message, @message) as x", &rows), None);
    let rows = vec![&*long; 400];
    assert_eq!(
        stop("fields concat(@message, @message) as x", &rows),
        Some(Stop::Memory)
    );
}

#[test]
fn fields_rows_and_groups_count_for_the_memory_of_a_query() {
    let rows = vec!["{}"; 10_000];
    let fields: Vec<_> = (0..100).map(|it| format!("1 as x{it}")).collect();
    let fields = fields.join(", ");
    for query in [
        format!("fields {fields}"),
        format!("stats count(*) as n by @timestamp, {fields}"),
        format!("sort {}", vec!["@message"; 200].join(", ")),
        format!("dedup @timestamp, {}", vec!["@message"; 200].join(", ")),
    ] {
        assert_eq!(stop(&query, &rows), Some(Stop::Memory), "{query}");
    }
}

#[test]
fn documents_over_their_memory_are_parsed_again() {
    let large = format!("{{\"last\":[{}1],\"k\":1}}", "[1],".repeat(20_000));
    let rows = vec![&*large; 30];
    let found = results(
        "filter k = 1 and last.5 = '[1]' | stats count(*) as n",
        &rows,
    );
    assert_eq!(found, [["30"]]);
}

#[test]
fn query_past_its_deadline_or_stopped_ends() {
    let messages = vec!["some words"; 2_000];
    for query in [
        "filter @message like /x/",
        "fields toupper(@message) as m",
        "stats max(strlen(@message)) as m",
        "sort @message",
        "dedup @message",
        "parse @message '* *' as a, b",
        "stats count(*) by @message",
    ] {
        let commands = parse(query).unwrap();
        let ended = |seconds: u64, is_stopped: bool| {
            let (clock, is_stopped) = (Stepping::clock(seconds), AtomicBool::new(is_stopped));
            run(
                &commands,
                rows(&messages),
                &Budget::new(&clock, &is_stopped),
            )
            .unwrap_err()
        };
        assert_eq!(ended(0, true), Stop::Cancelled, "{query}");
        assert_eq!(ended(1, false), Stop::Time, "{query}");
    }
}
