//! Asynchronous invocation through the API.

use serde_json::{Value, json};

use crate::collector::{Collector, SETTINGS};
use crate::harness::{Lamina, guest};

const EVENT: [(&str, &str); 1] = [("x-amz-invocation-type", "Event")];

fn invocations(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

async fn host() -> Lamina {
    let host = Lamina::with(SETTINGS, "settle_millis = 20");
    host.create("f", &guest("hostile"), json!({"Timeout": 30}))
        .await;
    host
}

#[tokio::test]
async fn event_is_acknowledged_and_runs_later() {
    let (host, collector) = (host().await, Collector::start().await);
    let answer = host.send_event("f", &collector.event("one")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, ""));
    assert_eq!(answer.header("x-amzn-requestid").len(), 36);
    assert_eq!(answer.header("x-amz-executed-version"), "");
    let path = "/2014-11-13/functions/f/invoke-async";
    let answer = host.lambda("POST", path, &collector.event("two")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, ""));
    let large = json!({"do": "report", "address": collector.address, "line": "three",
        "padding": "x".repeat(900_000)});
    assert_eq!(host.send_event("f", &large).await.status, 202);
    collector.until(|lines| lines.len() == 3).await;
    let mut lines = collector.lines().clone();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
}

#[tokio::test]
async fn event_over_its_limit_is_refused() {
    let host = host().await;
    let event = |bytes: usize| {
        let empty = json!({"do": "echo", "padding": ""}).to_string();
        json!({"do": "echo", "padding": "x".repeat(bytes - empty.len())}).to_string()
    };
    let (invoke, invoke_async) = (invocations("f"), "/2014-11-13/functions/f/invoke-async");
    for (path, name, bytes_max) in [
        (invoke.as_str(), "InvokeFunction", 1_048_576),
        (invoke_async, "InvokeAsync", 262_144),
    ] {
        let sent = host.send("POST", path, &EVENT, event(bytes_max)).await;
        assert_eq!(sent.status, 202, "{}", sent.text());
        let refused = host.send("POST", path, &EVENT, event(bytes_max + 1)).await;
        let text =
            format!("Request must be smaller than {bytes_max} bytes for the {name} operation");
        let expected = ("RequestEntityTooLargeException".to_owned(), text);
        assert_eq!((refused.status.as_u16(), refused.error()), (413, expected));
    }
    // The limit of synchronous invocations stays.
    let sent = host.send("POST", &invoke, &[], event(2_000_000)).await;
    assert_eq!(sent.status, 200);
}

#[tokio::test]
async fn event_that_cannot_run_is_refused_at_once() {
    let host = host().await;
    for (path, body, status, error) in [
        (invocations("f"), "{", 400, "InvalidRequestContentException"),
        (invocations("g"), "{}", 404, "ResourceNotFoundException"),
        (
            invocations("f:live"),
            "{}",
            404,
            "ResourceNotFoundException",
        ),
        (
            "/2014-11-13/functions/g/invoke-async".into(),
            "{}",
            404,
            "ResourceNotFoundException",
        ),
        (
            "/2014-11-13/functions/f/invoke-async".into(),
            "no JSON",
            400,
            "InvalidRequestContentException",
        ),
    ] {
        let refused = host.send("POST", &path, &EVENT, body).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        assert_eq!(refused.error().0, error, "{path}");
    }
}

#[tokio::test]
async fn event_runs_with_its_request_id_and_client_context() {
    let (host, collector) = (host().await, Collector::start().await);
    let headers = [
        EVENT[0],
        ("x-amz-client-context", "eyJjdXN0b20iOnsiYSI6MX19"),
    ];
    let event = collector.event("one").to_string();
    let sent = host.send("POST", &invocations("f"), &headers, event).await;
    collector.until(|lines| lines.len() == 1).await;
    let id = sent.header("x-amzn-requestid").to_owned();
    let target = [("x-amz-target", "Logs_20140328.FilterLogEvents")];
    let asked = json!({"logGroupName": "/aws/lambda/f"}).to_string();
    let found = host.send("POST", "/", &target, asked).await.json();
    let start = format!("START RequestId: {id} ");
    let all = found["events"].as_array().expect("events");
    let is_start = |it: &Value| {
        it["message"]
            .as_str()
            .is_some_and(|it| it.starts_with(&start))
    };
    assert!(all.iter().any(is_start), "{found}");
}

#[tokio::test]
async fn failing_event_is_given_up_after_its_retries() {
    let (host, collector) = (host().await, Collector::start().await);
    let path = "/2019-09-25/functions/f/event-invoke-config";
    let put = json!({"MaximumRetryAttempts": 0});
    assert_eq!(host.lambda("PUT", path, &put).await.status, 200);
    let mut event = collector.event("one");
    event["fail"] = true.into();
    host.send_event("f", &event).await;
    let metrics = async || host.send("GET", "/_lamina/metrics", &[], "").await.text();
    for _ in 0..1_000 {
        let page = metrics().await;
        if page.contains("lamina_async_events_dropped_total{function=\"f\"} 1") {
            assert!(page.contains("lamina_async_events_received_total{function=\"f\"} 1"));
            assert!(page.contains("lamina_async_event_age_seconds_count{function=\"f\"} 1"));
            assert!(page.contains("lamina_async_events_queued{function=\"all others\"} 0"));
            assert_eq!(*collector.lines(), ["one"]);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{}", metrics().await);
}

#[tokio::test]
async fn queued_events_of_a_killed_host_run_after_its_restart() {
    let (host, collector) = (host().await, Collector::start().await);
    // Nothing runs: the concurrency of the function is in use.
    let reserved = json!({"ReservedConcurrentExecutions": 1});
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(host.lambda("PUT", path, &reserved).await.status, 200);
    let sleep = json!({"do": "sleep", "ms": 29_000}).to_string();
    let invoke = invocations("f");
    let busy = host.try_send("POST", &invoke, &[], sleep);
    let sent = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        for number in 0..20 {
            let event = collector.event(&number.to_string());
            assert_eq!(host.send_event("f", &event).await.status, 202);
        }
    };
    tokio::select! {
        _ = busy => panic!("it sleeps"),
        () = sent => {}
    }
    assert!(collector.lines().is_empty());
    let _host = Lamina::again(host.kill(), SETTINGS, "");
    collector.until(|lines| lines.len() >= 20).await;
    let mut lines = collector.lines().clone();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 20);
}
