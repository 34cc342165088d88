//! Logs of Python functions: text and JSON, levels, tracebacks.

use serde_json::{Value, json};

use super::{call, create, host, lines_of};
use crate::harness::{Lamina, log_of};

const LOGS: &str = r#"
import logging, sys

logger = logging.getLogger()
logger.setLevel(logging.DEBUG) if False else None
named = logging.getLogger("orders")

def lambda_handler(event, context):
    print("printed")
    print("to stderr", file=sys.stderr)
    named.debug("a debug %s", 1)
    named.info("an info", extra={"order": 7})
    logger.warning("a warning\nin two lines")
    try:
        {}["missing"]
    except KeyError:
        named.exception("an error")
    named.critical("the end")
"#;

/// Text lines without times and the request id.
async fn text_of(host: &Lamina, name: &str) -> Vec<String> {
    let answer = host.invoke(name, &json!({})).await;
    let id = answer.header("x-amzn-requestid").to_owned();
    let without = |line: String| {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts.as_slice() {
            [level, at, request, message] if level.starts_with('[') => {
                assert_eq!(*request, id);
                assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
                format!("{level} {message}")
            }
            _ => line,
        }
    };
    lines_of(&answer).into_iter().map(without).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_have_awss_text_format() {
    let host = host().await;
    create(&host, "f", LOGS, json!({})).await;
    let lines = text_of(&host, "f").await;
    let expected = [
        "printed",
        "to stderr",
        "[WARNING] a warning",
        "in two lines",
        "[ERROR] an error",
        "Traceback (most recent call last):",
        "  File \"/var/task/lambda_function.py\", line 15, in lambda_handler",
        "    {}[\"missing\"]",
    ];
    assert_eq!(lines[..expected.len()], expected, "{lines:?}");
    let rest = lines[expected.len()..].join("\n");
    assert!(
        rest.ends_with("KeyError: 'missing'\n[CRITICAL] the end"),
        "{rest}"
    );
    // Each record is one event of the log, with its line breaks.
    let path = "/";
    let target = [
        ("x-amz-target", "Logs_20140328.FilterLogEvents"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let request = json!({"logGroupName": "/aws/lambda/f"}).to_string();
    let events = host.send("POST", path, &target, request).await.json();
    let messages = events["events"].as_array().expect("events").iter();
    let mut messages = messages.map(|it| it["message"].as_str().unwrap_or_default());
    assert!(
        messages.any(|it| it.contains("a warning\nin two lines")),
        "{events}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn level_of_the_function_applies() {
    let host = host().await;
    let source = LOGS.replace("if False else None", "");
    create(&host, "f", &source, json!({})).await;
    let lines = text_of(&host, "f").await;
    assert!(lines.contains(&"[DEBUG] a debug 1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"[INFO] an info".to_owned()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_records_have_awss_members_and_levels() {
    let host = host().await;
    for (level, expected) in [
        (
            "DEBUG",
            [
                "INFO", "INFO", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL",
            ]
            .as_slice(),
        ),
        (
            "INFO",
            &["INFO", "INFO", "INFO", "WARNING", "ERROR", "CRITICAL"],
        ),
        ("WARN", &["WARNING", "ERROR", "CRITICAL"]),
        ("ERROR", &["ERROR", "CRITICAL"]),
        ("FATAL", &["CRITICAL"]),
    ] {
        let name = format!("f-{level}");
        let logging = json!({"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": level}});
        create(&host, &name, LOGS, logging).await;
        call(&host, &name, json!({})).await;
        let answer = host.invoke(&name, &json!({})).await;
        let log = log_of(&answer);
        let lines = log
            .lines()
            .map(|it| serde_json::from_str(it).expect("JSON"));
        let lines: Vec<Value> = lines
            .filter(|it: &Value| it.get("type").is_none())
            .collect();
        let levels: Vec<&str> = lines.iter().filter_map(|it| it["level"].as_str()).collect();
        assert_eq!(levels, expected, "{level}: {log}");
        let id = answer.header("x-amzn-requestid");
        assert!(lines.iter().all(|it| it["requestId"] == id), "{log}");
        let with = |message: &str| lines.iter().find(|it| it["message"] == message);
        if let Some(record) = with("an info") {
            assert_eq!(
                (&record["logger"], &record["order"]),
                (&json!("orders"), &json!(7))
            );
        }
        if let Some(record) = with("an error") {
            assert_eq!(
                (&record["errorType"], &record["errorMessage"]),
                (&json!("KeyError"), &json!("'missing'"))
            );
            let frame = record["stackTrace"][0].as_str().expect("a frame");
            assert!(
                frame.starts_with("  File \"/var/task/lambda_function.py\", line 15"),
                "{frame}"
            );
            assert_eq!(
                record["location"],
                "/var/task/lambda_function.py:lambda_handler:17"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_is_logged_with_its_traceback() {
    let host = host().await;
    let source = "def lambda_handler(event, context):\n    return 1 / 0\n";
    create(&host, "f", source, json!({})).await;
    let lines = lines_of(&host.invoke("f", &json!({})).await);
    let expected = [
        "[ERROR] ZeroDivisionError: division by zero",
        "Traceback (most recent call last):",
        "  File \"/var/task/lambda_function.py\", line 2, in lambda_handler",
        "    return 1 / 0",
    ];
    assert_eq!(lines, expected);
    let logging = json!({"LoggingConfig": {"LogFormat": "JSON"}});
    create(&host, "g", source, logging).await;
    let log = log_of(&host.invoke("g", &json!({})).await);
    let lines = log
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"));
    let fault: Value = lines
        .into_iter()
        .find(|it: &Value| it["level"] == "ERROR")
        .expect("it is logged");
    assert_eq!(fault["errorType"], "ZeroDivisionError");
    assert_eq!(fault["errorMessage"], "division by zero");
    assert!(fault["stackTrace"][0].is_string() && fault["requestId"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn initialization_names_the_version_that_runs() {
    let host = host().await;
    let source = "import os, sys\nprint('initialized')\ndef lambda_handler(event, context):\n    \
                  return [os.environ['AWS_EXECUTION_ENV'], sys.version_info[:2]]\n";
    create(&host, "f", source, json!({"Runtime": "python3.12"})).await;
    let shown = host.settled("f").await;
    assert_eq!(shown["Runtime"], "python3.12");
    let result = call(&host, "f", json!({})).await;
    assert_eq!(result, json!(["AWS_Lambda_python3.12", [3, 14]]));
    let request = json!({"logGroupName": "/aws/lambda/f"}).to_string();
    let target = [
        ("x-amz-target", "Logs_20140328.FilterLogEvents"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let events = host.send("POST", "/", &target, request).await.json();
    let message = |at: usize| {
        events["events"][at]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        message(0).starts_with("INIT_START Runtime Version: python:3.14."),
        "{events}"
    );
    assert_eq!(message(1), "initialized\n");
}
