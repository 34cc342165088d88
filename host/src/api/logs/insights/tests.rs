//! Queries on rows.

use std::sync::Arc;

use super::execute::run;
use super::row::Row;
use super::syntax::parse;
use crate::clock::Timestamp;
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

/// Results of a query as texts.
fn results(query: &str, messages: &[&str]) -> Vec<Vec<String>> {
    let commands = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let table = run(&commands, rows(messages));
    let cells = |row: &Row| {
        let cells = table.fields.iter().map(|it| row.get(it).text());
        cells.map(Option::unwrap_or_default).collect()
    };
    table.rows.iter().map(cells).collect()
}

const JSON: [&str; 4] = [
    r#"{"level":"INFO","ms":5,"user":{"name":"ada"},"tags":["a","b"]}"#,
    r#"{"level":"ERROR","ms":20,"user":{"name":"bob"},"tags":[]}"#,
    r#"{"level":"INFO","ms":12.5,"user":{"name":"ada"}}"#,
    "no JSON: code=7 took=3ms",
];

#[test]
fn default_is_time_and_message_newest_first() {
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
